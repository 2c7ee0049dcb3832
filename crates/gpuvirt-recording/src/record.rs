//! Writes a umockdev dump of what gpuvirt needs from any [`Sysfs`]: PCI functions, their display, sound and VFIO
//! children, mediated devices and their types, IOMMU units, consoles.
//!
//! It only reads, and never wakes a card: which attributes those are is in [`crate::attribute`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use gpuvirt_host::parse::pci_ids::{self, Names};
use gpuvirt_host::{ReadError, Sysfs};
use gpuvirt_model::PciAddress;

use crate::attribute::{self, Reading};
use crate::dump::NAMES;
use crate::error::RecordingError;
use crate::escape;
use crate::redact;
use crate::resolve::{against, normal};
use crate::serial_number;

/// Longest attribute that is recorded: config space has 4 KiB, everything else a page at most.
const MAX_ATTRIBUTE: usize = 16 * 1024;
/// Where distributions keep the list of PCI names, and more than its size.
const PCI_IDS: [&str; 3] =
    ["/usr/share/misc/pci.ids", "/usr/share/hwdata/pci.ids", "/var/lib/pciutils/pci.ids"];
const MAX_NAMES: usize = 4 << 20;
/// `mdev_supported_types/TYPE/devices/UUID` and `sriov_admin/vfN/profile/NAME` are the deepest names.
const MAX_DEPTH: usize = 4;
/// Where devices are found that are below no PCI function.
const OTHER_ROOTS: [&str; 7] = [
    "/sys/bus/mdev/devices",
    "/sys/class/drm",
    "/sys/class/graphics",
    "/sys/class/iommu",
    "/sys/class/sound",
    "/sys/class/vfio",
    "/sys/class/vtconsole",
];
/// Children of a recorded device that are recorded too.
const CHILDREN: [&str; 11] =
    ["accel", "drm", "graphics", "i2c", "mdev", "misc", "pci_bus", "sound", "vfio", "vfio-dev", "vtconsole"];
/// How long a device's lock is waited for, for its override.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// The dump and what was left out of it.
#[derive(Debug, Default)]
pub struct Dump {
    /// The text.
    pub text: String,
    /// What was redacted.
    pub redacted: BTreeSet<String>,
    /// What could not be read, with the reason.
    pub unreadable: BTreeSet<String>,
}

/// Records a host's devices.
///
/// # Errors
/// [`RecordingError::Host`] when not even the PCI bus can be listed.
pub fn dump(host: &dyn Sysfs) -> Result<Dump, RecordingError> {
    let names = PCI_IDS.iter().find_map(|path| host.read(path, MAX_NAMES).ok()).unwrap_or_default();
    let mut recorder =
        Recorder { host, dump: Dump::default(), seen: BTreeSet::new(), list: names, names: BTreeMap::new() };
    let pci = "/sys/bus/pci/devices";
    let failed = |source| RecordingError::Host { path: pci.to_owned(), source };
    host.list(pci).map_err(failed)?;
    recorder.folder(pci);
    for root in OTHER_ROOTS {
        recorder.folder(root);
    }
    let groups = "/sys/kernel/iommu_groups";
    for group in host.list(groups).unwrap_or_default() {
        recorder.folder(&format!("{groups}/{group}/devices"));
    }
    Ok(recorder.dump)
}

struct Recorder<'a> {
    host: &'a dyn Sysfs,
    dump: Dump,
    seen: BTreeSet<String>,
    /// The list of PCI names, empty where there is none.
    list: Vec<u8>,
    /// What was looked up in it.
    names: BTreeMap<(u16, u16), Names>,
}

