//! A testimony without what people named: VMs, labels of GPUs, processes and containers.

use std::collections::{BTreeMap, BTreeSet};

use super::Testimony;
use crate::health::{DaemonHealth, LibvirtHealth};
use crate::{Holder, Holders, Reading, RefusalCode, Unknown, Wanted};

const REDACTED: &str = "redacted";

impl Testimony {
    /// The names that stand in it and that [`without_names`](Self::without_names) would hide, each once: of VMs, labels of GPUs,
    /// processes, containers and USB devices.
    pub fn names(&self) -> Vec<String> {
        let Names { given, seen } = Names::of(self);
        let all: BTreeSet<String> = given.into_keys().chain(seen).collect();
        all.into_iter().collect()
    }

    /// The same without what people named: VMs, labels of GPUs, processes and containers. One name becomes the same word
    /// wherever it stands, so that the findings stay the same.
    #[must_use]
    pub fn without_names(mut self) -> Self {
        let names = Names::of(&self);
        // Taken apart by name, as what it consists of is: of a new part somebody has to say what names it holds.
        let Self {
            desired,
            records: _,
            problems,
            domains,
            libvirt,
            daemon,
            holders,
            vgpu_holders,
            lockers,
            virtqemud_confined,
        } = &mut self;
        for label in desired.gpus.iter_mut().filter_map(|gpu| gpu.label.as_mut()) {
            names.replace(label);
        }
        problems.iter_mut().for_each(|text| names.replace_words(text));
        if let Some(domains) = names.known(domains) {
            for domain in domains.iter_mut() {
                names.replace(&mut domain.name);
                for request in &mut domain.requests.list {
                    if let Wanted::Match { kind } = &mut request.wanted {
                        kind.label.iter_mut().for_each(|label| names.replace(label));
                    }
                }
            }
            domains.sort_by(|a, b| a.name.cmp(&b.name));
        }
        let LibvirtHealth { uri: _, versions, machines, owes_answer: _ } = libvirt;
        names.known(versions);
        for machine in names.known(machines).into_iter().flatten() {
            names.replace(&mut machine.name);
        }
        names.of_daemon(daemon);
        for held in holders.values_mut().chain(vgpu_holders.values_mut()) {
            let Holders { seen, unseen } = held;
            seen.iter_mut().for_each(|holder| names.of_holder(holder));
            unseen.iter_mut().for_each(|why| names.of_unknown(why));
        }
        names.known(lockers);
        names.known(virtqemud_confined);
        self
    }
}

/// Names in a testimony.
struct Names {
    /// What people gave, with what stands for each.
    given: BTreeMap<String, String>,
    /// Of processes, containers and USB devices, which nothing needs to be told apart; and VMs and labels that stand in one place
    /// alone.
    seen: BTreeSet<String>,
}

impl Names {
    fn of(testimony: &Testimony) -> Self {
        let domains = testimony.domains.known().into_iter().flatten();
        let machines = testimony.libvirt.machines.known().into_iter().flatten();
        let vms: BTreeSet<&str> = domains
            .map(|domain| domain.name.as_str())
            .chain(machines.map(|machine| machine.name.as_str()))
            .chain(testimony.daemon.unhooked.iter().map(String::as_str))
            .collect();
        let labels: BTreeSet<&str> =
            testimony.desired.gpus.iter().filter_map(|gpu| gpu.label.as_deref()).collect();
        // Numbers of one width, so that what is sorted by name stays in order.
        let width = vms.len().to_string().len();
        let vms = (1..).zip(vms).map(|(number, name)| (name.to_owned(), format!("vm{number:0width$}")));
        let labels = (1..).zip(labels).map(|(number, name)| (name.to_owned(), format!("gpu{number}")));
        let holders = testimony.holders.values().chain(testimony.vgpu_holders.values());
        let wanted = testimony.domains.known().into_iter().flatten().flat_map(|domain| &domain.requests.list);
        let wanted = wanted.filter_map(|request| match &request.wanted {
            Wanted::Match { kind } => kind.label.as_ref(),
            _ => None,
        });
        let seen = holders.flat_map(|held| &held.seen).flat_map(named).chain(wanted);
        let seen = seen.filter(|name| !name.is_empty()).cloned().collect();
        Self { given: labels.chain(vms).collect(), seen }
    }

