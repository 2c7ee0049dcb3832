//! What was known of a recorded host that no file of its kernel's shows: what the admin asked for, what gpuvirt made, libvirt's
//! domains as far as GPUs care, and who held what at that moment.
//!
//! A snapshot carries it beside the files, so that `--host` shows what the host showed. It is made of values alone that are read
//! out of definitions; passwords, disks, networks and everything else of a domain were never in them.

mod texts;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::health::{DaemonHealth, LibvirtHealth, Locker};
use crate::{
    Desired, Domain, Holder, Holders, Observed, PciAddress, Reading, Records, Unknown, VgpuId, Wanted,
};

pub use texts::TestimonyText;

/// What gpuvirtd, or the command where there was none, knew of its host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Testimony {
    /// What the admin asked for.
    pub desired: Desired,
    /// What gpuvirt made in that boot.
    pub records: Records,
    /// What could not be understood of gpuvirt's own files, as listings say it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
    /// libvirt's domains.
    pub domains: Reading<Vec<Domain>>,
    /// libvirt, and the machines of the domains that GPUs are a matter of.
    pub libvirt: LibvirtHealth,
    /// What gpuvirtd knew of itself and its part.
    pub daemon: DaemonHealth,
    /// Who held each GPU.
    pub holders: BTreeMap<PciAddress, Holders>,
    /// Who held each vGPU.
    pub vgpu_holders: BTreeMap<VgpuId, Holders>,
    /// libvirt's daemons with what they may lock.
    pub lockers: Reading<Vec<Locker>>,
}

impl Default for Testimony {
    fn default() -> Self {
        Self {
            desired: Desired::default(),
            records: Records::default(),
            problems: Vec::new(),
            domains: Reading::Unknown(Unknown::NotRecorded),
            libvirt: LibvirtHealth::default(),
            daemon: DaemonHealth::default(),
            holders: BTreeMap::new(),
            vgpu_holders: BTreeMap::new(),
            lockers: Reading::Unknown(Unknown::NotRecorded),
        }
    }
}

impl Testimony {
    /// The same, with what a picture shows of domains and holders.
    #[must_use]
    pub fn of(mut self, observed: &Observed) -> Self {
        self.domains = observed.domains.clone();
        self.holders = observed.gpus.values().map(|gpu| (gpu.address, gpu.holders.clone())).collect();
        self.vgpu_holders = observed.vgpus.values().map(|vgpu| (vgpu.id, vgpu.holders.clone())).collect();
        self
    }

    /// Puts domains and holders into a picture of the recorded files. What the testimony does not have stays as it is.
    pub fn tell(&self, observed: &mut Observed) {
        observed.domains = self.domains.clone();
        for gpu in observed.gpus.values_mut() {
            if let Some(holders) = self.holders.get(&gpu.address) {
                gpu.holders = holders.clone();
            }
        }
        for vgpu in observed.vgpus.values_mut() {
            if let Some(holders) = self.vgpu_holders.get(&vgpu.id) {
                vgpu.holders = holders.clone();
            }
        }
    }

    /// The names that people gave and that stand in it: of VMs, and labels of GPUs.
    pub fn names(&self) -> Vec<String> {
        Names::of(self).0.into_keys().collect()
    }

