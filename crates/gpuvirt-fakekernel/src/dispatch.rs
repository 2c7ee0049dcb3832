//! Whose file is written: from the path to the part of the kernel that owns it.

use gpuvirt_model::PciAddress;
use nix::errno::Errno;
use uuid::Uuid;

use crate::driver::DRIVERS;
use crate::files::Node;
use crate::iommu::GROUPS;
use crate::state::Kernel;
use crate::writes::{Answer, Stop};

/// Files that can only be read: the kernel refuses to open them for writing, for root too.
const READ_ONLY: [&str; 17] = [
    "available_instances",
    "boot_vga",
    "creatable_vgpu_types",
    "class",
    "description",
    "device",
    "device_api",
    "modalias",
    "name",
    "power_state",
    "resource",
    "sriov_totalvfs",
    "subsystem_device",
    "subsystem_vendor",
    "vendor",
    "vbios",
    "revision",
];

impl Kernel {
    /// The kernel's reaction to a write.
    pub(crate) fn dispatch(&mut self, path: &str, data: &[u8]) -> Answer {
        let at = match self.files.resolve(path, true) {
            Ok(at) => at,
            Err(errno) => return self.absent(path, errno),
        };
        match self.files.get(&at) {
            Some(Node::File(_) | Node::WriteOnly) => {}
            Some(Node::Folder(_)) => return Err(Errno::EISDIR.into()),
            _ => return self.unknown(path),
        }
        // A write of nothing never gets to the attribute's driver.
        if data.is_empty() {
            return Ok(());
        }
        if let Some(rest) = at.strip_prefix(DRIVERS).and_then(|rest| rest.strip_prefix('/')) {
            return self.driver_file(rest, data, path);
        }
        match at.as_str() {
            "/sys/bus/pci/drivers_probe" => return self.drivers_probe(data),
            "/sys/bus/pci/drivers_autoprobe" => return self.drivers_autoprobe(data),
            "/sys/bus/pci/rescan" => return self.rescan(data),
            _ => {}
        }
        if let Some(card) = at.strip_suffix("/unbindLock").and_then(|at| at.rsplit('/').next()) {
            let card = PciAddress::parse(card).map_err(|_| Errno::EINVAL)?;
            return self.set_lock(card, data);
        }
        let group = at.strip_prefix(GROUPS).and_then(|rest| rest.strip_prefix('/')?.strip_suffix("/type"));
        if let Some(group) = group.and_then(|group| group.parse().ok()) {
            return self.set_group_type(group, data);
        }
        if let Some(folder) = at.strip_suffix("/bind").filter(|at| at.contains("/vtconsole/")) {
            return self.bind_console(folder, data);
        }
        self.device_file(&at, data, path)
    }

    fn driver_file(&mut self, rest: &str, data: &[u8], path: &str) -> Answer {
        match rest.split_once('/') {
            Some((driver, "bind")) => self.bind(driver, data),
            Some((driver, "unbind")) => self.unbind(driver, data),
            Some((driver, "new_id")) => self.new_id(driver, data),
            Some((driver, "remove_id")) => self.remove_id(driver, data),
            _ => self.unknown(path),
        }
    }

    /// A file in the folder of a function or of a mediated device.
    fn device_file(&mut self, at: &str, data: &[u8], path: &str) -> Answer {
        let mut names: Vec<&str> = at.split('/').collect();
        let mut below = Vec::new();
        while let Some(name) = names.pop() {
            let rest = || below.iter().rev().copied().collect::<Vec<&str>>().join("/");
            if let Ok(function) = PciAddress::parse(name) {
                return self.function_file(function, &rest(), (at, path), data);
            }
            if Uuid::try_parse(name).is_ok() && rest() == "nvidia/vgpu_params" {
                return self.set_vgpu_params(at, data);
            }
            if Uuid::try_parse(name).is_ok() && rest() == "remove" {
                return self.remove_mdev(name, data);
            }
            below.push(name);
        }
        self.unknown(path)
    }

    /// `at` is where `path` leads to.
    fn function_file(
        &mut self,
        function: PciAddress,
        name: &str,
        (at, path): (&str, &str),
        data: &[u8],
    ) -> Answer {
        match name {
            "driver_override" => self.set_override(function, data),
            "remove" => self.remove(function, data),
            "rescan" => self.rescan(data),
            "reset" => self.reset(function, data),
            "reset_method" => self.set_reset_method(function, data),
            "sriov_numvfs" => self.set_numvfs(function, data),
            "sriov_drivers_autoprobe" => self.set_sriov_autoprobe(function, data),
            "nvidia/current_vgpu_type" => self.set_vgpu_type(function, data),
            "nvidia/vgpu_params" => self.set_vgpu_params(at, data),
            "power/control" => self.set_power_control(function, data),
            "d3cold_allowed" => self.set_d3cold(function, data),
            _ => {
                match name.strip_prefix("mdev_supported_types/").and_then(|rest| rest.strip_suffix("/create"))
                {
                    Some(type_id) => self.create_mdev(function, type_id, data),
                    None => self.unknown(path),
                }
            }
        }
    }

    /// A path that does not lead anywhere now: `ENOENT`, if it is one that could.
    fn absent(&mut self, path: &str, errno: Errno) -> Answer {
        let name = path.rsplit('/').next().unwrap_or_default();
        let known = [
            "bind",
            "unbind",
            "new_id",
            "remove_id",
            "drivers_probe",
            "drivers_autoprobe",
            "rescan",
            "remove",
            "driver_override",
            "reset",
            "reset_method",
            "sriov_numvfs",
            "sriov_drivers_autoprobe",
            "create",
            "control",
            "current_vgpu_type",
            "vgpu_params",
            "d3cold_allowed",
            "type",
            "unbindLock",
        ];
        if known.contains(&name) { Err(errno.into()) } else { self.unknown(path) }
    }

    fn unknown(&mut self, path: &str) -> Answer {
        let name = path.rsplit('/').next().unwrap_or_default();
        if READ_ONLY.contains(&name) {
            return Err(Errno::EACCES.into());
        }
        self.unmodelled.insert(path.to_owned());
        Err(Stop::Unmodelled)
    }
}
