//! SR-IOV: `sriov_numvfs` and the virtual functions that come and go with it (drivers/pci/iov.c).

use gpuvirt_model::PciAddress;
use nix::errno::Errno;

use crate::files::Node;
use crate::function::DEVICES;
use crate::inject::{Fault, On};
use crate::kernel::Kernel;
use crate::writes::{Answer, Stop};

impl Kernel {
    /// `sriov_numvfs_store`.
    pub(crate) fn set_numvfs(&mut self, function: PciAddress, data: &[u8]) -> Answer {
        let wanted = number(data).and_then(|n| u16::try_from(n).ok()).ok_or(Errno::EINVAL)?;
        let now = self.count_of(function, "sriov_numvfs");
        if wanted > self.count_of(function, "sriov_totalvfs") {
            return Err(Errno::ERANGE.into());
        }
        if self.is_locked(function) {
            return Err(Stop::Blocks);
        }
        if wanted == now {
            return Ok(());
        }
        if !self.makes_vfs(function) {
            return Err(Errno::ENOENT.into());
        }
        if wanted != 0 && now != 0 {
            return Err(Errno::EBUSY.into());
        }
        let vfs = self.vfs_of(function);
        if vfs.iter().any(|vf| self.must_wait(*vf) || self.is_locked(*vf)) {
            return Err(Stop::Blocks);
        }
        let after = match self.strike(&On::Numvfs { function }) {
            Some(Fault::Errno(errno)) => return Err(Stop::Errno(errno)),
            Some(Fault::Silent) => return Err(Stop::Silent),
            Some(Fault::Block) => return Err(Stop::Blocks),
            Some(Fault::DoneThenErrno(errno)) => Err(Stop::Errno(errno)),
            None => Ok(()),
        };
        for vf in vfs {
            self.remove_vf(vf);
        }
        self.clear_vf_links(function);
        for index in 0..wanted {
            self.add_vf(function, index);
        }
        if let Some(path) = self.file_of(function, "sriov_numvfs") {
            self.files.put_text(&path, format!("{wanted}\n"));
        }
        after
    }

