//! Rebuilds what a dump lacks: the folders of the kernel that are no devices.
//!
//! `/sys/bus/*/devices`, `/sys/bus/*/drivers/*`, `/sys/class/*`, `/sys/kernel/iommu_groups/*/devices`, the mdev
//! links and `/dev` follow from the devices' own properties and links. It holds names and links only; contents
//! stay with the devices.

use std::collections::{BTreeMap, HashMap};

use gpuvirt_host::DeviceNumber;

use crate::bytes::Span;
use crate::devices::{DeviceId, Devices, Kind};
use crate::error::RecordingError;
use crate::notes::Notes;

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

/// An entry that no device line stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A folder with the names in it.
    Folder(Vec<Box<str>>),
    /// A link to a device's folder.
    Device(DeviceId),
    /// A link to another path.
    Link(Box<str>),
    /// A character device, with its number where the dump has it.
    CharDevice(Option<DeviceNumber>),
    /// A file of the snapshot.
    File(Span),
    /// A text made from the dump.
    Text(Box<str>),
}

/// All entries by absolute path.
#[derive(Debug, Default)]
pub struct Tree {
    nodes: HashMap<Box<str>, Node>,
    /// What its paths take.
    bytes: usize,
}

/// More than the paths of any host take, each folder of a path counted with all that is above it.
const MAX_BYTES: usize = 128 << 20;

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
        missing(devices, &tree, notes);
        tree
    }

    /// What is at this path.
    pub fn get(&self, path: &str) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// Adds an entry, with the folders above it; one that is there already stays.
    pub fn add(&mut self, path: &str, node: Node) {
        if self.nodes.contains_key(path) || !self.enter(path, node) {
            return;
        }
        let mut below = path;
        while let Some((parent, name)) = below.rsplit_once('/') {
            let parent = if parent.is_empty() { "/" } else { parent };
            if let Some(above) = self.nodes.get_mut(parent) {
                if let Node::Folder(names) = above {
                    names.push(name.into());
                }
                return;
            }
            if !self.enter(parent, Node::Folder(vec![name.into()])) || parent == "/" {
                return;
            }
            below = parent;
        }
    }

    /// Makes a folder and those above it.
    pub fn folder(&mut self, path: &str) {
        self.add(path, Node::Folder(Vec::new()));
    }

    /// Whether all had room that was added.
    ///
    /// # Errors
    /// [`RecordingError::TooManyPaths`].
    pub fn complete(&self) -> Result<(), RecordingError> {
        if self.bytes > MAX_BYTES { Err(RecordingError::TooManyPaths { limit: MAX_BYTES }) } else { Ok(()) }
    }

    /// Takes an entry in; not, where there is no more room.
    fn enter(&mut self, path: &str, node: Node) -> bool {
        // Once in its own place, once by its name in the folder's.
        self.bytes = self.bytes.saturating_add(2 * path.len());
        let fits = self.bytes <= MAX_BYTES;
        if fits {
            self.nodes.insert(path.into(), node);
        }
        fits
    }

    /// Sorts the names in all folders, once after all were added.
    pub fn sort(&mut self) {
        for nodes in self.nodes.values_mut() {
            if let Node::Folder(names) = nodes {
                names.sort_unstable();
            }
        }
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

/// The driver's name: from the link, or from the property where a dump has no links.
pub fn driver(devices: &Devices, id: DeviceId) -> Option<&str> {
    link(devices, id, "driver")
        .and_then(last)
        .or_else(|| devices.property(id, "DRIVER"))
        .filter(|name| is_name(name))
}

/// The text of a link.
pub fn link<'a>(devices: &'a Devices, id: DeviceId, name: &str) -> Option<&'a str> {
    let line = devices.attribute(id, name)?;
    (Devices::kind(line) == Kind::Link).then(|| devices.plain(line))
}

fn last(target: &str) -> Option<&str> {
    target.rsplit('/').next().filter(|name| is_name(name))
}

