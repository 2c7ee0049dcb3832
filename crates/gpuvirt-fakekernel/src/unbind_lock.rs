//! NVIDIA's `unbindLock`: a card's driver lets it be taken while no program and no VM has the card.
//!
//! The write succeeds either way; reading it back tells. It belongs to nobody, and is there while the driver has the
//! card.

use gpuvirt_model::PciAddress;
use nix::errno::Errno;

use crate::inject::On;
use crate::state::{Kernel, LockedCard};
use crate::writes::Answer;

fn file(driver: &str, card: PciAddress) -> String {
    format!("/proc/driver/{driver}/gpus/{card}/unbindLock")
}

impl Kernel {
    /// Shows the lock while its driver has the card.
    pub(crate) fn renew_lock(&mut self, card: PciAddress) {
        let Some(LockedCard { driver, .. }) = self.locks.get(&card).cloned() else { return };
        if self.driver_of(card).as_deref() == Some(driver.as_str()) {
            self.files.put_text(&file(&driver, card), "0\n");
        } else {
            self.files.take(&file(&driver, card));
        }
    }

    /// A write to the lock.
    pub(crate) fn set_lock(&mut self, card: PciAddress, data: &[u8]) -> Answer {
        let after = self.struck(&On::UnbindLock { card })?;
        match data.trim_ascii() {
            b"1" => drop(self.take_lock(card)),
            b"0" => self.free_lock(card),
            _ => return Err(Errno::EINVAL.into()),
        }
        after
    }

    /// Takes the lock, if nobody has the card and nobody the lock.
    pub(crate) fn take_lock(&mut self, card: PciAddress) -> bool {
        let Some(LockedCard { driver, node }) = self.locks.get(&card).cloned() else { return true };
        let path = file(&driver, card);
        let by_vm =
            self.vfs_of(card).iter().any(|vf| self.vfio_nodes(*vf).iter().any(|node| self.is_open(node)));
        let free = self.files.text(&path).is_some_and(|text| text.trim() == "0");
        let got = free && !by_vm && !self.is_open(&node);
        if got {
            self.files.put_text(&path, "1\n");
        }
        got
    }

    pub(crate) fn free_lock(&mut self, card: PciAddress) {
        if let Some(LockedCard { driver, .. }) = self.locks.get(&card).cloned() {
            self.files.put_text(&file(&driver, card), "0\n");
        }
    }
}