    fn count_of(&self, function: PciAddress, name: &str) -> u16 {
        self.text_of(function, name).and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// The address of a virtual function: routing id plus offset plus stride, carried into the bus number.
    fn vf_address(&self, function: PciAddress, index: u16) -> Option<PciAddress> {
        let routing =
            u32::from(function.bus) << 8 | u32::from(function.slot) << 3 | u32::from(function.function);
        let offset = u32::from(self.count_of(function, "sriov_offset").max(1));
        let stride = u32::from(self.count_of(function, "sriov_stride").max(1));
        let id = routing + offset + stride * u32::from(index);
        Some(PciAddress {
            domain: function.domain,
            bus: u8::try_from(id >> 8).ok()?,
            slot: u8::try_from(id >> 3 & 0x1f).ok()?,
            function: u8::try_from(id & 7).ok()?,
        })
    }

    fn add_vf(&mut self, physfn: PciAddress, index: u16) {
        let Some((vf, pf)) = self.vf_address(physfn, index).zip(self.folder(physfn)) else { return };
        let folder = format!("{}/{vf}", pf.rsplit_once('/').map_or("", |(above, _)| above));
        let copied = |name: &str| self.text_of(physfn, name).unwrap_or_default();
        let device = self.text_of(physfn, "sriov_vf_device").unwrap_or_default();
        let id = |text: String| text.trim_start_matches("0x").to_uppercase();
        let class = copied("class");
        let (sub_vendor, sub_device) = (id(copied("subsystem_vendor")), id(copied("subsystem_device")));
        let (vendor, upper) = (id(copied("vendor")), device.to_uppercase());
        let modalias = format!(
            "pci:v{vendor:0>8}d{upper:0>8}sv{sub_vendor:0>8}sd{sub_device:0>8}bc{}sc{}i{}",
            class.get(2..4).unwrap_or_default().to_uppercase(),
            class.get(4..6).unwrap_or_default().to_uppercase(),
            class.get(6..8).unwrap_or_default()
        );
        let uevent = format!(
            "PCI_CLASS={}\nPCI_ID={vendor}:{upper}\nPCI_SUBSYS_ID={sub_vendor}:{sub_device}\nPCI_SLOT_NAME={vf}\n\
             MODALIAS={modalias}\n",
            id(class.clone()).trim_start_matches('0'),
        );
        let start = 0xc0_4000_0000_u64 + 0x4000 * u64::from(index);
        let window = format!("0x{start:016x} 0x{:016x} 0x000000000014220c\n", start + 0x3fff);
        let empty = "0x0000000000000000 0x0000000000000000 0x0000000000000000\n".repeat(12);
        let texts = [
            ("uevent", uevent),
            ("vendor", copied("vendor") + "\n"),
            ("device", format!("0x{device:0>4}\n")),
            ("subsystem_vendor", copied("subsystem_vendor") + "\n"),
            ("subsystem_device", copied("subsystem_device") + "\n"),
            ("class", class + "\n"),
            ("revision", copied("revision") + "\n"),
            ("modalias", modalias + "\n"),
            ("resource", window + &empty),
            ("driver_override", "(null)\n".to_owned()),
            ("enable", "0\n".to_owned()),
            ("irq", "0\n".to_owned()),
            ("numa_node", copied("numa_node") + "\n"),
            ("d3cold_allowed", "0\n".to_owned()),
            ("ari_enabled", "1\n".to_owned()),
            ("msi_bus", "1\n".to_owned()),
            ("local_cpulist", copied("local_cpulist") + "\n"),
            ("power_state", "unknown\n".to_owned()),
            ("power/control", "on\n".to_owned()),
            ("power/runtime_status", "active\n".to_owned()),
            ("reset_method", "flr\n".to_owned()),
        ];
        for (name, text) in texts {
            self.files.put_text(&format!("{folder}/{name}"), text);
        }
        // No `remove` and no `rescan`: a virtual function goes by its physical one (`pci_dev_hp_attrs_are_visible`).
        self.files.put(&format!("{folder}/reset"), Node::WriteOnly);
        // Vendor and device id read as ones in a virtual function's own config space.
        self.files.put(&format!("{folder}/config"), Node::File([vec![0xff; 4], vec![0; 60]].concat()));
        self.files.put_link(&format!("{folder}/subsystem"), "/sys/bus/pci");
        if let Some(unit) = self.files.target(&format!("{pf}/iommu")) {
            self.files.put_link(&format!("{folder}/iommu"), &unit);
        }
        self.files.put_link(&format!("{folder}/physfn"), &pf);
        self.files.put_link(&format!("{pf}/virtfn{index}"), &folder);
        self.files.put_link(&format!("{DEVICES}/{vf}"), &folder);
        if self.group_of(physfn).is_some() {
            let group = self.free_group();
            self.join_group(&folder, group, "DMA-FQ");
        }
        let _ = self.search_driver(vf);
    }

    pub(crate) fn remove_vf(&mut self, vf: PciAddress) {
        self.unplug(vf);
        self.put_away.retain(|(function, _), _| *function != vf);
    }

    pub(crate) fn clear_vf_links(&mut self, function: PciAddress) {
        let Some(folder) = self.folder(function) else { return };
        for name in self.files.names(&folder).iter().filter(|name| name.starts_with("virtfn")) {
            self.files.take(&format!("{folder}/{name}"));
        }
        if self.files.get(&format!("{folder}/sriov_numvfs")).is_some() {
            self.files.put_text(&format!("{folder}/sriov_numvfs"), "0\n");
        }
    }

    /// `sriov_drivers_autoprobe_store`: `kstrtobool`.
    pub(crate) fn set_sriov_autoprobe(&mut self, function: PciAddress, data: &[u8]) -> Answer {
        let on = match data.first() {
            Some(b'1' | b'y' | b'Y' | b't' | b'T') => true,
            Some(b'0' | b'n' | b'N' | b'f' | b'F') => false,
            _ => return Err(Errno::EINVAL.into()),
        };
        if let Some(path) = self.file_of(function, "sriov_drivers_autoprobe") {
            self.files.put_text(&path, if on { "1\n" } else { "0\n" });
        }
        Ok(())
    }
}

/// A number as `kstrtoul(..., 0, ...)` reads it: decimal, `0x` hexadecimal or leading-zero octal, one newline at
/// the end, an optional plus.
pub(crate) fn number(data: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(data).ok()?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_prefix('+').unwrap_or(text);
    if text.starts_with(['+', '-']) {
        return None;
    }
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16).ok().filter(|_| !hex.starts_with('+')),
        None if text.len() > 1 && text.starts_with('0') => u64::from_str_radix(text, 8).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_are_read_as_the_kernel_reads_them() {
        for (text, want) in [
            ("1", Some(1)),
            ("1\n", Some(1)),
            ("0x10", Some(16)),
            ("010", Some(8)),
            ("+4", Some(4)),
            ("", None),
            ("\n", None),
            ("-1", None),
            ("1 ", None),
            ("one", None),
            ("1\n\n", None),
        ] {
            assert_eq!(number(text.as_bytes()), want, "{text:?}");
        }
    }
}
