//! Rules of udev that choose a driver for a PCI function: `ATTR{driver_override}="..."`.

use gpuvirt_model::{PciAddress, PciDeviceId};

/// What a rule chooses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// For what.
    pub of: Subject,
    /// The driver's name; empty where the choice is taken back.
    pub driver: String,
}

/// What a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// One function, by its address.
    Function(PciAddress),
    /// Everything of a vendor and device.
    Kind(PciDeviceId),
    /// What its conditions leave, which are of another kind, or a program's that it runs.
    Other,
}

/// What a line chooses; none where it chooses no driver.
pub fn of_rule(line: &str) -> Option<Override> {
    let (mut driver, mut by_program) = (None, false);
    let (mut vendor, mut device) = (None, None);
    // None: no address is asked for.
    let mut address: Option<Option<PciAddress>> = None;
    for part in line.split(',').map(str::trim) {
        let (key, compares, value) = match part.split_once("==") {
            Some((key, value)) => (key, true, value),
            None => match part.split_once('=') {
                Some((key, value)) => (key.trim_end_matches([':', '+']), false, value),
                None => continue,
            },
        };
        let value = value.trim().trim_matches('"');
        match (key.trim(), compares) {
            // The device itself, or one above it.
            ("KERNEL" | "KERNELS" | "ENV{PCI_SLOT_NAME}", true) => {
                address = Some(PciAddress::parse(value).ok())
            }
            ("DEVPATH", true) => address = Some(None),
            ("ATTR{vendor}" | "ATTRS{vendor}", true) => vendor = Some(id(value)),
            ("ATTR{device}" | "ATTRS{device}", true) => device = Some(id(value)),
            ("ATTR{driver_override}", false) => driver = Some(value.to_owned()),
            (_, false) if value.contains("driver_override") => by_program = true,
            _ => {}
        }
    }
    let of = match (address, vendor.flatten(), device.flatten()) {
        (Some(Some(address)), _, _) => Subject::Function(address),
        (None, Some(vendor), Some(device)) => Subject::Kind(PciDeviceId::of(vendor, device)),
        _ => Subject::Other,
    };
    match driver {
        Some(driver) => Some(Override { of, driver }),
        None => by_program.then(|| Override { of: Subject::Other, driver: String::new() }),
    }
}

fn id(text: &str) -> Option<u16> {
    u16::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_chooses_for_a_function_a_kind_or_what_is_not_understood() {
        let function = Subject::Function(PciAddress::parse("41:00.0").unwrap());
        let kind = Subject::Kind(PciDeviceId::of(0x10de, 0x2204));
        let ids = r#"ATTR{vendor}=="0x10de", ATTR{device}=="0x2204""#;
        let to = r#"ATTR{driver_override}="vfio-pci""#;
        for (line, of, driver) in [
            (format!(r#"KERNEL=="0000:41:00.0", {to}"#), function, "vfio-pci"),
            (format!(r#"ENV{{PCI_SLOT_NAME}}=="0000:41:00.0", {ids}, {to}"#), function, "vfio-pci"),
            (
                format!(r#"ACTION=="add", SUBSYSTEM=="pci", {ids}, ATTR{{driver_override}}:="amdgpu""#),
                kind,
                "amdgpu",
            ),
            (format!(r#"KERNEL=="0000:41:00.*", {ids}, {to}"#), Subject::Other, "vfio-pci"),
            (format!(r#"ATTR{{vendor}}=="0x10de", {to}"#), Subject::Other, "vfio-pci"),
            (format!(r#"ATTR{{class}}=="0x030000", {to}"#), Subject::Other, "vfio-pci"),
            (
                r#"RUN+="/bin/sh -c 'echo vfio-pci > /sys$devpath/driver_override'""#.to_owned(),
                Subject::Other,
                "",
            ),
        ] {
            assert_eq!(of_rule(&line), Some(Override { of, driver: driver.to_owned() }), "{line}");
        }
        for none in
            ["nonsense", r#"ATTR{driver_override}=="vfio-pci", TAG+="x""#, r#"KERNEL=="sda", MODE="0600""#]
        {
            assert_eq!(of_rule(none), None, "{none}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(?s).{0,200}") {
            let _ = of_rule(&text);
            let _ = of_rule(&format!("ATTR{{driver_override}}=\"{text}"));
        }
    }
}
