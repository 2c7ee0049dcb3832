//! Mounts of processes: files on network and user-space file systems are not asked about, since the answer may never
//! come, and no device node of this host lives there.

use std::collections::BTreeMap;

use crate::files::Files;
use crate::parse::maps::{Mount, is_on_remote, mounts};
use crate::paths;

/// More mounts than a busy container host has.
const MOUNT_LIST: usize = 4 << 20;

/// Mount lists, one for each mount namespace.
#[derive(Debug, Default)]
pub(super) struct MountTables {
    by_namespace: BTreeMap<String, Vec<Mount>>,
}

impl MountTables {
    /// Whether asking about this file of the process could wait for somebody else.
    pub(super) fn may_hang(&mut self, files: Files<'_>, process: &mut Namespace, path: &str) -> bool {
        // What lies below /dev is no network's.
        if path.starts_with("/dev/") || path.starts_with("/sys/") || path.starts_with("/proc/") {
            return false;
        }
        let namespace = process.name.get_or_insert_with(|| {
            files.link(&paths::process_file(process.pid, "ns/mnt")).unwrap_or_default()
        });
        let table = self.by_namespace.entry(namespace.clone()).or_insert_with(|| {
            let text = files.long_text(&paths::process_file(process.pid, "mountinfo"), MOUNT_LIST);
            mounts(&text.unwrap_or_default())
        });
        is_on_remote(table, path)
    }
}

/// A process's mount namespace, looked up when it is first needed.
#[derive(Debug)]
pub(super) struct Namespace {
    pid: u32,
    name: Option<String>,
}

impl Namespace {
    pub(super) fn of(pid: u32) -> Self {
        Self { pid, name: None }
    }
}
