//! What happened that may let something pending come into force, until `reconcile` looks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use gpuvirt_engine::Stirred;
use gpuvirt_host::uevent::Uevent;
use gpuvirt_model::{DriverName, PciAddress};
use tokio::sync::Notify;
use uuid::Uuid;

/// What the kernel told of since somebody last looked.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Happened {
    /// What came.
    pub(super) stirred: Stirred,
    /// The number of the last of it, for each function.
    numbers: BTreeMap<PciAddress, u64>,
}

impl Happened {
    /// Whether it may concern this card, and is later than the kernel's event with this number.
    pub(super) fn of_card_after(&self, gpu: PciAddress, number: Option<u64>) -> bool {
        let mut of_card = self.numbers.iter().filter(|(function, _)| function.same_slot(&gpu));
        self.stirred.lost || of_card.any(|(_, told)| number.is_none_or(|number| *told > number))
    }
}

/// What has happened since somebody last looked.
#[derive(Debug, Default)]
pub struct Stir {
    happened: Mutex<Happened>,
    pub(super) notify: Notify,
    devices: Notify,
    domains: Notify,
    removals: Notify,
    /// VMs that ended, as libvirt tells: their hooks should have told before.
    ended: Mutex<BTreeSet<Uuid>>,
    unheard: AtomicU64,
}

impl Stir {
    /// The kernel told of this; none: of more than could be read, so that everything is to be looked at.
    pub fn heard(&self, event: Option<&Uevent>) {
        let Some(event) = event else {
            self.happened().stirred.lost = true;
            self.notify.notify_one();
            return;
        };
        // Somebody asks udev's rules to look again; nothing came.
        if event.made_up {
            return;
        }
        // Its card may have waited for this vGPU to go.
        if event.mdev.is_some() && event.action == "remove" {
            self.released();
        }
        let Some(function) = event.function else { return };
        let mut happened = self.happened();
        match event.action.as_str() {
            "add" => drop(happened.stirred.came.insert(function)),
            "bind" if is_the_hosts(event) => drop(happened.stirred.driven.insert(function)),
            _ => return,
        }
        happened.numbers.insert(function, event.number.unwrap_or_default());
        drop(happened);
        self.notify.notify_one();
    }

    fn happened(&self) -> MutexGuard<'_, Happened> {
        self.happened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something was let go of: a VM stopped, a change ended.
    pub fn released(&self) {
        self.notify.notify_one();
    }

    /// libvirt told that a VM ended.
    pub fn ended(&self, vm: Uuid) {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).insert(vm);
        self.released();
    }

    /// Somebody who was turned away may have been libvirt's hook, with word of a VM's end.
    pub fn unheard(&self) {
        self.unheard.fetch_add(1, Ordering::AcqRel);
        self.released();
    }

    /// How often a VM's end may have gone by unheard. Once at least: before this daemon listened.
    pub(super) fn times_unheard(&self) -> u64 {
        self.unheard.load(Ordering::Acquire).saturating_add(1)
    }

    /// The VMs that ended since somebody last looked.
    pub(super) fn take_ended(&self) -> BTreeSet<Uuid> {
        std::mem::take(&mut *self.ended.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A running VM got or lost a device.
    pub fn device_changed(&self) {
        self.devices.notify_one();
    }

    /// Ends when a running VM got or lost a device since this ended last.
    pub(super) async fn devices_changed(&self) {
        self.devices.notified().await;
    }

    /// A VM was defined or started.
    pub fn domains_changed(&self) {
        self.domains.notify_one();
    }

    /// Ends when one was since this ended last.
    pub(super) async fn until_domains_change(&self) {
        self.domains.notified().await;
    }

    /// A change ended that kept something of VMs that had ended.
    pub(super) fn removals_due(&self) {
        self.removals.notify_one();
    }

    /// Ends when one has since this ended last.
    pub(super) async fn until_removals_are_due(&self) {
        self.removals.notified().await;
    }

    pub(super) fn take(&self) -> Happened {
        std::mem::take(&mut *self.happened())
    }
}

fn is_the_hosts(event: &Uevent) -> bool {
    let driver = event.driver.as_deref().and_then(|driver| DriverName::parse(driver).ok());
    driver.is_some_and(|driver| !driver.leaves_group_viable())
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;

    use super::*;

    fn told(action: &str, more: &str) -> Happened {
        let stir = Stir::default();
        let text = format!("{action}@/x\0SUBSYSTEM=pci\0PCI_SLOT_NAME=0000:41:00.0\0{more}\0");
        stir.heard(Uevent::parse(text.as_bytes()).as_ref());
        stir.take()
    }

    fn heard(action: &str, driver: &str) -> Stirred {
        told(action, &format!("DRIVER={driver}")).stirred
    }

    #[test]
    fn what_udev_is_asked_to_look_at_again_did_not_come() {
        let made_up = told("add", "SYNTH_UUID=00000000-0000-4000-8000-000000000001\0SEQNUM=5");
        assert_eq!(made_up, Happened::default());
        assert_eq!(told("bind", "SYNTH_UUID=0\0DRIVER=nvidia"), Happened::default());
    }

    #[test]
    fn what_a_change_did_itself_is_not_later_than_the_change() {
        let card = PciAddress::parse("0000:41:00.0").unwrap();
        let (own, other) =
            (told("bind", "DRIVER=nvidia\0SEQNUM=7"), PciAddress::parse("0000:42:00.0").unwrap());
        assert!(own.of_card_after(card, Some(6)) && own.of_card_after(card, None));
        assert!(!own.of_card_after(card, Some(7)) && !own.of_card_after(other, None));
        let lost = Happened { stirred: Stirred { lost: true, ..Stirred::default() }, ..Happened::default() };
        assert!(lost.of_card_after(card, Some(7)));
    }

    #[test]
    fn a_vgpu_that_goes_wakes_who_waits_for_its_card() {
        let stir = Stir::default();
        let text = "remove@/devices/x/00000000-0000-4000-8000-000000000001\0SUBSYSTEM=mdev\0SEQNUM=5\0";
        stir.heard(Uevent::parse(text.as_bytes()).as_ref());
        assert!(is_woken(&stir) && stir.take() == Happened::default());
    }

    fn is_woken(stir: &Stir) -> bool {
        let waiting = stir.notify.notified();
        let mut waiting = std::pin::pin!(waiting);
        let mut nobody = std::task::Context::from_waker(std::task::Waker::noop());
        waiting.as_mut().poll(&mut nobody).is_ready()
    }

    #[test]
    fn only_what_comes_stirs() {
        let gpu = BTreeSet::from([PciAddress::parse("0000:41:00.0").unwrap()]);
        assert_eq!(heard("add", "").came, gpu);
        assert_eq!(heard("bind", "nvidia").driven, gpu);
        for (action, driver) in
            [("bind", "vfio-pci"), ("bind", "pci-stub"), ("unbind", "nvidia"), ("remove", "")]
        {
            assert_eq!(heard(action, driver), Stirred::default(), "{action} {driver}");
        }
    }

    #[test]
    fn an_overrun_stirs_everything() {
        let stir = Stir::default();
        stir.heard(None);
        assert_eq!(stir.take().stirred, Stirred { lost: true, ..Stirred::default() });
        assert_eq!(stir.take(), Happened::default(), "once");
        assert!(is_woken(&stir), "whoever leads GPUs is woken");
    }
}
