//! A PCI function's folder: its names are listed once, its files are read by name, and what makes no sense is noted.

use std::io;

use gpuvirt_model::PciAddress;

use crate::files::{Files, shown};
use crate::paths;
use crate::sysfs::OpenFolder;

/// A function's folder.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) address: PciAddress,
    open: OpenFolder,
    pub(super) oddities: Vec<String>,
}

impl Folder {
    pub(super) fn open(files: Files<'_>, address: PciAddress) -> Self {
        let path = paths::function(address);
        match files.sysfs.open_folder(&path) {
            Ok(open) => Self { address, open, oddities: Vec::new() },
            Err(e) => {
                let open = OpenFolder::named(&path, Vec::new());
                let mut folder = Self { address, open, oddities: Vec::new() };
                folder.note("", &e.to_string());
                folder
            }
        }
    }

    /// Whether the open folder is no function's any more, and its path leads to another. In the folder of a device that has
    /// gone nothing is found (ENOENT), as if it had never been there; every device has this link until it goes
    /// (drivers/base/bus.c, `bus_remove_device`).
    pub(super) fn was_replaced(&self, files: Files<'_>) -> bool {
        self.open.descriptor().is_some()
            && files.sysfs.read_link_in(&self.open, "subsystem").is_err()
            && files.sysfs.exists(&paths::function(self.address))
    }

    /// What is read of it from now on is found by its path.
    pub(super) fn close(&mut self) {
        self.open.close();
    }

    /// The folder to read in.
    pub(super) fn open_folder(&self) -> &OpenFolder {
        &self.open
    }

    /// Whether the folder holds this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.names().binary_search_by(|have| have.as_str().cmp(name)).is_ok()
    }

    /// All names in the folder.
    pub(super) fn names(&self) -> &[String] {
        self.open.names()
    }

    /// The full path of a file in the folder.
    pub(super) fn path(&self, name: &str) -> String {
        self.open.path(name)
    }

    pub(super) fn note(&mut self, name: &str, what: &str) {
        self.oddities.push(format!("{}: {what}", self.path(name)));
    }

    /// A value that every function has: its absence is noted too.
    pub(super) fn required<T>(
        &mut self,
        files: Files<'_>,
        name: &str,
        parse: fn(&str) -> Option<T>,
    ) -> Option<T> {
        if !self.has(name) {
            self.note(name, "not there");
            return None;
        }
        self.value(files, name, parse)
    }

    /// A value that a function may have.
    pub(super) fn value<T>(
        &mut self,
        files: Files<'_>,
        name: &str,
        parse: fn(&str) -> Option<T>,
    ) -> Option<T> {
        if !self.has(name) {
            return None;
        }
        match files.text_in(&self.open, name) {
            Ok(text) => {
                let value = parse(&text);
                if value.is_none() {
                    self.note(name, &format!("{} makes no sense", shown(&text)));
                }
                value
            }
            // Gone since the folder was listed: as if it had not been there.
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => {
                self.note(name, &e.to_string());
                None
            }
        }
    }

    /// The last component of a link's target.
    pub(super) fn link(&mut self, files: Files<'_>, name: &str) -> Option<String> {
        if !self.has(name) {
            return None;
        }
        match files.link_in(&self.open, name) {
            Ok(target) => Some(target),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => {
                self.note(name, &e.to_string());
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::linux::LinuxSysfs;

    #[test]
    fn another_device_at_the_same_place_is_noticed() {
        let root = tempfile::tempdir().unwrap();
        let address = PciAddress::parse("0000:41:00.0").unwrap();
        let device = root.path().join("sys/bus/pci/devices/0000:41:00.0");
        let plug_in = |vendor: &str| {
            fs::create_dir_all(&device).unwrap();
            let mut file = fs::File::create(device.join("vendor")).unwrap();
            file.write_all(vendor.as_bytes()).unwrap();
            symlink("../../../../bus/pci", device.join("subsystem")).unwrap();
        };
        let sysfs = LinuxSysfs::below(root.path().to_str().unwrap());
        let files = Files::new(&sysfs);
        plug_in("0x10de");
        let mut folder = Folder::open(files, address);
        assert!(!folder.was_replaced(files));
        fs::remove_dir_all(&device).unwrap();
        assert!(!folder.was_replaced(files), "it has only gone");
        plug_in("0x1002");
        assert!(folder.was_replaced(files));
        assert_eq!(
            folder.required(files, "vendor", |text| Some(text.to_owned())),
            None,
            "nothing is read of the other"
        );
        let mut anew = Folder::open(files, address);
        assert_eq!(anew.required(files, "vendor", |text| Some(text.to_owned())).as_deref(), Some("0x1002"));
    }
}
