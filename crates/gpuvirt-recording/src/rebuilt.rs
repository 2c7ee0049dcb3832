//! Rebuilds what a dump lacks: the folders of the kernel that are no devices.
//!
//! `/sys/bus/*/devices`, `/sys/bus/*/drivers/*`, `/sys/class/*`, `/sys/kernel/iommu_groups/*/devices`, the mdev
//! links and `/dev` follow from the devices' own properties and links. It holds names and links only; contents
//! stay with the devices.

use std::collections::BTreeMap;

use gpuvirt_host::DeviceNumber;

use crate::devices::{DeviceId, Devices, Kind};
use crate::kernel_text::{driver, is_name, last, link};
use crate::missing;
use crate::notes::Notes;
use crate::tree::{Node, Tree};

/// Subsystems whose devices are below `/sys/bus`; all others are classes.
const BUSES: [&str; 44] = [
    "acpi",
    "auxiliary",
    "clockevents",
    "clocksource",
    "container",
    "cpu",
    "cxl",
    "dax",
    "edac",
    "eisa",
    "event_source",
    "gpio",
    "hdaudio",
    "hid",
    "i2c",
    "i3c",
    "isa",
    "machinecheck",
    "mdev",
    "mdio_bus",
    "mei",
    "memory",
    "mmc",
    "nd",
    "node",
    "nvmem",
    "pci",
    "pci_express",
    "pcmcia",
    "platform",
    "pnp",
    "rapidio",
    "scsi",
    "sdio",
    "serial",
    "serio",
    "soc",
    "soundwire",
    "spi",
    "thunderbolt",
    "usb",
    "virtio",
    "vmbus",
    "wmi",
];

impl Tree {
    /// The tree of these devices.
    pub fn of(devices: &Devices, notes: &mut Notes) -> Self {
        let mut tree = Self::default();
        for folder in ["/dev", "/proc", "/sys/bus/pci/devices", "/sys/class", "/sys/devices", "/sys/kernel"] {
            tree.folder(folder);
        }
        let buses = buses(devices);
        for id in devices.ids() {
            tree.subsystem(devices, id, &buses);
            tree.group(devices, id);
            tree.node(devices, id);
            tree.mdev(devices, id);
        }
        tree.names(devices);
        tree.sort();
        missing::note(devices, &tree, notes);
        tree
    }

    fn subsystem(&mut self, devices: &Devices, id: DeviceId, buses: &BTreeMap<&str, ()>) {
        let Some(subsystem) = devices.property(id, "SUBSYSTEM").filter(|name| is_name(name)) else { return };
        let name = devices.name(id);
        if !buses.contains_key(subsystem) {
            return self.add(&format!("/sys/class/{subsystem}/{name}"), Node::Device(id));
        }
        self.add(&format!("/sys/bus/{subsystem}/devices/{name}"), Node::Device(id));
        if let Some(driver) = driver(devices, id) {
            self.add(&format!("/sys/bus/{subsystem}/drivers/{driver}/{name}"), Node::Device(id));
        }
    }

    fn group(&mut self, devices: &Devices, id: DeviceId) {
        let Some(target) = link(devices, id, "iommu_group") else { return };
        let Some(number) = last(target).filter(|number| number.bytes().all(|b| b.is_ascii_digit())) else {
            return;
        };
        let name = devices.name(id);
        self.add(&format!("/sys/kernel/iommu_groups/{number}/devices/{name}"), Node::Device(id));
    }

