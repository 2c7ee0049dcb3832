//! What happened that may let something pending come into force, until `reconcile` looks.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use gpuvirt_engine::Stirred;
use gpuvirt_host::uevent::Uevent;
use gpuvirt_model::{DriverName, PciAddress};
use tokio::sync::Notify;

/// What has happened since somebody last looked.
#[derive(Debug, Default)]
pub struct Stir {
    stirred: Mutex<Stirred>,
    left: Mutex<BTreeSet<PciAddress>>,
    pub(super) notify: Notify,
    devices: Notify,
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

    /// Changes of these GPUs were given up while the kernel kept a write of theirs waiting: that it ends, nobody tells.
    pub(super) fn left_waiting(&self, gpus: BTreeSet<PciAddress>) {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).extend(gpus);
    }

    /// The GPUs of those since it was asked last.
    pub(super) fn take_left(&self) -> BTreeSet<PciAddress> {
        std::mem::take(&mut *self.left.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A running VM got or lost a device.
    pub fn device_changed(&self) {
        self.devices.notify_one();
    }

    /// Ends when a running VM got or lost a device since this ended last.
    pub(super) async fn devices_changed(&self) {
        self.devices.notified().await;
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
