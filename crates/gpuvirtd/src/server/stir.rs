//! What happened that may let something pending come into force, until `reconcile` looks.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use gpuvirt_engine::Stirred;
use gpuvirt_host::uevent::Uevent;
use gpuvirt_model::DriverName;
use tokio::sync::Notify;
use uuid::Uuid;

/// What has happened since somebody last looked.
#[derive(Debug, Default)]
pub struct Stir {
    stirred: Mutex<Stirred>,
    pub(super) notify: Notify,
    devices: Notify,
    removals: Notify,
    /// VMs that ended, as libvirt tells: their hooks should have told before.
    ended: Mutex<BTreeSet<Uuid>>,
    unheard: AtomicU64,
}

impl Stir {
    /// The kernel told of this; none: of more than could be read, so that everything is to be looked at.
    pub fn heard(&self, event: Option<&Uevent>) {
        let Some(event) = event else {
            self.stirred.lock().unwrap_or_else(PoisonError::into_inner).lost = true;
            self.notify.notify_one();
            return;
        };
        let Some(function) = event.function else { return };
        let mut stirred = self.stirred.lock().unwrap_or_else(PoisonError::into_inner);
        match event.action.as_str() {
            "add" => drop(stirred.came.insert(function)),
            "bind" if is_the_hosts(event) => drop(stirred.driven.insert(function)),
            _ => return,
        }
        drop(stirred);
        self.notify.notify_one();
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

    /// A change ended that kept something of VMs that had ended.
    pub(super) fn removals_due(&self) {
        self.removals.notify_one();
    }

    /// Ends when one has since this ended last.
    pub(super) async fn until_removals_are_due(&self) {
        self.removals.notified().await;
    }

    pub(super) fn take(&self) -> Stirred {
        std::mem::take(&mut *self.stirred.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn is_the_hosts(event: &Uevent) -> bool {
    let driver = event.driver.as_deref().and_then(|driver| DriverName::parse(driver).ok());
    driver.is_some_and(|driver| !driver.leaves_group_viable())
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;

    use gpuvirt_model::PciAddress;

    use super::*;

    fn heard(action: &str, driver: &str) -> Stirred {
        let stir = Stir::default();
        let text = format!("{action}@/x\0SUBSYSTEM=pci\0PCI_SLOT_NAME=0000:41:00.0\0DRIVER={driver}\0");
        stir.heard(Uevent::parse(text.as_bytes()).as_ref());
        stir.take()
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
        assert_eq!(stir.take(), Stirred { lost: true, ..Stirred::default() });
        assert_eq!(stir.take(), Stirred::default(), "once");
        let waiting = stir.notify.notified();
        let mut waiting = std::pin::pin!(waiting);
        let mut nobody = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(waiting.as_mut().poll(&mut nobody).is_ready(), "whoever leads GPUs is woken");
    }
}
