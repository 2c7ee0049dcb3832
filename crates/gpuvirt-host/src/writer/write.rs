//! The writes that a writer makes: a fixed list, whoever asks. It is what stands between whoever may ask and root's rights, so
//! it judges the text itself and trusts nobody who has judged it before.

use gpuvirt_model::{DriverName, PciAddress, VgpuParams};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::read::is_function;
use crate::parse::mdev::is_type_id;

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

/// Overriding a function's driver, unbinding and probing a function, letting one sleep or not, removing one, setting the
/// number of its VFs and whether they are probed, setting a VF's vGPU type and a vGPU's parameters, making and removing a mediated device, and
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
        ["", "sys", "bus", "pci", "devices", function, "power", "control"] => {
            is_function(function) && matches!(data, "on" | "auto")
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
            ("/sys/bus/pci/devices/0000:41:00.0/power/control", "auto"),
            ("/sys/bus/pci/devices/0000:41:00.0/power/control", "on"),
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
            ("/sys/bus/pci/devices/0000:41:00.0/power/control", "on", gpu, None),
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
            ("/sys/bus/pci/devices/0000:41:00.0/power/control", "off"),
            ("/sys/bus/pci/devices/0000:41:00.0/power/control", ""),
            ("/sys/bus/pci/devices/0000:41:00.0/power/autosuspend_delay_ms", "on"),
            ("/sys/bus/pci/devices/../power/control", "on"),
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

    /// What a path may be made of, and what would lead one elsewhere.
    const PARTS: [&str; 28] = [
        "",
        ".",
        "..",
        "~",
        "sys",
        "proc",
        "etc",
        "bus",
        "pci",
        "mdev",
        "devices",
        "drivers",
        "driver",
        "nvidia",
        "gpus",
        "0000:41:00.0",
        "41:00.0",
        "c73f1fa6-489e-4834-9476-d70dabd98c40",
        "mdev_supported_types",
        "i915-4",
        "create",
        "remove",
        "unbind",
        "driver_override",
        "vgpu_params",
        "drivers_probe",
        "unbindLock",
        "a\0b",
    ];

    proptest::proptest! {
        #[test]
        fn no_path_leads_out_of_the_lists_folders(parts in proptest::collection::vec(0..PARTS.len(), 1..9), data in 0..PARTS.len()) {
            let parts: Vec<&str> = parts.into_iter().filter_map(|part| PARTS.get(part).copied()).collect();
            let path = parts.join("/");
            if let Ok(write) = BlockingWrite::parse(&path, PARTS.get(data).copied().unwrap_or_default().as_bytes()) {
                let known = ["/sys/bus/pci/", "/sys/bus/mdev/devices/", "/proc/driver/"];
                assert!(known.iter().any(|folder| write.path().starts_with(folder)), "{path}");
                assert!(!parts.iter().skip(1).any(|part| ["", ".", "..", "~", "a\0b"].contains(part)), "{path}");
            }
        }

        #[test]
        fn any_text_is_judged(path in ".*", data in proptest::collection::vec(proptest::num::u8::ANY, 0..64)) {
            assert!(BlockingWrite::parse(&path, &data).is_err());
        }
    }
}
