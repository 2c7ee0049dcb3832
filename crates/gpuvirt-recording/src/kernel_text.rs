//! What the kernel's links and files of a device say, made of a dump's lines.

use crate::devices::{DeviceId, Devices, Kind};

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

/// The last part of a link's text.
pub(crate) fn last(target: &str) -> Option<&str> {
    target.rsplit('/').next().filter(|name| is_name(name))
}

/// Whether it is one plain name.
pub(crate) fn is_name(name: &str) -> bool {
    !name.contains('/') && crate::dump::is_plain_path(name)
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
