//! What a recording of a GPU host should have and does not.

use crate::devices::{DeviceId, Devices};
use crate::notes::Notes;
use crate::tree::{Node, Tree};

/// Says what this one has not.
pub(crate) fn note(devices: &Devices, tree: &Tree, notes: &mut Notes) {
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
