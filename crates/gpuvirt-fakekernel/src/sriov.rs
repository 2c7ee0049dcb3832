//! SR-IOV: `sriov_numvfs` and the virtual functions that come and go with it (drivers/pci/iov.c).

use gpuvirt_model::PciAddress;
use nix::errno::Errno;

use crate::files::Node;
use crate::function::DEVICES;
use crate::inject::On;
use crate::state::Kernel;
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
        let after = self.struck(&On::Numvfs { function })?;
        for vf in vfs {
            self.remove_vf(vf);
        }
        self.clear_vf_links(function);
        self.wipe_instances(function);
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
        for (name, text) in self.vf_texts(physfn, vf, index) {
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
            let (group, domain) = (self.free_group(), self.default_domain());
            self.join_group(&folder, group, &domain);
        }
        let _ = self.search_driver(vf);
        self.show_vgpu_type(vf);
    }

    pub(crate) fn remove_vf(&mut self, vf: PciAddress) {
        self.unplug(vf);
        self.forget_vgpu_type(vf);
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
