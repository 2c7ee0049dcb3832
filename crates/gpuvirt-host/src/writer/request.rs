//! What a writer may be asked for, and how it is asked: a line of JSON each way.

use std::io;

use gpuvirt_model::{DriverName, PciAddress, VgpuParams};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::modprobe;
use crate::parse::mdev::is_type_id;
use crate::vendor::{ProgramCall, ProgramEnd};

/// The longest line of the protocol; a path and its data are far shorter.
pub(crate) const LINE_LIMIT: u64 = 4096;

/// The longest answer: a program's two outputs, escaped.
pub(super) const ANSWER_LIMIT: u64 = 2 << 20;

/// A write that a writer makes: one of the few that can block, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawWrite", into = "RawWrite")]
pub struct BlockingWrite {
    path: String,
    data: String,
}

/// The same, unchecked, as it stands on the line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct RawWrite {
    path: String,
    data: String,
}

/// Why a write is none of a writer's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("writing {data:?} to {path:?} is not among the writes that can block")]
pub struct BlockingWriteError {
    path: String,
    data: String,
}

impl BlockingWrite {
    /// Checks a write against the list of those that we make.
    ///
    /// # Errors
    /// [`BlockingWriteError`] for every other path or content.
    pub fn parse(path: &str, data: &[u8]) -> Result<Self, BlockingWriteError> {
        let data = String::from_utf8_lossy(data).into_owned();
        if is_allowed(path, data.trim_end_matches('\n')) {
            Ok(Self { path: path.to_owned(), data })
        } else {
            Err(BlockingWriteError { path: path.to_owned(), data })
        }
    }

    /// The kernel file.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What is written.
    pub fn data(&self) -> &str {
        &self.data
    }

    /// The function whose lock the write may hold; for a mediated device its parent, where the path names it.
    pub fn function(&self) -> Option<PciAddress> {
        let data = self.data.trim_end_matches('\n');
        self.path.split('/').chain([data]).find_map(|part| PciAddress::parse(part).ok())
    }

    /// The mediated device that the write makes or removes.
    pub fn mdev(&self) -> Option<Uuid> {
        let data = self.data.trim_end_matches('\n');
        self.path.split('/').chain([data]).find_map(|part| Uuid::parse_str(part).ok())
    }
}

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

/// What is asked of a writer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Request {
    /// A write.
    Write(BlockingWrite),
    /// A read.
    Read(BlockingRead),
    /// A program to be run.
    Run(ProgramCall),
    /// A kernel module to be loaded.
    Load(ModuleName),
    /// Who it is.
    Introduce,
}

/// Rises with each change of these lines that the other side would not understand.
pub(super) const PROTOCOL: u32 = 1;

/// A module's name: letters, digits, `_` and `-`, for it becomes an argument of modprobe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct ModuleName(String);

/// Why a text is no module's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no module name")]
pub(crate) struct ModuleNameError(String);

impl ModuleName {
    /// Checks a name.
    pub(crate) fn parse(name: &str) -> Result<Self, ModuleNameError> {
        if modprobe::is_module_name(name) {
            Ok(Self(name.to_owned()))
        } else {
            Err(ModuleNameError(name.to_owned()))
        }
    }

    /// The name.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ModuleName {
    type Error = ModuleNameError;
    fn try_from(name: String) -> Result<Self, Self::Error> {
        Self::parse(&name)
    }
}

impl From<ModuleName> for String {
    fn from(name: ModuleName) -> Self {
        name.0
    }
}

