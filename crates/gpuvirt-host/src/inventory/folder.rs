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
