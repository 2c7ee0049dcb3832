//! The files of a PCI function: `driver_override`, `remove`, `reset`, power (drivers/pci/pci-sysfs.c).

use gpuvirt_model::PciAddress;
use nix::errno::Errno;

use crate::files::Node;
use crate::function::DEVICES;
use crate::inject::On;
use crate::sriov::number;
use crate::state::Kernel;
use crate::writes::{Answer, Stop};

/// A page; `driver_override` shows its value with a newline in one.
const PAGE_SIZE: usize = 4096;
/// Reset methods that the kernel knows by name.
const RESET_METHODS: [&str; 7] = ["device_specific", "acpi", "flr", "af_flr", "pm", "bus", "cxl_bus"];

impl Kernel {
    /// `driver_override_store`: `driver_set_override`. It binds and unbinds nothing.
    pub(crate) fn set_override(&mut self, function: PciAddress, data: &[u8]) -> Answer {
        if data.len() >= PAGE_SIZE - 1 {
            return Err(Errno::EINVAL.into());
        }
        if self.is_locked(function) {
            return Err(Stop::Blocks);
        }
        let after = self.struck(&On::Override { function })?;
        // The value ends at the first NUL or newline.
        let value = data.split(|byte| matches!(byte, 0 | b'\n')).next().unwrap_or_default();
        let text = String::from_utf8_lossy(value);
        let text = if text.is_empty() { "(null)\n".to_owned() } else { format!("{text}\n") };
        let path = self.file_of(function, "driver_override").ok_or(Errno::ENODEV)?;
        self.files.put_text(&path, text);
        after
    }

    /// `remove`: zero is a number, and does nothing.
    pub(crate) fn remove(&mut self, function: PciAddress, data: &[u8]) -> Answer {
        if number(data).ok_or(Errno::EINVAL)? == 0 {
            return Ok(());
        }
        let inner = self.functions_below(function);
        let all: Vec<PciAddress> = inner.into_iter().chain(self.vfs_of(function)).chain([function]).collect();
        if all.iter().any(|function| self.must_wait(*function) || self.is_locked(*function)) {
            return Err(Stop::Blocks);
        }
        for function in all {
            let saved = self.unplug(function);
            let virtual_one = saved.iter().any(|(path, _)| path.ends_with("/physfn"));
            if !saved.is_empty() && !virtual_one {
                self.unplugged.insert(function, saved);
            }
        }
        Ok(())
    }

    /// The functions behind a bridge.
    fn functions_below(&self, bridge: PciAddress) -> Vec<PciAddress> {
        let Some(folder) = self.folder(bridge).map(|folder| folder + "/") else { return Vec::new() };
        let inside = |function: &PciAddress| self.folder(*function).is_some_and(|at| at.starts_with(&folder));
        self.functions().into_iter().filter(inside).collect()
    }

    /// Takes a function off the bus, with its driver, its links and its place in the group.
    pub(crate) fn unplug(&mut self, function: PciAddress) -> Vec<(String, Node)> {
        self.detach_now(function);
        let Some(folder) = self.folder(function) else { return Vec::new() };
        // What must be found again by a rescan: the group is noted by the link.
        let group = self.files.get(&format!("{folder}/iommu_group")).cloned();
        self.leave_group(&folder);
        self.files.take(&format!("{DEVICES}/{function}"));
        for link in self.files.links_into("/sys/class", &folder) {
            self.files.take(&link);
        }
        let mut saved = self.files.take(&folder);
        saved.extend(group.map(|node| (format!("{folder}/iommu_group"), node)));
        saved
    }

    /// `rescan`: finds what was removed, as new.
    pub(crate) fn rescan(&mut self, data: &[u8]) -> Answer {
        if number(data).ok_or(Errno::EINVAL)? == 0 {
            return Ok(());
        }
        for (function, saved) in std::mem::take(&mut self.unplugged) {
            let Some(folder) = saved.first().map(|(path, _)| path.clone()) else { continue };
            for (path, node) in saved {
                match node {
                    Node::Folder(_) => self.files.put_folder(&path),
                    node => self.files.put(&path, node),
                }
            }
            self.files.put_text(&format!("{folder}/driver_override"), "(null)\n");
            self.files.put_link(&format!("{DEVICES}/{function}"), &folder);
            if let Some(group) = self.group_of(function) {
                let domain = self.default_domain();
                self.join_group(&folder, group, &domain);
            }
            if self.files.text("/sys/bus/pci/drivers_autoprobe").as_deref() != Some("0") {
                let _ = self.search_driver(function);
            }
        }
        Ok(())
    }

    /// `reset`: only `1` is taken, and only where a method is left.
    pub(crate) fn reset(&mut self, function: PciAddress, data: &[u8]) -> Answer {
        if number(data) != Some(1) {
            return Err(Errno::EINVAL.into());
        }
        let none = self.text_of(function, "reset_method").is_some_and(|text| text.is_empty());
        if none { Err(Errno::ENOTTY.into()) } else { Ok(()) }
    }

    /// `reset_method`: an order of methods that the function has; empty switches resets off.
    pub(crate) fn set_reset_method(&mut self, function: PciAddress, data: &[u8]) -> Answer {
        let text = String::from_utf8_lossy(data).trim().to_owned();
        let path = self.file_of(function, "reset_method").ok_or(Errno::ENODEV)?;
        let now = self.files.text(&path).unwrap_or_default();
        if text == "default" {
            return Ok(());
        }
        let known =
            |name: &str| RESET_METHODS.contains(&name) && now.split_whitespace().any(|have| have == name);
        if !text.split_whitespace().all(known) {
            return Err(Errno::EINVAL.into());
        }
        self.files.put_text(&path, format!("{text}\n"));
        Ok(())
    }

    /// `power/control`: `control_store`.
    pub(crate) fn set_power_control(&mut self, function: PciAddress, data: &[u8]) -> Answer {
        let text = match data.strip_suffix(b"\n").unwrap_or(data) {
            b"on" => "on\n",
            b"auto" => "auto\n",
            _ => return Err(Errno::EINVAL.into()),
        };
        let path = self.file_of(function, "power/control").ok_or(Errno::ENODEV)?;
        if self.is_locked(function) {
            return Err(Stop::Blocks);
        }
        self.files.put_text(&path, text);
        Ok(())
    }

    /// `d3cold_allowed`: any number; not zero is one.
    pub(crate) fn set_d3cold(&mut self, function: PciAddress, data: &[u8]) -> Answer {
        let on = number(data).ok_or(Errno::EINVAL)? != 0;
        let path = self.file_of(function, "d3cold_allowed").ok_or(Errno::ENODEV)?;
        self.files.put_text(&path, if on { "1\n" } else { "0\n" });
        Ok(())
    }
}