    fn replace(&self, name: &mut String) {
        match self.given.get(name) {
            Some(word) => name.clone_from(word),
            // A label that is no GPU's, and whatever else nobody gave a word.
            None => REDACTED.clone_into(name),
        }
    }

    /// In a sentence: the names that stand between other characters than letters and digits.
    fn replace_words(&self, text: &mut String) {
        let mut out = String::with_capacity(text.len());
        let (mut rest, mut inside) = (text.as_str(), false);
        while let Some(next) = rest.chars().next() {
            match self.word_at(rest).filter(|_| !inside) {
                Some((word, after)) => {
                    out.push_str(word);
                    rest = after;
                }
                None => {
                    out.push(next);
                    inside = next.is_alphanumeric();
                    rest = rest.get(next.len_utf8()..).unwrap_or_default();
                }
            }
        }
        *text = out;
    }

    /// What stands for the longest name that a text begins with, as a word of its own; and what is behind it.
    fn word_at<'a>(&'a self, text: &'a str) -> Option<(&'a str, &'a str)> {
        let given = self.given.iter().map(|(name, word)| (name.as_str(), word.as_str()));
        let all = given.chain(self.seen.iter().map(|name| (name.as_str(), REDACTED)));
        let here = all.filter_map(|(name, word)| Some((word, text.strip_prefix(name)?)));
        let ends = |after: &str| !after.starts_with(char::is_alphanumeric);
        here.filter(|(_, after)| after.len() < text.len() && ends(after)).min_by_key(|(_, after)| after.len())
    }

    /// The value, when it is known; why not, is a sentence.
    fn known<'a, T>(&self, reading: &'a mut Reading<T>) -> Option<&'a mut T> {
        match reading {
            Reading::Known(value) => Some(value),
            Reading::Unknown(why) => {
                self.of_unknown(why);
                None
            }
        }
    }

    fn of_unknown(&self, why: &mut Unknown) {
        if let Unknown::Unreadable { what } = why {
            self.replace_words(what);
        }
    }

    fn of_daemon(&self, daemon: &mut DaemonHealth) {
        let DaemonHealth {
            unanswered,
            stale_boot_image,
            problems,
            unsettled,
            unhooked,
            hook_proven: _,
            no_writer,
            at_work: _,
            unrestored,
        } = daemon;
        let said = unanswered.iter_mut().chain(stale_boot_image).chain(no_writer).chain(problems);
        said.chain(unsettled.iter_mut().map(|(_, text)| text)).for_each(|text| self.replace_words(text));
        unhooked.iter_mut().for_each(|name| self.replace(name));
        // It tells who held a card when the daemon started, and those may be gone since: nobody here knows their names.
        unrestored.iter_mut().for_each(|(_, why)| *why = codes(why));
    }

    fn of_holder(&self, holder: &mut Holder) {
        match holder {
            Holder::Process { command, container, .. } => {
                REDACTED.clone_into(command);
                container.iter_mut().for_each(|name| REDACTED.clone_into(name));
            }
            Holder::Domain { name, .. } => self.replace(name),
            Holder::UsbDevice { name, .. } => REDACTED.clone_into(name),
            // The kernel's own words.
            Holder::Console { .. } | Holder::DrmClient { .. } | Holder::Sound { .. } => {}
        }
    }
}

/// The names in a holder.
fn named(holder: &Holder) -> Vec<&String> {
    match holder {
        Holder::Process { command, container, .. } => std::iter::once(command).chain(container).collect(),
        Holder::Domain { name, .. } | Holder::UsbDevice { name, .. } => vec![name],
        Holder::Console { .. } | Holder::DrmClient { .. } | Holder::Sound { .. } => Vec::new(),
    }
}

/// The names of refusals that a text holds, as it holds them: in brackets.
fn codes(text: &str) -> String {
    let bracketed = text.split('[').skip(1).filter_map(|rest| Some(rest.split_once(']')?.0));
    let known = bracketed.filter(|word| RefusalCode::ALL.iter().any(|code| code.as_str() == *word));
    let codes: Vec<String> = known.map(|code| format!("[{code}]")).collect();
    if codes.is_empty() { REDACTED.to_owned() } else { codes.join(" ") }
}
