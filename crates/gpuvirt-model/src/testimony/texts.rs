//! Which texts of a testimony people and programs wrote: whoever passes it on blanks what they must not tell.
//!
//! Every part is taken apart by name, so that a new one is no testimony before somebody has said what its texts are.

use super::Testimony;
use crate::health::{DaemonHealth, LibvirtHealth};
use crate::{Holder, Holders, Reading, Unknown, Via, Wanted};

/// A text of a testimony that somebody wrote. Ids, addresses and the kernel's own words are none.
#[derive(Debug)]
pub enum TestimonyText<'a> {
    /// A name: of a VM, a GPU, a process, a container, a device's own.
    Name(&'a mut String),
    /// Words for people: what failed and why, with whatever libvirt and the system put there.
    Sentence(&'a mut String),
    /// Where libvirt is asked.
    Uri(&'a mut String),
}

impl Testimony {
    /// Shows each text to `change`, which may replace it. One name stands in several places.
    pub fn for_each_text(&mut self, change: &mut dyn FnMut(TestimonyText<'_>)) {
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
        } = self;
        let labels = desired.gpus.iter_mut().filter_map(|gpu| gpu.label.as_mut());
        labels.for_each(|label| change(TestimonyText::Name(label)));
        problems.iter_mut().for_each(|problem| change(TestimonyText::Sentence(problem)));
        for domain in known(domains, change).into_iter().flatten() {
            change(TestimonyText::Name(&mut domain.name));
            domain.requests.guest_driver.iter_mut().for_each(|name| change(TestimonyText::Name(name)));
            for request in &mut domain.requests.list {
                if let Wanted::Match { kind } = &mut request.wanted {
                    kind.label.iter_mut().for_each(|label| change(TestimonyText::Name(label)));
                }
            }
        }
        let LibvirtHealth { uri, versions, machines, owes_answer: _ } = libvirt;
        uri.iter_mut().for_each(|uri| change(TestimonyText::Uri(uri)));
        known(versions, change);
        for machine in known(machines, change).into_iter().flatten() {
            change(TestimonyText::Name(&mut machine.name));
        }
        of_daemon(daemon, change);
        for held in holders.values_mut().chain(vgpu_holders.values_mut()) {
            of_holders(held, change);
        }
        known(lockers, change);
        known(virtqemud_confined, change);
    }
}

/// The value, when it is known; why not, is a sentence.
fn known<'a, T>(reading: &'a mut Reading<T>, change: &mut dyn FnMut(TestimonyText<'_>)) -> Option<&'a mut T> {
    match reading {
        Reading::Known(value) => Some(value),
        Reading::Unknown(why) => {
            of_unknown(why, change);
            None
        }
    }
}

fn of_unknown(why: &mut Unknown, change: &mut dyn FnMut(TestimonyText<'_>)) {
    if let Unknown::Unreadable { what } = why {
        change(TestimonyText::Sentence(what));
    }
}

fn of_daemon(daemon: &mut DaemonHealth, change: &mut dyn FnMut(TestimonyText<'_>)) {
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
    said.chain(unsettled.iter_mut().chain(unrestored).map(|(_, text)| text))
        .for_each(|text| change(TestimonyText::Sentence(text)));
    unhooked.iter_mut().for_each(|name| change(TestimonyText::Name(name)));
}

fn of_holders(held: &mut Holders, change: &mut dyn FnMut(TestimonyText<'_>)) {
    let Holders { seen, unseen } = held;
    unseen.iter_mut().for_each(|why| of_unknown(why, change));
    for holder in seen {
        match holder {
            Holder::Process { command, via, container, .. } => {
                change(TestimonyText::Name(command));
                container.iter_mut().for_each(|name| change(TestimonyText::Name(name)));
                let (Via::Fd { path, .. } | Via::Mapping { path }) = via;
                change(TestimonyText::Sentence(path));
            }
            Holder::UsbDevice { name, .. } | Holder::Domain { name, .. } => {
                change(TestimonyText::Name(name));
            }
            // The kernel's own words.
            Holder::Console { .. } | Holder::DrmClient { .. } | Holder::Sound { .. } => {}
        }
    }
}