/// Overriding a function's driver, unbinding and probing a function, removing one, setting the number of its VFs and
/// whether they are probed, setting a VF's vGPU type and a vGPU's parameters, making and removing a mediated device, and
/// taking the lock of a card's driver.
fn is_allowed(path: &str, data: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        ["", "sys", "bus", "pci", "devices", function, "driver", "unbind"] => {
            is_function(function) && data == *function
        }
        ["", "sys", "bus", "pci", "drivers_probe"] => is_function(data),
        ["", "sys", "bus", "pci", "drivers", driver, "unbind"] => {
            DriverName::parse(driver).is_ok() && is_function(data)
        }
        ["", "sys", "bus", "pci", "devices", function, "driver_override"] => {
            is_function(function) && (data.is_empty() || DriverName::parse(data).is_ok())
        }
        ["", "sys", "bus", "pci", "devices", function, "mdev_supported_types", type_id, "create"] => {
            is_function(function) && is_type_id(type_id) && is_uuid(data)
        }
        ["", "sys", "bus", "pci", "devices", function, "remove"] => is_function(function) && data == "1",
        ["", "sys", "bus", "pci", "devices", function, "sriov_numvfs"] => {
            is_function(function) && data.parse::<u16>().is_ok_and(|count| count.to_string() == data)
        }
        ["", "sys", "bus", "pci", "devices", function, "sriov_drivers_autoprobe"] => {
            is_function(function) && matches!(data, "0" | "1")
        }
        ["", "proc", "driver", driver, "gpus", function, "unbindLock"] => {
            DriverName::parse(driver).is_ok() && is_function(function) && matches!(data, "0" | "1")
        }
        // The driver asks the card's firmware, which may be busy with a guest.
        ["", "sys", "bus", "pci", "devices", function, "nvidia", "current_vgpu_type"] => {
            is_function(function) && data.parse::<u32>().is_ok_and(|id| id.to_string() == data)
        }
        ["", "sys", "bus", "pci", "devices", function, "nvidia", "vgpu_params"] => {
            is_function(function) && is_params(data)
        }
        ["", "sys", "bus", "mdev", "devices", uuid, "nvidia", "vgpu_params"] => {
            is_uuid(uuid) && is_params(data)
        }
        ["", "sys", "bus", "mdev", "devices", uuid, "remove"] => is_uuid(uuid) && data == "1",
        ["", "sys", "bus", "pci", "devices", function, uuid, "remove"] => {
            is_function(function) && is_uuid(uuid) && data == "1"
        }
        _ => false,
    }
}

fn is_function(text: &str) -> bool {
    PciAddress::parse(text).is_ok_and(|address| address.to_string() == text)
}

/// One space clears them.
fn is_params(text: &str) -> bool {
    text == " "
        || text.parse::<VgpuParams>().is_ok_and(|params| !params.is_empty() && params.to_string() == text)
}

fn is_uuid(text: &str) -> bool {
    Uuid::parse_str(text).is_ok_and(|uuid| uuid.to_string() == text)
}

impl TryFrom<RawWrite> for BlockingWrite {
    type Error = BlockingWriteError;
    fn try_from(raw: RawWrite) -> Result<Self, Self::Error> {
        Self::parse(&raw.path, raw.data.as_bytes())
    }
}

impl From<BlockingWrite> for RawWrite {
    fn from(write: BlockingWrite) -> Self {
        Self { path: write.path, data: write.data }
    }
}

/// A writer's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Answer {
    /// The kernel took the write.
    Done,
    /// What was read.
    Content(Vec<u8>),
    /// How a program ended.
    Ended(ProgramEnd),
    /// Who it is: its process, and how it speaks.
    Introduced {
        /// Its process.
        pid: u32,
        /// [`PROTOCOL`].
        protocol: u32,
    },
    /// The kernel's errno.
    Errno(i32),
    /// The request was not understood or not allowed; nothing was written.
    Rejected(String),
}