    /// The same without what people named: VMs, labels of GPUs, processes and containers. One name becomes the same word
    /// wherever it stands, so that the findings stay the same.
    #[must_use]
    pub fn without_names(mut self) -> Self {
        let names = Names::of(&self);
        let Self { desired, problems, domains, libvirt, daemon, holders, vgpu_holders, .. } = &mut self;
        for label in desired.gpus.iter_mut().filter_map(|gpu| gpu.label.as_mut()) {
            names.replace(label);
        }
        if let Reading::Known(domains) = domains {
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
        if let Reading::Known(machines) = &mut libvirt.machines {
            machines.iter_mut().for_each(|machine| names.replace(&mut machine.name));
        }
        daemon.unhooked.iter_mut().for_each(|name| names.replace(name));
        let texts = daemon.problems.iter_mut().chain(daemon.unsettled.iter_mut().map(|(_, text)| text));
        texts.chain(problems).for_each(|text| names.replace_words(text));
        for held in holders.values_mut().chain(vgpu_holders.values_mut()) {
            held.seen.iter_mut().for_each(|holder| names.of_holder(holder));
        }
        self
    }
}

/// Names, and what stands for each.
struct Names(BTreeMap<String, String>);

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
        Self(labels.chain(vms).collect())
    }

    fn replace(&self, name: &mut String) {
        match self.0.get(name) {
            Some(word) => name.clone_from(word),
            // A label that is no GPU's, and whatever else nobody gave a word.
            None => "redacted".clone_into(name),
        }
    }

    /// In a sentence: the names that stand between other characters than letters and digits.
    fn replace_words(&self, text: &mut String) {
        let mut out = String::with_capacity(text.len());
        let (mut rest, mut inside) = (text.as_str(), false);
        while let Some(next) = rest.chars().next() {
            let ends = |after: &str| !after.starts_with(char::is_alphanumeric);
            let here =
                self.0.iter().filter_map(|(name, word)| Some((word, rest.strip_prefix(name.as_str())?)));
            // The longest that stands here as a word.
            let found = here
                .filter(|(_, after)| after.len() < rest.len() && ends(after))
                .min_by_key(|(_, after)| after.len());
            match found.filter(|_| !inside) {
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

    fn of_holder(&self, holder: &mut Holder) {
        match holder {
            Holder::Process { command, container, .. } => {
                "redacted".clone_into(command);
                container.iter_mut().for_each(|name| "redacted".clone_into(name));
            }
            Holder::Domain { name, .. } => self.replace(name),
            Holder::UsbDevice { name, .. } => "redacted".clone_into(name),
            // The kernel's own words.
            Holder::Console { .. } | Holder::DrmClient { .. } | Holder::Sound { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DomainState, Guest, Machine, Requests, Via};
    use uuid::Uuid;

    fn domain(name: &str) -> Domain {
        Domain {
            name: name.to_owned(),
            uuid: Uuid::from_u128(7),
            state: DomainState::ShutOff,
            autostart: false,
            config: Vec::new(),
            live: Vec::new(),
            requests: Requests::default(),
            guest: Guest::default(),
        }
    }

    #[test]
    fn what_people_named_has_one_word_wherever_it_stands() {
        let via = Via::Fd { fd: 3, path: "/dev/dri/card0".to_owned() };
        let (command, container) = ("Xorg".to_owned(), Some("docker acme".to_owned()));
        let process = Holder::Process { pid: 7, command, via, container };
        let vm = Holder::Domain { name: "payroll".to_owned(), uuid: Uuid::from_u128(7) };
        let machine = |name: &str| Machine { name: name.to_owned(), ..Machine::default() };
        let gpu = PciAddress { domain: 0, bus: 1, slot: 0, function: 0 };
        let testimony = Testimony {
            domains: Reading::Known(vec![domain("acme"), domain("payroll")]),
            libvirt: LibvirtHealth {
                machines: Reading::Known(vec![machine("payroll")]),
                ..LibvirtHealth::default()
            },
            daemon: DaemonHealth {
                problems: vec!["VM payroll, not payrolls: payroll".to_owned()],
                unhooked: vec!["acme".to_owned()],
                ..DaemonHealth::default()
            },
            holders: BTreeMap::from([(gpu, Holders { seen: vec![process, vm], unseen: None })]),
            ..Testimony::default()
        };
        let hidden = testimony.without_names();
        let text = serde_json::to_string(&hidden).unwrap();
        assert!(!text.contains("acme") && !text.contains("Xorg"), "{text}");
        assert_eq!(hidden.daemon.problems, ["VM vm2, not payrolls: vm2"]);
        assert_eq!(hidden.daemon.unhooked, ["vm1"]);
        let names: Vec<&str> =
            hidden.domains.known().unwrap().iter().map(|domain| domain.name.as_str()).collect();
        assert_eq!(names, ["vm1", "vm2"]);
        assert_eq!(hidden.libvirt.machines.known().unwrap()[0].name, "vm2");
        assert!(text.contains(r#""kind":"domain","name":"vm2""#), "{text}");
        assert!(text.contains("/dev/dri/card0"), "what they hold stays: {text}");
    }
}