impl Recorder<'_> {
    /// Records every device that a folder of links leads to.
    fn folder(&mut self, folder: &str) {
        for name in self.host.list(folder).unwrap_or_default() {
            let link = format!("{folder}/{name}");
            if let Ok(target) = self.host.read_link(&link) {
                self.device(&normal(&against(&link, &target)));
            }
        }
    }

    /// Records a device and those of its children that matter. `path` is without links.
    fn device(&mut self, path: &str) {
        let Some(below) = path.strip_prefix("/sys").filter(|below| below.starts_with("/devices/")) else {
            return;
        };
        let Ok(subsystem) = self.host.read_link(&format!("{path}/subsystem")) else { return };
        if !self.seen.insert(path.to_owned()) || below.contains('\n') {
            return;
        }
        let _ = writeln!(self.dump.text, "P: {below}");
        let subsystem = subsystem.rsplit('/').next().unwrap_or_default();
        self.properties(path, subsystem);
        let mut device = Device { path, subsystem, awake: self.is_awake(path), children: Vec::new() };
        self.attributes(&mut device, "");
        self.dump.text.push('\n');
        for child in device.children {
            self.device(&child);
        }
    }

    fn properties(&mut self, path: &str, subsystem: &str) {
        let uevent = self.host.read(&format!("{path}/uevent"), MAX_ATTRIBUTE).unwrap_or_default();
        let uevent = String::from_utf8_lossy(&uevent).into_owned();
        let mut properties: Vec<&str> = uevent.lines().filter(|line| line.contains('=')).collect();
        properties.retain(|line| {
            let key = line.split('=').next().unwrap_or_default();
            let telling = key.contains("SERIAL") || key.contains("UNIQ");
            if telling {
                self.dump.redacted.insert("serial numbers".to_owned());
            }
            !telling
        });
        if let Some(node) = properties.iter().find_map(|line| line.strip_prefix("DEVNAME=")) {
            let _ = writeln!(self.dump.text, "N: {}", node.strip_prefix("/dev/").unwrap_or(node));
        }
        let mut own = vec![format!("SUBSYSTEM={subsystem}")];
        own.extend(self.names_of(&properties));
        properties.extend(own.iter().map(String::as_str));
        properties.sort_unstable();
        for property in properties {
            let _ = writeln!(self.dump.text, "E: {property}");
        }
    }

    /// The names of a PCI function, as udev's hardware database would give them.
    fn names_of(&mut self, properties: &[&str]) -> Vec<String> {
        let ids = properties.iter().find_map(|line| line.strip_prefix("PCI_ID=")?.split_once(':'));
        let id = |text| u16::from_str_radix(text, 16).ok();
        let Some((vendor, device)) = ids.and_then(|(vendor, device)| id(vendor).zip(id(device))) else {
            return Vec::new();
        };
        let list = &self.list;
        let look = || pci_ids::names(list, [(vendor, device)]).ok()?.remove(&(vendor, device));
        let names = self.names.entry((vendor, device)).or_insert_with(|| look().unwrap_or_default()).clone();
        let line =
            |key: &str, name: Option<String>| name.map(|name| format!("{key}={}", name.replace('\n', " ")));
        let [vendor_key, model_key] = NAMES;
        [line(vendor_key, names.vendor), line(model_key, names.device)].into_iter().flatten().collect()
    }

    /// Whether a function may be asked what it would have to wake up for. The file itself is answered from memory.
    fn is_awake(&self, path: &str) -> bool {
        let state = self.host.read(&format!("{path}/power_state"), MAX_ATTRIBUTE);
        state.is_ok_and(|state| state.trim_ascii() == b"D0")
    }

    fn attributes(&mut self, device: &mut Device<'_>, folder: &str) {
        let path = device.path;
        let at = if folder.is_empty() { path.to_owned() } else { format!("{path}/{folder}") };
        for name in self.host.list(&at).unwrap_or_default() {
            let key = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            let path = format!("{at}/{name}");
            if key.contains(['\n', '=']) || matches!(key.as_str(), "subsystem" | "uevent") {
                continue;
            }
            if let Ok(target) = self.host.read_link(&path) {
                if !target.contains('\n') {
                    let _ = writeln!(self.dump.text, "L: {key}={target}");
                }
            } else if let Some(why) = redact::left_out(&key) {
                self.dump.redacted.insert(why.to_owned());
                if attribute::reading(device.subsystem, &key) == Reading::Existence {
                    self.entry(device, &path, &key);
                }
            } else {
                self.entry(device, &path, &key);
            }
        }
    }

    /// A file or a folder of a device.
    fn entry(&mut self, device: &mut Device<'_>, path: &str, key: &str) {
        if self.host.list(path).is_ok() {
            return self.inner(device, key);
        }
        match attribute::reading(device.subsystem, key) {
            Reading::Always => self.attribute(path, key),
            Reading::Awake if device.awake => self.attribute(path, key),
            Reading::MayBlock => self.locked(path, key),
            // That it exists tells what the device is, of what is read without waking it, and no more.
            Reading::Existence => {
                let _ = writeln!(self.dump.text, "A: {key}=");
            }
            Reading::Awake | Reading::Never => {}
        }
    }

    /// A folder of a device: a child, or a group of attributes.
    fn inner(&mut self, device: &mut Device<'_>, key: &str) {
        let path = format!("{}/{key}", device.path);
        if PciAddress::parse(key.rsplit('/').next().unwrap_or_default()).is_ok() {
            return;
        }
        match self.host.read_link(&format!("{path}/subsystem")) {
            Ok(subsystem) => {
                let subsystem = subsystem.rsplit('/').next().unwrap_or_default();
                if CHILDREN.contains(&subsystem) {
                    device.children.push(path);
                }
            }
            Err(_) if key.split('/').count() < MAX_DEPTH => self.attributes(device, key),
            Err(_) => {}
        }
    }

    /// An attribute of which the kernel may keep the answer while somebody holds the device.
    fn locked(&mut self, path: &str, key: &str) {
        match self.host.read_that_may_block(path, MAX_ATTRIBUTE, LOCK_WAIT) {
            Ok(bytes) => self.written(key, Ok(bytes)),
            Err(ReadError::Errno(error)) => self.written(key, Err(error)),
            Err(error @ (ReadError::StillWaiting { .. } | ReadError::Reader(_))) => {
                self.dump.unreadable.insert(format!("{key}: {error}"));
            }
        }
    }

    fn attribute(&mut self, path: &str, key: &str) {
        let read = self.host.read(path, MAX_ATTRIBUTE);
        self.written(key, read);
    }

    fn written(&mut self, key: &str, read: io::Result<Vec<u8>>) {
        match read {
            Ok(mut bytes) if key == "config" => {
                if serial_number::blank(&mut bytes) {
                    self.dump.redacted.insert("serial numbers".to_owned());
                }
                let _ = writeln!(self.dump.text, "H: {key}={}", escape::hex(&bytes));
            }
            Ok(bytes) => match std::str::from_utf8(&bytes).ok().filter(|text| !text.contains('\0')) {
                Some(text) => {
                    let _ = writeln!(self.dump.text, "A: {key}={}", escape::escape(text.as_bytes()));
                }
                None => {
                    let _ = writeln!(self.dump.text, "H: {key}={}", escape::hex(&bytes));
                }
            },
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.dump.unreadable.insert(format!("{key}: {error}"));
            }
            // An attribute that answers with an error as things are; it is not part of the picture.
            Err(_) => {}
        }
    }
}

/// A device that is being recorded.
struct Device<'a> {
    /// Without links.
    path: &'a str,
    subsystem: &'a str,
    /// A PCI function in D0.
    awake: bool,
    /// Devices below it that are recorded too.
    children: Vec<String>,
}