    /// The list of names, as far as the recording's own properties have it: names do not depend on the machine that
    /// shows the recording.
    fn names(&mut self, devices: &Devices) {
        let mut vendors: BTreeMap<&str, (&str, BTreeMap<&str, &str>)> = BTreeMap::new();
        for id in devices.ids() {
            let property = |name| devices.property(id, name);
            let Some((vendor, device)) = property("PCI_ID").and_then(|ids| ids.split_once(':')) else {
                continue;
            };
            let Some(name) = property("ID_VENDOR_FROM_DATABASE") else { continue };
            let entry = vendors.entry(vendor).or_insert((name, BTreeMap::new()));
            if let Some(name) = property("ID_MODEL_FROM_DATABASE") {
                entry.1.insert(device, name);
            }
        }
        let mut text = String::new();
        for (vendor, (name, models)) in vendors {
            text.push_str(&format!("{}  {name}\n", vendor.to_lowercase()));
            for (device, name) in models {
                text.push_str(&format!("\t{}  {name}\n", device.to_lowercase()));
            }
        }
        if !text.is_empty() {
            self.add("/usr/share/misc/pci.ids", Node::Text(text.into()));
        }
    }

    /// `/dev` entries: the node's number is in the kernel's own MAJOR and MINOR, or in the `dev` attribute.
    fn node(&mut self, devices: &Devices, id: DeviceId) {
        let recorded = devices.nodes(id).iter().find(|line| Devices::kind(line) == Kind::Node);
        let name = recorded.map(|line| devices.key(line)).or_else(|| {
            let name = devices.property(id, "DEVNAME")?;
            Some(name.strip_prefix("/dev/").unwrap_or(name)).filter(|name| crate::dump::is_plain_path(name))
        });
        let Some(name) = name else { return };
        let block = devices.property(id, "SUBSYSTEM") == Some("block");
        let number = number(devices, id).filter(|_| !block);
        self.add(&format!("/dev/{name}"), Node::CharDevice(number));
        for line in devices.nodes(id).iter().filter(|line| Devices::kind(line) == Kind::NodeLink) {
            self.add(&format!("/dev/{}", devices.key(line)), Node::Link(format!("/dev/{name}").into()));
        }
    }

    /// Parents show in `/sys/class/mdev_bus`, and their types list the devices made of them. umockdev-record
    /// stops one folder short of the types, so the devices' own links say that they exist.
    fn mdev(&mut self, devices: &Devices, id: DeviceId) {
        if !devices.attributes_below(id, "mdev_supported_types").is_empty() {
            self.add(&format!("/sys/class/mdev_bus/{}", devices.name(id)), Node::Device(id));
        }
        let Some(mdev_type) = link(devices, id, "mdev_type").and_then(last) else { return };
        let path = devices.path(id);
        let Some((parent, uuid)) = path.rsplit_once('/') else { return };
        if let Some(parent) = devices.find(parent) {
            self.add(&format!("/sys/class/mdev_bus/{}", devices.name(parent)), Node::Device(parent));
        }
        let folder = format!("/sys{parent}/mdev_supported_types/{mdev_type}/devices");
        self.add(&format!("{folder}/{uuid}"), Node::Device(id));
    }
}

/// The subsystems that are buses: those known as such, and those with drivers below `/sys/bus`.
fn buses(devices: &Devices) -> BTreeMap<&str, ()> {
    let known = BUSES.iter().map(|bus| (*bus, ()));
    let seen = devices.ids().filter_map(|id| {
        let subsystem = devices.property(id, "SUBSYSTEM")?;
        let target = link(devices, id, "driver")?;
        let bus = target.split("/bus/").nth(1)?.split('/').next()?;
        (bus == subsystem).then_some((subsystem, ()))
    });
    known.chain(seen).collect()
}

fn number(devices: &Devices, id: DeviceId) -> Option<DeviceNumber> {
    let property = |name| devices.property(id, name).and_then(|text| text.parse().ok());
    if let (Some(major), Some(minor)) = (property("MAJOR"), property("MINOR")) {
        return Some(DeviceNumber { major, minor });
    }
    let text = devices.plain(devices.attribute(id, "dev")?);
    let (major, minor) = text.trim_end_matches("\\n").split_once(':')?;
    Some(DeviceNumber { major: major.parse().ok()?, minor: minor.parse().ok()? })
}
