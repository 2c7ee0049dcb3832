//! Whose a single device is: a few links, for who can't wait for a whole inventory.
//!
//! libvirt's hook asks this at every start of every VM. Nothing is judged here.

use gpuvirt_model::PciAddress;
use uuid::Uuid;

use crate::{Sysfs, paths};

/// The function whose virtual function this is; itself where it is none, or is not there.
pub fn physical_function(sysfs: &dyn Sysfs, function: PciAddress) -> PciAddress {
    let link = sysfs.read_link(&paths::function_file(function, "physfn"));
    link.ok().and_then(|target| last_address(&target)).unwrap_or(function)
}

/// The function on which a mediated device lives.
pub fn mdev_parent(sysfs: &dyn Sysfs, uuid: Uuid) -> Option<PciAddress> {
    // The folder above the device's own is its parent; there is no file that says so.
    let target = sysfs.read_link(&paths::mdev(uuid)).ok()?;
    let (above, _) = target.trim_end_matches('/').rsplit_once('/')?;
    last_address(above)
}

/// Whether a function calls itself a display controller.
pub fn is_display(sysfs: &dyn Sysfs, function: PciAddress) -> bool {
    // "0x030000\n"
    let class = sysfs.read(&paths::function_file(function, "class"), 16);
    class.is_ok_and(|class| class.starts_with(b"0x03"))
}

fn last_address(path: &str) -> Option<PciAddress> {
    PciAddress::parse(path.trim_end_matches('/').rsplit('/').next()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_part_of_a_link_is_the_function() {
        let at = PciAddress { domain: 0, bus: 0x41, slot: 0, function: 0 };
        for (path, want) in [
            ("../0000:41:00.0", Some(at)),
            ("../../../devices/pci0000:40/0000:40:01.1/0000:41:00.0/", Some(at)),
            ("../x", None),
            ("", None),
        ] {
            assert_eq!(last_address(path), want, "{path}");
        }
    }
}
