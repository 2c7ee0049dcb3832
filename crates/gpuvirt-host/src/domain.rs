//! libvirt's own files of its domains, for whoever looks while gpuvirtd or libvirt does not answer: read, as root alone, and never
//! written.
//!
//! `/etc/libvirt/qemu/NAME.xml` is what the next start uses, `autostart/NAME.xml` beside it says that it starts with the host, and
//! `/run/libvirt/qemu/NAME.xml` is there while QEMU runs (libvirt's `virDomainObjSave`, `qemuDomainSaveStatus`). They hold
//! passwords: no text of them goes into a log, an error or a recording.

use std::collections::BTreeSet;
use std::io;

use crate::paths;
use crate::sysfs::Sysfs;

/// Longer than any definition that libvirt takes.
const LONGEST: usize = 4 << 20;

/// A domain's files.
#[derive(Clone, PartialEq, Eq)]
pub struct DomainFiles {
    /// The domain's name, as the files are called.
    pub name: String,
    /// Its stored definition; none: it is transient.
    pub stored: Option<String>,
    /// What QEMU runs with, within libvirt's own notes of it; none: it does not run.
    pub running: Option<String>,
    /// libvirt starts it with the host.
    pub autostart: bool,
}

/// The domains of the host's own libvirt for QEMU; none where it has no such folder.
///
/// # Errors
/// The errno of listing the folders or of reading a file: `EACCES` for anybody but root.
pub fn read(sysfs: &dyn Sysfs) -> io::Result<Option<Vec<DomainFiles>>> {
    let Some(stored) = names(sysfs, paths::DOMAINS)? else { return Ok(None) };
    let running = names(sysfs, paths::RUNNING_DOMAINS)?.unwrap_or_default();
    let autostarted = names(sysfs, paths::AUTOSTARTED_DOMAINS)?.unwrap_or_default();
    let all = stored.union(&running).map(|name| {
        Ok(DomainFiles {
            stored: if stored.contains(name) { text(sysfs, paths::DOMAINS, name)? } else { None },
            running: if running.contains(name) { text(sysfs, paths::RUNNING_DOMAINS, name)? } else { None },
            autostart: autostarted.contains(name),
            name: name.clone(),
        })
    });
    all.collect::<io::Result<Vec<_>>>().map(Some)
}

/// The stored definitions of the domains that start with the host; none where libvirt has no such folder.
///
/// # Errors
/// As [`read`].
pub fn autostarted(sysfs: &dyn Sysfs) -> io::Result<Option<Vec<String>>> {
    if names(sysfs, paths::DOMAINS)?.is_none() {
        return Ok(None);
    }
    let names = names(sysfs, paths::AUTOSTARTED_DOMAINS)?.unwrap_or_default();
    let texts = names.iter().filter_map(|name| text(sysfs, paths::DOMAINS, name).transpose());
    texts.collect::<io::Result<Vec<_>>>().map(Some)
}

/// A domain's file; none: it was undefined, or ended, since the folder was listed.
fn text(sysfs: &dyn Sysfs, folder: &str, name: &str) -> io::Result<Option<String>> {
    match sysfs.read(&format!("{folder}/{name}.xml"), LONGEST) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(|bytes| Some(String::from_utf8_lossy(&bytes).into_owned())),
    }
}

/// The names of the XML files in a folder; none where there is no folder.
fn names(sysfs: &dyn Sysfs, folder: &str) -> io::Result<Option<BTreeSet<String>>> {
    match sysfs.list(folder) {
        Ok(names) => {
            Ok(Some(names.iter().filter_map(|name| name.strip_suffix(".xml")).map(str::to_owned).collect()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