fn is_name(name: &str) -> bool {
    !name.contains('/') && crate::dump::is_plain_path(name)
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

/// Says what a recording of a GPU host should have and this one has not.
fn missing(devices: &Devices, tree: &Tree, notes: &mut Notes) {
    let Some(Node::Folder(pci)) = tree.get("/sys/bus/pci/devices") else { return };
    if pci.is_empty() {
        return notes.add(|| "no PCI function is recorded".to_owned());
    }
    let ids = || devices.ids().filter(|id| devices.property(*id, "SUBSYSTEM") == Some("pci"));
    let all = ids().count();
    for name in ["class", "vendor", "device", "resource", "config"] {
        // One that slept was not woken for its config space.
        let asleep = |id: &DeviceId| name == "config" && is_asleep(devices, *id);
        let without = ids().filter(|id| devices.attribute(*id, name).is_none() && !asleep(id)).count();
        if without > 0 {
            notes.add(|| format!("{without} of {all} PCI functions are recorded without \"{name}\""));
        }
    }
    if tree.get("/sys/kernel/iommu_groups").is_none() {
        notes.add(|| "no IOMMU group is recorded".to_owned());
    }
    let untyped = |id: &DeviceId| {
        let parent = devices.path(*id).rsplit_once('/').and_then(|(parent, _)| devices.find(parent));
        parent.is_some_and(|parent| devices.attributes_below(parent, "mdev_supported_types").is_empty())
    };
    let mdevs = devices.ids().filter(|id| devices.property(*id, "SUBSYSTEM") == Some("mdev"));
    let untyped = mdevs.filter(untyped).count();
    if untyped > 0 {
        notes.add(|| format!("{untyped} mediated devices are recorded without the types of their parent"));
    }
}

fn is_asleep(devices: &Devices, id: DeviceId) -> bool {
    let state = devices.attribute(id, "power_state").map(|line| devices.plain(line));
    state.is_some_and(|state| state.trim_end_matches("\\n") != "D0")
}

/// What the identity files of a PCI function hold where only its properties are recorded.
pub fn identity_text(devices: &Devices, id: DeviceId, name: &str) -> Option<String> {
    let names = ["vendor", "device", "subsystem_vendor", "subsystem_device", "class", "modalias"];
    if !names.contains(&name) || devices.property(id, "SUBSYSTEM") != Some("pci") {
        return None;
    }
    let hex = |text: &str| u32::from_str_radix(text, 16).ok();
    let half = |property: &str, second: bool| {
        let (first, last) = devices.property(id, property)?.split_once(':')?;
        hex(if second { last } else { first }).filter(|id| *id <= 0xffff).map(|id| format!("0x{id:04x}\n"))
    };
    match name {
        "vendor" => half("PCI_ID", false),
        "device" => half("PCI_ID", true),
        "subsystem_vendor" => half("PCI_SUBSYS_ID", false),
        "subsystem_device" => half("PCI_SUBSYS_ID", true),
        "class" => hex(devices.property(id, "PCI_CLASS")?).map(|class| format!("0x{class:06x}\n")),
        "modalias" => devices.property(id, "MODALIAS").map(|text| format!("{text}\n")),
        _ => None,
    }
}

/// The kernel's `uevent` file of a device.
pub fn uevent(devices: &Devices, id: DeviceId) -> String {
    let mut text = String::new();
    for line in devices.properties(id) {
        let (key, value) = (devices.key(line), devices.plain(line));
        if key == "SUBSYSTEM" || key.starts_with("ID_") {
            continue;
        }
        let value = if key == "DEVNAME" { value.strip_prefix("/dev/").unwrap_or(value) } else { value };
        text.push_str(&format!("{key}={value}\n"));
    }
    text
}

/// A path relative to the folder of `from`, as the kernel writes its links: the target's own name is always in it,
/// even where the target is above the link (`kernfs_get_target_path`).
pub fn relative(from: &str, to: &str) -> String {
    let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
    let (above, name) = to.rsplit_once('/').unwrap_or(("", to));
    let (mut a, mut b) = (folder.split('/').peekable(), above.split('/').peekable());
    while a.peek().is_some() && a.peek() == b.peek() {
        a.next();
        b.next();
    }
    let up = a.map(|_| "..");
    join(up.chain(b).chain([name]))
}

/// Path components as one relative path.
fn join<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_any_depth_is_added_with_the_folders_above_it() {
        let mut tree = Tree::default();
        let deep = format!("/proc{}", "/a".repeat(6_000));
        tree.add(&deep, Node::Text("x".into()));
        assert_eq!(tree.get(&deep), Some(&Node::Text("x".into())));
        assert_eq!(tree.get("/proc/a"), Some(&Node::Folder(vec!["a".into()])));
        tree.add("/proc/a/b", Node::Text("y".into()));
        tree.add("/proc/a/b", Node::Text("z".into()));
        tree.add("/proc/a/b/c", Node::Text("z".into()));
        assert_eq!(tree.get("/proc/a"), Some(&Node::Folder(vec!["a".into(), "b".into()])));
        assert_eq!(tree.get("/proc/a/b"), Some(&Node::Text("y".into())));
        assert_eq!(tree.get("/"), Some(&Node::Folder(vec!["proc".into()])));
        assert!(tree.complete().is_ok());
        // Each folder's path holds all that is above it: it ends before memory does.
        tree.add(&format!("/sys{}", "/a".repeat(12_000)), Node::Text("x".into()));
        assert!(tree.complete().is_err());
    }

    #[test]
    fn links_are_written_as_the_kernel_writes_them() {
        for (from, to, want) in [
            ("/sys/bus/pci/devices/a", "/sys/devices/p/a", "../../../devices/p/a"),
            ("/sys/devices/p/a/driver", "/sys/bus/pci/drivers/d", "../../../bus/pci/drivers/d"),
            ("/sys/devices/p/v/physfn", "/sys/devices/p/a", "../a"),
            ("/sys/devices/p/a/vfio-dev/vfio0/device", "/sys/devices/p/a", "../../../a"),
            ("/sys/devices/p/a/u/mdev_type", "/sys/devices/p/a/types/t", "../types/t"),
        ] {
            assert_eq!(relative(from, to), want);
        }
    }
}
