//! Device nodes below `/dev` that belong to a function: what a process opens to hold it.

use gpuvirt_model::{DriverName, Function, IommuGroup};

use super::folder::Folder;
use crate::files::Files;
use crate::parse::{nvidia, pci};
use crate::paths;

/// DRM nodes: `card0`, `renderD128`.
pub(super) fn drm(files: Files<'_>, folder: &Folder) -> Vec<String> {
    children(files, folder, "drm", |name| is_numbered(name, "card") || is_numbered(name, "renderD"))
}

/// The VFIO device's name, which is its character device's too.
pub(super) fn vfio_device(files: Files<'_>, folder: &Folder) -> Option<String> {
    children(files, folder, "vfio-dev", |name| is_numbered(name, "vfio")).into_iter().next()
}

/// Frame buffers, accelerators, I2C buses, sound and NVIDIA's own nodes. VFIO's are added when the group is known.
pub(super) fn others(files: Files<'_>, folder: &Folder, driver: Option<&DriverName>) -> Vec<String> {
    let mut nodes = children(files, folder, "graphics", |name| is_numbered(name, "fb"));
    nodes.extend(
        children(files, folder, "accel", |name| is_numbered(name, "accel"))
            .into_iter()
            .map(|name| format!("accel/{name}")),
    );
    // Removing an I2C bus waits for whoever has it open (drivers/i2c/i2c-core-base.c, i2c_del_adapter).
    nodes.extend(folder.names().iter().filter(|name| is_numbered(name, "i2c-")).cloned());
    nodes.extend(sound(files, folder));
    // What a driver made for its own programs (misc_register with the function as parent).
    nodes.extend(children(files, folder, "misc", is_plain));
    if driver.is_some_and(|driver| driver.as_str() == "nvidia") {
        let information = files.text(&paths::nvidia_information(folder.address));
        let minor = information.ok().and_then(|text| nvidia::device_minor(&text));
        nodes.extend(minor.map(|minor| format!("nvidia{minor}")));
    }
    nodes
}

/// The I2C buses of a card's connectors, DisplayPort's AUX channels among them (`drm/card0/card0-DP-1/i2c-7`): removing them waits
/// as it does for the function's own. They have nodes where the module for that is loaded.
pub(crate) fn connector_buses(files: Files<'_>, function: &Function) -> Vec<String> {
    if !files.sysfs.exists(paths::I2C_NODES) {
        return Vec::new();
    }
    let list = |folder: &str| files.sysfs.list(folder).unwrap_or_default();
    let mut buses = Vec::new();
    for card in function.drm_nodes.iter().filter(|node| is_numbered(node, "card")) {
        let folder = paths::function_file(function.address, &format!("drm/{card}"));
        for connector in list(&folder).iter().filter(|name| name.starts_with(&format!("{card}-"))) {
            buses.extend(list(&format!("{folder}/{connector}")));
        }
    }
    buses.retain(|name| is_numbered(name, "i2c-"));
    buses
}

/// `snd/pcmC0D3p`, `snd/controlC0`, ... of each sound card of the function.
fn sound(files: Files<'_>, folder: &Folder) -> Vec<String> {
    let is_node = |name: &&String| {
        ["controlC", "pcmC", "hwC", "midiC", "comprC"].iter().any(|prefix| name.starts_with(prefix))
    };
    let mut nodes = Vec::new();
    for card in children(files, folder, "sound", |name| is_numbered(name, "card")) {
        let inside = files.sysfs.list(&folder.path(&format!("sound/{card}"))).unwrap_or_default();
        nodes.extend(inside.iter().filter(is_node).map(|name| format!("snd/{name}")));
    }
    nodes
}

/// The sound cards' numbers among a function's nodes.
pub(crate) fn sound_cards(function: &Function) -> impl Iterator<Item = u32> + '_ {
    function.device_nodes.iter().filter_map(|node| pci::count(node.strip_prefix("snd/controlC")?))
}

/// The nodes that VFIO makes for a function: the group's, and its own where the kernel has it.
pub(super) fn vfio(function: &Function, group: Option<&IommuGroup>) -> Vec<String> {
    if !function.on_vfio() && function.vfio_device.is_none() {
        return Vec::new();
    }
    let group = group.map(vfio_group);
    let own = function.vfio_device.as_ref().map(|name| format!("vfio/devices/{name}"));
    group.into_iter().chain(own).collect()
}

/// The node of a group.
pub(crate) fn vfio_group(group: &IommuGroup) -> String {
    let id = group.id;
    if group.noiommu { format!("vfio/noiommu-{id}") } else { format!("vfio/{id}") }
}

/// The names in a folder of the function's folder that pass `wanted`.
fn children(files: Files<'_>, folder: &Folder, name: &str, wanted: fn(&str) -> bool) -> Vec<String> {
    if !folder.has(name) {
        return Vec::new();
    }
    let mut names = files.sysfs.list(&folder.path(name)).unwrap_or_default();
    names.retain(|name| wanted(name));
    names
}

/// A name that is a file's below `/dev`, and no path.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '!'])
}

/// `prefix` and a number.
fn is_numbered(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix).and_then(pci::count::<u32>).is_some()
}

#[cfg(test)]
mod tests {
    use super::is_numbered;

    #[test]
    fn a_node_is_a_prefix_and_a_number() {
        assert!(is_numbered("card0", "card") && is_numbered("renderD128", "renderD"));
        for name in ["card", "card0-DP-1", "card+1", "cardx", "", "card99999999999"] {
            assert!(!is_numbered(name, "card"), "{name:?}");
        }
    }
}
