//! What takes cards before a host is up: modules that initramfs-tools loads with ids, and udev's rules.

use gpuvirt_model::import::{DriverOverride, Origin, VfioIds};

use super::Reader;
use crate::inventory;
use crate::parse::modprobe::kernels_name;
use crate::parse::udev_override::{self, Subject};
use crate::parse::udev_rule::Rule;
use crate::parse::vfio_ids;
use crate::paths;

impl Reader<'_> {
    /// What initramfs-tools loads. The file may outlive it, on a host that has changed to dracut; of a tree without programs nobody
    /// can tell.
    pub(super) fn initramfs(&mut self) {
        let path = paths::INITRAMFS_MODULES;
        let there = |path| self.files.sysfs.exists(path);
        let installed = there(paths::UPDATE_INITRAMFS) || !there(paths::PROGRAMS);
        let Some(text) = self.text(path).filter(|_| installed) else { return };
        for (at, (number, _, value)) in vfio_ids::of_initramfs(&text).into_iter().enumerate() {
            if let Some(value) = value {
                self.ids(value, Origin::line(path, number), at == 0);
            }
        }
    }

    /// Whether vfio-pci is part of the running kernel: then nobody loads it with options.
    pub(super) fn built_in(&mut self) {
        let Some(release) = inventory::kernel_release(self.files) else { return };
        self.found.vfio_built_in = inventory::vfio_pci_built_in(self.files, &release);
    }

    /// The admin's own rules that choose drivers: by address as driverctl does, or by ids as vfio-pci does.
    pub(super) fn udev(&mut self) {
        for name in self.names(paths::UDEV_OWN).iter().filter(|name| name.ends_with(".rules")) {
            let path = format!("{}/{name}", paths::UDEV_OWN);
            // Ours, masked or changed, is no other tool's.
            if paths::UDEV_RULES.contains(&path.as_str()) {
                continue;
            }
            let Some(text) = self.text(&path) else { continue };
            for (Rule { first, last, .. }, rule) in udev_override::of_file(&text) {
                let origin = Origin { and_more: !rule.alone, ..Origin::lines(&path, first, last) };
                match rule.of {
                    Subject::Function(_) if rule.driver.is_empty() => {}
                    Subject::Function(address) => {
                        let driver = rule.driver.chars().take(64).collect();
                        self.found.overrides.push(DriverOverride { address, driver, origin });
                    }
                    Subject::Kind(id) if kernels_name(&rule.driver) == "vfio_pci" => {
                        self.found.vfio_ids.push(VfioIds { ids: vec![id], origin, heard: true });
                    }
                    Subject::Kind(_) | Subject::Other => {
                        let what = "a rule that sets driver_override, and not plainly for an address, or to vfio-pci for ids";
                        self.odd(&origin.to_string(), what);
                    }
                }
            }
        }
    }
}
