//! What stays open between two reads: a folder whose files are read one by one, a long file of which parts are.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// A folder with its names, sorted, and the folder itself where that helps to read what is in it.
#[derive(Debug)]
pub struct OpenFolder {
    /// With a `/` at its end.
    prefix: String,
    names: Vec<String>,
    at: Option<File>,
}

impl OpenFolder {
    /// A folder that is found by its path each time.
    pub fn named(path: &str, names: Vec<String>) -> Self {
        Self { prefix: [path, "/"].concat(), names, at: None }
    }

    /// A folder that stays open.
    pub(crate) fn at(path: &str, names: Vec<String>, at: File) -> Self {
        Self { at: Some(at), ..Self::named(path, names) }
    }

    /// The names in it when it was opened, sorted.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The full path of a file in it.
    pub fn path(&self, name: &str) -> String {
        [self.prefix.as_str(), name].concat()
    }

    /// What the path of each file in it begins with.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The open folder.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.at.as_ref().map(AsFd::as_fd)
    }

    /// Lets go of it: a process may have so many files open, and a host has more functions than that.
    pub(crate) fn close(&mut self) {
        self.at = None;
    }
}

/// A file of which parts are read.
pub trait LongFile {
    /// How many bytes it has.
    fn length(&self) -> u64;

    /// Fills `room` from that place on, as far as the file goes; says how far.
    ///
    /// # Errors
    /// The errno of the read.
    fn read_at(&self, room: &mut [u8], from: u64) -> io::Result<usize>;
}

impl LongFile for Vec<u8> {
    fn length(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, room: &mut [u8], from: u64) -> io::Result<usize> {
        let rest = usize::try_from(from).ok().and_then(|from| self.get(from..)).unwrap_or_default();
        let count = rest.len().min(room.len());
        let (to, from) = (room.split_at_mut(count).0, rest.split_at(count).0);
        to.copy_from_slice(from);
        Ok(count)
    }
}
