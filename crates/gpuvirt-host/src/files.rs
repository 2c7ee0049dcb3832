//! Kernel files as text: the few shapes of reading that the inventory and the steps share.

use std::io;
use std::time::Duration;

use crate::parse::pci::last_component;
use crate::sysfs::{ATTRIBUTE, OpenFolder, ReadError, Sysfs, WriteError};

/// Reading through the seam.
#[derive(Clone, Copy)]
pub(crate) struct Files<'a> {
    pub(crate) sysfs: &'a dyn Sysfs,
}

impl<'a> Files<'a> {
    pub(crate) fn new(sysfs: &'a dyn Sysfs) -> Self {
        Self { sysfs }
    }

    /// An attribute's text.
    pub(crate) fn text(self, path: &str) -> io::Result<String> {
        as_text(self.sysfs.read(path, ATTRIBUTE)?)
    }

    /// The text of an attribute in an open folder.
    pub(crate) fn text_in(self, folder: &OpenFolder, name: &str) -> io::Result<String> {
        as_text(self.sysfs.read_in(folder, name, ATTRIBUTE)?)
    }

    /// The text of an attribute that waits for its device's lock.
    pub(crate) fn text_that_may_block(self, path: &str, deadline: Duration) -> Result<String, ReadError> {
        self.begin_text_that_may_block(path, deadline)()
    }

    /// The same, asked for now and waited for by calling what is returned.
    pub(crate) fn begin_text_that_may_block(
        self,
        path: &str,
        deadline: Duration,
    ) -> impl FnOnce() -> Result<String, ReadError> + use<'a> {
        let begun = self.sysfs.begin_read_that_may_block(path, ATTRIBUTE, deadline);
        move || as_text(begun()?).map_err(ReadError::Errno)
    }

    /// Sets such an attribute; its text then.
    pub(crate) fn set(
        self,
        path: &str,
        data: &str,
        shown: &[&str],
        deadline: Duration,
    ) -> Result<String, WriteError> {
        as_text(self.sysfs.set(path, data.as_bytes(), shown, deadline)?).map_err(WriteError::Errno)
    }

    /// A long file's text; what is no UTF-8 in it is replaced.
    pub(crate) fn long_text(self, path: &str, limit: usize) -> io::Result<String> {
        let bytes = self.sysfs.read(path, limit)?;
        Ok(String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
    }

    /// The last component of a link's target.
    pub(crate) fn link(self, path: &str) -> io::Result<String> {
        let target = self.sysfs.read_link(path)?;
        Ok(last_component(&target).to_owned())
    }

    /// The same of a link in an open folder.
    pub(crate) fn link_in(self, folder: &OpenFolder, name: &str) -> io::Result<String> {
        let target = self.sysfs.read_link_in(folder, name)?;
        Ok(last_component(&target).to_owned())
    }
}

fn as_text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|e| {
        let shown: String = String::from_utf8_lossy(e.as_bytes()).chars().take(20).collect();
        io::Error::new(io::ErrorKind::InvalidData, format!("no text: {shown:?}"))
    })
}

/// A value found in a file, for a message: short, on one line.
pub(crate) fn shown(text: &str) -> String {
    let head: String = text.trim_end().chars().take(40).collect();
    format!("{head:?}")
}
