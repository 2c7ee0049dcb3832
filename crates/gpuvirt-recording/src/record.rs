//! Writes a umockdev dump of what gpuvirt needs from any [`Sysfs`]: PCI functions, their display, sound and VFIO
//! children, mediated devices and their types, IOMMU units, consoles.
//!
//! It only reads, and reads nothing that touches the hardware: no BAR, no ROM, no vital product data.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io;

use gpuvirt_host::Sysfs;
use gpuvirt_host::parse::pci_ids;
use gpuvirt_model::PciAddress;

use crate::dump::NAMES;
use crate::error::RecordingError;
use crate::escape;
use crate::redact;
use crate::resolve::{against, normal};

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
const CHILDREN: [&str; 8] = ["drm", "graphics", "mdev", "pci_bus", "sound", "vfio", "vfio-dev", "vtconsole"];
/// Files that can only be written: that they exist is recorded, reading them would be an error.
const WRITE_ONLY: [&str; 7] =
    ["create", "remove", "rescan", "reset", "reset_subordinate", "rotate_all", "sriov_vf_msix_count"];
/// Folders of no interest with many files.
const SKIPPED_FOLDERS: [&str; 3] = ["msi_irqs", "statistics", "wakeup"];

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
    let mut recorder = Recorder { host, dump: Dump::default(), seen: BTreeSet::new(), names };
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
    names: Vec<u8>,
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
        self.properties(path, subsystem.rsplit('/').next().unwrap_or_default());
        let mut children = Vec::new();
        self.attributes(path, "", &mut children);
        self.dump.text.push('\n');
        for child in children {
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
    fn names_of(&self, properties: &[&str]) -> Vec<String> {
        let ids = properties.iter().find_map(|line| line.strip_prefix("PCI_ID=")?.split_once(':'));
        let id = |text| u16::from_str_radix(text, 16).ok();
        let Some((vendor, device)) = ids.and_then(|(vendor, device)| id(vendor).zip(id(device))) else {
            return Vec::new();
        };
        let names = pci_ids::names(&self.names, vendor, device);
        let line =
            |key: &str, name: Option<String>| name.map(|name| format!("{key}={}", name.replace('\n', " ")));
        let [vendor_key, model_key] = NAMES;
        [line(vendor_key, names.vendor), line(model_key, names.device)].into_iter().flatten().collect()
    }

    fn attributes(&mut self, device: &str, folder: &str, children: &mut Vec<String>) {
        let at = if folder.is_empty() { device.to_owned() } else { format!("{device}/{folder}") };
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
            } else if WRITE_ONLY.contains(&name.as_str()) {
                let _ = writeln!(self.dump.text, "A: {key}=");
            } else if is_window(&name) {
                // Reading these would touch the hardware.
            } else if self.host.list(&path).is_ok() {
                self.inner(device, &key, children);
            } else {
                self.attribute(&path, &key);
            }
        }
    }

    /// A folder of a device: a child, or a group of attributes.
    fn inner(&mut self, device: &str, key: &str, children: &mut Vec<String>) {
        let path = format!("{device}/{key}");
        let name = key.rsplit('/').next().unwrap_or_default();
        if PciAddress::parse(name).is_ok() || SKIPPED_FOLDERS.contains(&name) {
            return;
        }
        match self.host.read_link(&format!("{path}/subsystem")) {
            Ok(subsystem) => {
                let subsystem = subsystem.rsplit('/').next().unwrap_or_default();
                if CHILDREN.contains(&subsystem) {
                    children.push(path);
                }
            }
            Err(_) if key.split('/').count() < MAX_DEPTH => self.attributes(device, key, children),
            Err(_) => {}
        }
    }

    fn attribute(&mut self, path: &str, key: &str) {
        match self.host.read(path, MAX_ATTRIBUTE) {
            Ok(mut bytes) if key == "config" => {
                if redact::blank_serial(&mut bytes) {
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

/// `resource0`, `resource0_wc`: windows onto the device itself, unlike the list `resource` and `resource0_resize`.
fn is_window(name: &str) -> bool {
    name.strip_prefix("resource").is_some_and(|rest| {
        let number = rest.strip_suffix("_wc").unwrap_or(rest);
        !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
    })
}
