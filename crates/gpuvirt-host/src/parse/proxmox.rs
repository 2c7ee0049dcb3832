//! Proxmox: `hostpciN` lines of a guest's configuration (qm.conf(5)) and the cluster's mappings of PCI devices
//! (`mapping/pci.cfg`). Only what concerns PCI devices is read.

use std::collections::BTreeMap;

use gpuvirt_model::PciAddress;
use gpuvirt_model::import::{HostPciDevice, MappedDevice};

/// What one guest's file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Guest {
    /// Its name.
    pub name: Option<String>,
    /// `hostpciN` lines with their number, from 1, or what of a line makes no sense.
    pub devices: Vec<(usize, Result<Line, String>)>,
}

/// A `hostpciN` line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    /// Devices that it names.
    pub devices: Vec<HostPciDevice>,
    /// The mapping that it names instead.
    pub mapping: Option<String>,
    /// The type of a mediated device.
    pub mdev: Option<String>,
}

/// A guest's file. Sections in brackets are snapshots and pending changes: what was, or is not yet.
pub fn guest(text: &str) -> Guest {
    let mut guest = Guest::default();
    let current = text.lines().enumerate().take_while(|(_, line)| !line.starts_with('['));
    for (index, line) in current {
        let Some((key, value)) = line.split_once(':') else { continue };
        if key == "name" {
            guest.name = Some(value.trim().to_owned());
        }
        let number = key.strip_prefix("hostpci").filter(|number| number.parse::<u8>().is_ok());
        if number.is_some() {
            guest.devices.push((index + 1, device_line(value.trim())));
        }
    }
    guest
}

fn device_line(value: &str) -> Result<Line, String> {
    let mut line = Line::default();
    for part in value.split(',') {
        match part.split_once('=') {
            None | Some(("host", _)) => {
                let named = part.strip_prefix("host=").unwrap_or(part);
                line.devices = named.split(';').map(device).collect::<Result<_, _>>()?;
            }
            Some(("mapping", name)) => line.mapping = Some(name.to_owned()),
            Some(("mdev", name)) => line.mdev = Some(name.to_owned()),
            Some(_) => {}
        }
    }
    if line.devices.is_empty() && line.mapping.is_none() {
        return Err(format!("{value:?} names no device"));
    }
    Ok(line)
}

/// `[DDDD:]BB:DD` is a whole slot, `[DDDD:]BB:DD.F` one function.
fn device(text: &str) -> Result<HostPciDevice, String> {
    let parsed = match text.contains('.') {
        true => PciAddress::parse(text).map(HostPciDevice::Function),
        false => PciAddress::parse(&format!("{text}.0")).map(HostPciDevice::Slot),
    };
    parsed.map_err(|_| format!("{text:?} is no PCI address"))
}

/// A line `map` of a mapping: what its devices are on one node of the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MapEntry {
    /// The node.
    pub node: Option<String>,
    /// The devices, each with the ids that it has to have there.
    pub devices: Vec<MappedDevice>,
}

/// The cluster's mappings: for each name its entries, those of all nodes.
pub fn mappings(text: &str) -> BTreeMap<String, Vec<MapEntry>> {
    let mut found: BTreeMap<String, Vec<MapEntry>> = BTreeMap::new();
    let mut name = None;
    for line in text.lines() {
        let indented = line.starts_with([' ', '\t']);
        let words = line.trim();
        match (indented, words.strip_prefix("map ")) {
            (true, Some(entry)) => {
                if let Some(name) = &name {
                    found.entry(String::clone(name)).or_default().push(map_entry(entry));
                }
            }
            (false, _) if !words.is_empty() && !words.starts_with('#') => {
                // `pci: NAME` in later releases, the bare name in earlier ones.
                name = Some(words.strip_prefix("pci:").unwrap_or(words).trim().to_owned());
            }
            _ => {}
        }
    }
    found
}

/// `id=VVVV:DDDD,node=NAME,path=ADDRESS[;ADDRESS...],subsystem-id=VVVV:DDDD`, in any order.
fn map_entry(text: &str) -> MapEntry {
    let parts = || text.split(',').filter_map(|part| part.trim().split_once('='));
    let value = |wanted: &str| parts().find(|(key, _)| *key == wanted).map(|(_, value)| value);
    let (id, subsystem_id) = (value("id").and_then(ids), value("subsystem-id").and_then(ids));
    let paths = value("path").unwrap_or_default().split(';').filter_map(|path| device(path).ok());
    MapEntry {
        node: value("node").map(str::to_owned),
        devices: paths.map(|device| MappedDevice { device, id, subsystem_id }).collect(),
    }
}

fn ids(text: &str) -> Option<(u16, u16)> {
    let (vendor, device) = text.split_once(':')?;
    Some((u16::from_str_radix(vendor, 16).ok()?, u16::from_str_radix(device, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(text: &str) -> HostPciDevice {
        HostPciDevice::Slot(PciAddress::parse(&format!("{text}.0")).unwrap())
    }

    #[test]
    fn a_guest_names_slots_functions_mappings_and_types() {
        let text = "#hostpci9: 09:00\nboot: order=scsi0\nhostpci0: 0000:41:00,pcie=1,x-vga=1\nhostpci1: 81:00.4;82:00,rombar=0\n\
                    hostpci2: mapping=gpus,mdev=nvidia-558\nhostpci3: pcie=1\nhostpci4: zz:00\nname: win11\n[before]\nhostpci5: 05:00\n";
        let read = guest(text);
        assert_eq!(read.name.as_deref(), Some("win11"));
        let lines: Vec<usize> = read.devices.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [3, 4, 5, 6, 7]);
        let ok: Vec<&Line> = read.devices.iter().filter_map(|(_, line)| line.as_ref().ok()).collect();
        assert_eq!(ok[0].devices, [slot("41:00")]);
        let function = HostPciDevice::Function(PciAddress::parse("81:00.4").unwrap());
        assert_eq!(ok[1].devices, [function, slot("82:00")]);
        assert_eq!((ok[2].mapping.as_deref(), ok[2].mdev.as_deref()), (Some("gpus"), Some("nvidia-558")));
        assert_eq!(ok.len(), 3);
    }

    #[test]
    fn mappings_have_entries_for_each_node() {
        let text = "gpus\n\tmap id=10de:2235,iommugroup=17,node=a,path=0000:41:00.0,subsystem-id=10de:145a\n\
                    \tmap id=10de:2235,node=b,path=0000:81:00;0000:82:00\n\tmdev 1\n\npci: other\n\tmap path=nonsense\n";
        let read = mappings(text);
        let first = HostPciDevice::Function(PciAddress::parse("41:00.0").unwrap());
        let id = Some((0x10de, 0x2235));
        let on_a = MappedDevice { device: first, id, subsystem_id: Some((0x10de, 0x145a)) };
        let on_b = ["81:00", "82:00"].map(|at| MappedDevice { device: slot(at), id, subsystem_id: None });
        let entry = |node: &str, devices| MapEntry { node: Some(node.to_owned()), devices };
        assert_eq!(read["gpus"], [entry("a", vec![on_a]), entry("b", on_b.to_vec())]);
        assert_eq!(read["other"], [MapEntry::default()]);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(?s).{0,200}") {
            let _ = guest(&text);
            let _ = guest(&format!("hostpci0: {text}"));
            let _ = mappings(&text);
        }
    }
}
