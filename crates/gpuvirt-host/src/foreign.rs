//! What other tools' files say of GPUs, read for `gpuvirt import`. Reads only, concludes nothing.
//!
//! Folders that are not there are tools that are not used. A file that can't be read or understood is an oddity that
//! names it, and hides no other.

mod early;
mod proxmox;

use std::io;

use gpuvirt_model::PciAddress;
use gpuvirt_model::import::{DriverOverride, ForeignSetup, KeptAway, MdevDefinition, Origin, VfioIds};
use uuid::Uuid;

use crate::files::Files;
use crate::parse::{kept_away, mdevctl, modprobe, vfio_ids};
use crate::paths;
use crate::sysfs::Sysfs;

/// Longer than any such file that a person wrote.
const LONGEST: usize = 1 << 20;

/// Reads them all.
pub fn read(sysfs: &dyn Sysfs) -> ForeignSetup {
    let mut reader = Reader { files: Files::new(sysfs), found: ForeignSetup::default() };
    reader.driverctl();
    reader.mdevctl();
    reader.built_in();
    reader.command_line();
    reader.modprobe();
    reader.initramfs();
    reader.udev();
    reader.proxmox();
    reader.found
}

struct Reader<'a> {
    files: Files<'a>,
    found: ForeignSetup,
}

impl Reader<'_> {
    /// `/etc/driverctl.d/pci-0000:41:00.0` holds a driver's name; empty after `unset-override`.
    fn driverctl(&mut self) {
        for name in self.names(paths::DRIVERCTL) {
            let Some(address) = name.strip_prefix("pci-") else { continue };
            let path = format!("{}/{name}", paths::DRIVERCTL);
            let Some(text) = self.text(&path) else { continue };
            let driver = text.trim();
            match PciAddress::parse(address) {
                Err(_) => self.odd(&path, "the name holds no PCI address"),
                Ok(_) if driver.is_empty() => {}
                Ok(address) => self.found.overrides.push(DriverOverride {
                    address,
                    driver: driver.chars().take(64).collect(),
                    origin: Origin::file(&path),
                }),
            }
        }
    }

    fn mdevctl(&mut self) {
        for parent in self.names(paths::MDEVCTL) {
            // Parents that are no PCI functions (s390's channels, call-out scripts) are none of ours.
            let Ok(address) = PciAddress::parse(&parent) else { continue };
            let folder = format!("{}/{parent}", paths::MDEVCTL);
            for name in self.names(&folder) {
                let path = format!("{folder}/{name}");
                let Ok(uuid) = Uuid::try_parse(&name) else {
                    self.odd(&path, "the name is no UUID");
                    continue;
                };
                let Some(text) = self.text(&path) else { continue };
                match mdevctl::definition(&text) {
                    Err(why) => self.odd(&path, &why),
                    Ok(read) => self.found.mdevs.push(MdevDefinition {
                        uuid,
                        parent: address,
                        type_id: read.type_id,
                        auto: read.auto,
                        params: read.params,
                        other_attributes: read.other_attributes,
                        origin: Origin::file(&path),
                    }),
                }
            }
        }
    }

    fn command_line(&mut self) {
        let Some(line) = self.text(paths::CMDLINE) else { return };
        for (_, value) in vfio_ids::of_command_line(&line, self.found.vfio_built_in) {
            self.ids(value, Origin::file(paths::CMDLINE), true);
        }
        for says in kept_away::of_command_line(&line) {
            self.found.kept_away.push(KeptAway { says, origin: Origin::file(paths::CMDLINE) });
        }
    }

    fn modprobe(&mut self) {
        let folders = paths::MODPROBE.map(|folder| (folder, self.names(folder)));
        for path in modprobe::in_effect(&folders) {
            let Some(text) = self.text(&path) else { continue };
            for (line, value) in vfio_ids::of_modprobe(&text) {
                self.ids(value, Origin::line(&path, line), true);
            }
            for (line, says) in kept_away::of_modprobe(&text) {
                self.found.kept_away.push(KeptAway { says, origin: Origin::line(&path, line) });
            }
        }
    }

    fn ids(&mut self, value: Vec<vfio_ids::Entry>, origin: Origin, heard: bool) {
        let mut ids = Vec::new();
        for entry in value {
            match entry {
                Ok(id) => ids.push(id),
                Err(text) => self.odd(&origin.to_string(), &format!("{text:?} is no vendor:device")),
            }
        }
        self.found.vfio_ids.push(VfioIds { ids, origin, heard });
    }

    fn names(&mut self, folder: &str) -> Vec<String> {
        match self.files.sysfs.list(folder) {
            Ok(names) => names,
            Err(error) if is_absent(&error) => Vec::new(),
            Err(error) => {
                self.odd(folder, &error.to_string());
                Vec::new()
            }
        }
    }

    fn text(&mut self, path: &str) -> Option<String> {
        match self.files.long_text(path, LONGEST) {
            Ok(text) => Some(text),
            Err(error) if is_absent(&error) => None,
            Err(error) => {
                self.odd(path, &error.to_string());
                None
            }
        }
    }

    fn odd(&mut self, path: &str, what: &str) {
        self.found.oddities.push(format!("{path}: {what}"));
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests;
