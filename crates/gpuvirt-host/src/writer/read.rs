//! The reads that a writer makes: of what waits for a device's lock, or is shown to few.

use gpuvirt_model::PciAddress;
use serde::{Deserialize, Serialize};

/// A read that a writer makes: of an attribute that waits for its device's lock, or of one that the kernel shows as a whole
/// to CAP_SYS_ADMIN alone, which a daemon that does not write has no other use for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct BlockingRead {
    function: PciAddress,
    path: String,
}

/// The attributes that wait for their device's lock (drivers/pci/pci-sysfs.c, drivers/pci/iov.c; the latter's before
/// Linux 6.10), and the config space, which others see the first 64 bytes of (`pci_read_config`).
const READ_BY_WRITERS: [&str; 3] = ["driver_override", "sriov_numvfs", "config"];

/// Why a read is none of a writer's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not among the files that a writer reads")]
pub(crate) struct BlockingReadError(String);

impl BlockingRead {
    /// Checks a path against the list of those that we read so.
    pub(crate) fn parse(path: &str) -> Result<Self, BlockingReadError> {
        let parts: Vec<&str> = path.split('/').collect();
        match parts.as_slice() {
            ["", "sys", "bus", "pci", "devices", function, file] if is_function(function) => {
                let function = PciAddress::parse(function).ok().filter(|_| READ_BY_WRITERS.contains(file));
                function.map(|function| Self { function, path: path.to_owned() })
            }
            _ => None,
        }
        .ok_or_else(|| BlockingReadError(path.to_owned()))
    }

    /// The kernel file.
    pub(crate) fn path(&self) -> String {
        self.path.clone()
    }

    /// The function whose lock it needs.
    pub(crate) fn function(&self) -> PciAddress {
        self.function
    }
}

impl TryFrom<String> for BlockingRead {
    type Error = BlockingReadError;
    fn try_from(path: String) -> Result<Self, Self::Error> {
        Self::parse(&path)
    }
}

impl From<BlockingRead> for String {
    fn from(read: BlockingRead) -> Self {
        read.path()
    }
}

/// As the kernel writes it, so that no other spelling names a file.
pub(super) fn is_function(text: &str) -> bool {
    PciAddress::parse(text).is_ok_and(|address| address.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_waits_for_a_lock_or_needs_more_rights_is_read() {
        for path in [
            "/sys/bus/pci/devices/0000:41:00.0/driver_override",
            "/sys/bus/pci/devices/0000:41:00.0/sriov_numvfs",
            "/sys/bus/pci/devices/0000:41:00.0/config",
        ] {
            assert_eq!(BlockingRead::parse(path).unwrap().path(), path);
        }
        for path in [
            "/etc/shadow",
            "/sys/bus/pci/devices/0000:41:00.0/resource0",
            "/sys/bus/pci/devices/0000:41:00.0/rom",
            "/sys/bus/pci/devices/41:00.0/driver_override",
            "/sys/bus/pci/devices/../driver_override",
            "",
        ] {
            assert!(BlockingRead::parse(path).is_err(), "{path}");
        }
    }
}
