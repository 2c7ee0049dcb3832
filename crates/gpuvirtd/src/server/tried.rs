//! What was tried to lead GPUs to what was asked for, and what came of it: when each is tried again.

use std::collections::{BTreeMap, BTreeSet};

use gpuvirt_model::PciAddress;

use super::stir::Happened;

/// What may lead a GPU on that was led as far as it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Whatever happens: it is as asked, or waits for what is told.
    Occasion,
    /// A process that lets go of it, or the like, which tells nobody.
    Look,
    /// The card or a driver of it, come anew: trying failed, when the kernel had told of so many events. What the attempt did
    /// itself, a way back among it, is no reason for another one.
    Anew(Option<u64>),
}

/// What was tried.
#[derive(Debug, Default)]
pub(super) struct Tried {
    failed: BTreeMap<PciAddress, Option<u64>>,
    back: BTreeMap<PciAddress, Option<u64>>,
    looked_for: BTreeSet<PciAddress>,
}

impl Tried {
    /// Something has happened.
    pub(super) fn hear(&mut self, happened: &Happened) {
        self.failed.retain(|gpu, then| !is_later(happened, *gpu, *then));
    }

    /// Whether a GPU that is not as asked is led now. `ticked`: nothing happened, it is only looked again.
    pub(super) fn is_due(&self, gpu: PciAddress, ticked: bool) -> bool {
        !self.failed.contains_key(&gpu) && (!ticked || self.looked_for.contains(&gpu))
    }

    /// A GPU was led, and this may lead it on.
    pub(super) fn led(&mut self, gpu: PciAddress, next: Next) {
        self.looked_for.remove(&gpu);
        match next {
            Next::Occasion => {}
            Next::Look => drop(self.looked_for.insert(gpu)),
            Next::Anew(then) => drop(self.failed.insert(gpu, then)),
        }
    }

    /// These are to be led; the others that were looked for are asked for no more.
    pub(super) fn only(&mut self, due: &[PciAddress]) {
        self.looked_for.retain(|gpu| due.contains(gpu));
    }

    /// Whether any GPU waits for what tells nobody.
    pub(super) fn looks(&self) -> bool {
        !self.looked_for.is_empty()
    }

    /// Whether a change of this GPU that could not be taken back may be by now: it or its driver came since that was tried.
    pub(super) fn may_go_back(&self, gpu: PciAddress, happened: &Happened) -> bool {
        match self.back.get(&gpu) {
            None => happened.of_card_after(gpu, None),
            Some(then) => is_later(happened, gpu, *then),
        }
    }

    /// Taking a change of this GPU back was tried when the kernel had told of so many events.
    pub(super) fn went_back(&mut self, gpu: PciAddress, then: Option<u64>) {
        self.back.insert(gpu, then);
    }
}

/// Where it is not known which events were told before, all of them were: nothing is tried in a circle.
fn is_later(happened: &Happened, gpu: PciAddress, then: Option<u64>) -> bool {
    happened.of_card_after(gpu, Some(then.unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use gpuvirt_host::uevent::Uevent;

    use super::super::stir::Stir;
    use super::*;

    fn card() -> PciAddress {
        PciAddress::parse("0000:41:00.0").unwrap()
    }

    fn bound(number: u64) -> Happened {
        let stir = Stir::default();
        let text =
            format!("bind@/x\0SUBSYSTEM=pci\0PCI_SLOT_NAME=0000:41:00.0\0DRIVER=nvidia\0SEQNUM={number}\0");
        stir.heard(Uevent::parse(text.as_bytes()).as_ref());
        stir.take()
    }

    #[test]
    fn what_failed_is_tried_again_when_its_driver_comes_anew_and_not_for_its_own_sake() {
        let mut tried = Tried::default();
        tried.led(card(), Next::Anew(Some(10)));
        assert!(!tried.is_due(card(), false));
        tried.hear(&bound(10));
        assert!(!tried.is_due(card(), false), "the attempt's own way back had the driver bind");
        tried.hear(&bound(11));
        assert!(tried.is_due(card(), false));
        tried.led(card(), Next::Anew(None));
        tried.hear(&bound(12));
        assert!(!tried.is_due(card(), false), "who can't tell does not go round in circles");
    }

    #[test]
    fn it_is_looked_again_only_for_who_tells_nobody() {
        let mut tried = Tried::default();
        assert!(!tried.looks() && !tried.is_due(card(), true) && tried.is_due(card(), false));
        tried.led(card(), Next::Look);
        assert!(tried.looks() && tried.is_due(card(), true));
        tried.led(card(), Next::Occasion);
        assert!(!tried.looks() && !tried.is_due(card(), true));
        tried.led(card(), Next::Look);
        tried.only(&[]);
        assert!(!tried.looks(), "it was asked for something else meanwhile");
    }

    #[test]
    fn a_change_is_taken_back_once_for_each_coming_of_card_and_driver() {
        let mut tried = Tried::default();
        assert!(!tried.may_go_back(card(), &Happened::default()));
        assert!(tried.may_go_back(card(), &bound(3)));
        tried.went_back(card(), Some(4));
        assert!(!tried.may_go_back(card(), &bound(4)));
        assert!(tried.may_go_back(card(), &bound(5)));
    }
}