impl Answer {
    /// Why an answer is none to what was asked.
    pub(crate) fn unexpected(self) -> io::Error {
        match self {
            Self::Rejected(why) => io::Error::other(why),
            Self::Done | Self::Content(_) | Self::Ended(_) | Self::Introduced { .. } | Self::Errno(_) => {
                io::Error::other("it answered another question")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_writes_that_we_make_are_allowed() {
        let uuid = "c73f1fa6-489e-4834-9476-d70dabd98c40";
        for (path, data) in [
            ("/sys/bus/pci/devices/0000:41:00.0/driver/unbind", "0000:41:00.0"),
            ("/sys/bus/pci/drivers/nvidia/unbind", "0000:41:00.0\n"),
            ("/sys/bus/pci/drivers_probe", "0000:41:00.0"),
            ("/sys/bus/pci/devices/0000:41:00.0/remove", "1"),
            ("/sys/bus/pci/devices/0000:41:00.0/sriov_numvfs", "0"),
            ("/sys/bus/pci/devices/0000:41:00.0/driver_override", "vfio-pci"),
            ("/sys/bus/pci/devices/0000:41:00.0/driver_override", "\n"),
            ("/sys/bus/pci/devices/0000:41:00.0/sriov_drivers_autoprobe", "0"),
            ("/proc/driver/nvidia/gpus/0000:41:00.0/unbindLock", "1"),
            ("/sys/bus/pci/devices/0000:41:00.0/mdev_supported_types/nvidia-563/create", uuid),
            ("/sys/bus/pci/devices/0000:41:00.4/nvidia/current_vgpu_type", "0"),
            ("/sys/bus/pci/devices/0000:41:00.4/nvidia/current_vgpu_type", "1145"),
            (&format!("/sys/bus/mdev/devices/{uuid}/remove"), "1"),
            (&format!("/sys/bus/pci/devices/0000:41:00.0/{uuid}/remove"), "1\n"),
        ] {
            assert!(BlockingWrite::parse(path, data.as_bytes()).is_ok(), "{path} {data}");
        }
    }

    #[test]
    fn a_write_names_what_it_may_hold() {
        let uuid = "c73f1fa6-489e-4834-9476-d70dabd98c40";
        let gpu = Some(PciAddress { domain: 0, bus: 0x41, slot: 0, function: 0 });
        let mdev = Uuid::parse_str(uuid).ok();
        for (path, data, function, device) in [
            ("/sys/bus/pci/devices/0000:41:00.0/driver/unbind", "0000:41:00.0", gpu, None),
            ("/sys/bus/pci/drivers/nvidia/unbind", "0000:41:00.0\n", gpu, None),
            ("/sys/bus/pci/drivers_probe", "0000:41:00.0", gpu, None),
            ("/sys/bus/pci/devices/0000:41:00.0/sriov_numvfs", "0", gpu, None),
            ("/sys/bus/pci/devices/0000:41:00.0/driver_override", "vfio-pci", gpu, None),
            ("/sys/bus/pci/devices/0000:41:00.0/mdev_supported_types/i915-4/create", uuid, gpu, mdev),
            (&format!("/sys/bus/mdev/devices/{uuid}/remove"), "1", None, mdev),
            (&format!("/sys/bus/pci/devices/0000:41:00.0/{uuid}/remove"), "1", gpu, mdev),
        ] {
            let write = BlockingWrite::parse(path, data.as_bytes()).unwrap();
            assert_eq!((write.function(), write.mdev()), (function, device), "{path}");
        }
    }

    #[test]
    fn everything_else_is_rejected() {
        let uuid = "c73f1fa6-489e-4834-9476-d70dabd98c40";
        for (path, data) in [
            ("/etc/passwd", "1"),
            ("/sys/bus/pci/drivers/../../../../etc/unbind", "0000:41:00.0"),
            ("/sys/bus/pci/drivers/nvidia/bind", "0000:41:00.0"),
            ("/sys/bus/pci/drivers/nvidia/unbind", "0000:41:00.0 0000:42:00.0"),
            ("/sys/bus/pci/drivers_probe", "all"),
            ("/sys/bus/pci/devices/0000:41:00.0/driver/unbind", "0000:42:00.0"),
            ("/sys/bus/pci/devices/41:00.0/remove", "1"),
            ("/sys/bus/pci/devices/0000:41:00.0/remove", "0"),
            ("/sys/bus/pci/devices/0000:41:00.0/sriov_numvfs", "+4"),
            ("/sys/bus/pci/devices/0000:41:00.0/sriov_numvfs", "65536"),
            ("/sys/bus/pci/devices/0000:41:00.4/nvidia/current_vgpu_type", "+1145"),
            ("/sys/bus/pci/devices/0000:41:00.4/nvidia/vgpu_params", "1145"),
            ("/sys/bus/pci/devices/0000:41:00.0//remove", "1"),
            ("/sys/bus/pci/devices/0000:41:00.0/sriov_drivers_autoprobe", "2"),
            ("/proc/driver/nvidia/gpus/../unbindLock", "1"),
            ("/proc/driver/../gpus/0000:41:00.0/unbindLock", "1"),
            ("/proc/driver/nvidia/gpus/0000:41:00.0/registry", "1"),
            ("/proc/sys/kernel/core_pattern", "1"),
            ("/sys/bus/pci/devices/0000:41:00.0/driver_override", "vfio-pci\nigb"),
            ("/sys/bus/pci/devices/0000:41:00.0/driver_override", "a/b"),
            ("/sys/bus/pci/devices/0000:41:00.0/mdev_supported_types/../create", uuid),
            ("/sys/bus/pci/devices/0000:41:00.0/mdev_supported_types/nvidia-563/create", "1"),
            ("/sys/bus/mdev/devices/C73F1FA6-489E-4834-9476-D70DABD98C40/remove", "1"),
            ("sys/bus/pci/devices/0000:41:00.0/remove", "1"),
            ("", ""),
        ] {
            assert!(BlockingWrite::parse(path, data.as_bytes()).is_err(), "{path} {data}");
        }
    }

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

    #[test]
    fn a_line_that_asks_for_something_else_does_not_become_a_request() {
        let line = r#"{"path":"/etc/shadow","data":"1"}"#;
        assert!(serde_json::from_str::<BlockingWrite>(line).is_err());
        for line in [r#"{"write":{"path":"/etc/shadow","data":"1"}}"#, r#"{"read":"/etc/shadow"}"#] {
            assert!(serde_json::from_str::<Request>(line).is_err());
        }
    }
}
