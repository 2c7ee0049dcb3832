//! Reading a fact: there, not there, or unknown and why.

use std::io;

use gpuvirt_model::{Fact, Reading, Unknown};

use crate::files::Files;
use crate::parse::kernel_config;

/// Longer than any list of modules' options and any script of ours.
const PLAIN: usize = 256 << 10;

/// Reads facts through the seam.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) files: Files<'a>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(files: Files<'a>) -> Self {
        Self { files }
    }

    /// A file's text; none where the file is not there.
    pub(super) fn text(self, path: &str) -> Fact<Option<String>> {
        self.text_to(path, PLAIN)
    }

    /// The first bytes of a file as text; none where the file is not there.
    pub(super) fn text_to(self, path: &str, limit: usize) -> Fact<Option<String>> {
        self.fact(path, self.files.long_text(path, limit))
    }

    /// What a kernel was built with, compressed or not; none where the file is not there.
    pub(super) fn kernel_config(self, path: &str) -> Fact<Option<String>> {
        let broken = || io::Error::new(io::ErrorKind::InvalidData, "not to be uncompressed");
        let text = |bytes: Vec<u8>| kernel_config::text(&bytes).ok_or_else(broken);
        self.fact(path, self.files.sysfs.read(path, kernel_config::LONGEST).and_then(text))
    }

    /// The names in a folder; none where the folder is not there.
    pub(super) fn list(self, path: &str) -> Fact<Option<Vec<String>>> {
        self.fact(path, self.files.sysfs.list(path))
    }

    /// The permission bits of a file; none where it is not there.
    pub(super) fn mode(self, path: &str) -> Fact<Option<u32>> {
        self.fact(path, self.files.sysfs.mode(path))
    }

    /// Whether a file or folder is there.
    pub(super) fn presence(self, path: &str) -> Fact<bool> {
        if self.files.sysfs.exists(path) {
            return Fact { source: path.to_owned(), value: Reading::Known(true) };
        }
        // Whether it is not there, or only not to be seen, the way to it tells.
        self.fact(path, self.files.sysfs.mode(path)).map(|mode| mode.is_some())
    }

    /// A fact that every host has: one without it is not understood.
    pub(super) fn understood<T>(fact: Fact<Option<T>>) -> Fact<T> {
        let Fact { source, value } = fact;
        let value = match value {
            Reading::Known(Some(value)) => Reading::Known(value),
            Reading::Known(None) => {
                Reading::Unknown(Unknown::Unreadable { what: "not there, or not understood".to_owned() })
            }
            Reading::Unknown(why) => Reading::Unknown(why),
        };
        Fact { source, value }
    }

    fn fact<T>(self, path: &str, read: io::Result<T>) -> Fact<Option<T>> {
        let value = match read {
            Ok(value) => Reading::Known(Some(value)),
            Err(error) => match error.kind() {
                io::ErrorKind::PermissionDenied => Reading::Unknown(Unknown::NeedsRoot),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::Unsupported
                    if self.files.sysfs.knows_absence(path) =>
                {
                    Reading::Known(None)
                }
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::Unsupported => {
                    Reading::Unknown(Unknown::NotRecorded)
                }
                _ => Reading::Unknown(Unknown::Unreadable { what: error.to_string() }),
            },
        };
        Fact { source: path.to_owned(), value }
    }
}
