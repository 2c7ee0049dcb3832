//! Rules of udev that choose a driver for a PCI function: `ATTR{driver_override}="..."`.

use gpuvirt_model::{PciAddress, PciDeviceId};

use super::udev_rule::{Operator, Part, parts};

/// What a rule chooses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// For what.
    pub of: Subject,
    /// The driver's name; empty where the choice is taken back.
    pub driver: String,
    /// The rule does nothing besides.
    pub alone: bool,
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

/// What a rule chooses; none where it chooses no driver. One with a condition that is not understood is about what is left by
/// others: what it leaves out must not be taken for chosen.
pub fn of_rule(rule: &str) -> Option<Override> {
    let Some(parts) = parts(rule) else {
        let other = Override { of: Subject::Other, driver: String::new(), alone: false };
        return rule.contains("driver_override").then_some(other);
    };
    let (mut driver, mut by_program, mut alone) = (None, false, true);
    let (mut vendor, mut device) = (None, None);
    // None: no address is asked for.
    let mut address: Option<Option<PciAddress>> = None;
    let mut understood = true;
    for Part { key, operator, value } in parts {
        match (key, operator) {
            ("ACTION", Operator::Is) => {}
            ("SUBSYSTEM" | "SUBSYSTEMS", Operator::Is) if value == "pci" => {}
            // Displays, which cards are told by.
            ("ATTR{class}", Operator::Is) if value.starts_with("0x03") => {}
            ("KERNEL" | "ENV{PCI_SLOT_NAME}", Operator::Is) => {
                address = Some(PciAddress::parse(value).ok());
            }
            ("ATTR{vendor}" | "ATTRS{vendor}", Operator::Is) => vendor = Some(id(value)),
            ("ATTR{device}" | "ATTRS{device}", Operator::Is) => device = Some(id(value)),
            ("ATTR{driver_override}", Operator::Sets) => driver = Some(value.to_owned()),
            (_, Operator::Sets) => {
                by_program |= value.contains("driver_override");
                alone = false;
            }
            (_, Operator::Is | Operator::IsNot) => understood = false,
        }
    }
    let of = match (address, vendor.flatten(), device.flatten()) {
        _ if !understood => Subject::Other,
        (Some(Some(address)), _, _) => Subject::Function(address),
        (None, Some(vendor), Some(device)) => Subject::Kind(PciDeviceId::of(vendor, device)),
        _ => Subject::Other,
    };
    match driver {
        Some(driver) => Some(Override { of, driver, alone }),
        None => by_program.then(|| Override { of: Subject::Other, driver: String::new(), alone }),
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
            (format!(r#"KERNEL!="0000:01:00.0", {ids}, {to}"#), Subject::Other, "vfio-pci"),
            (format!(r#"{ids}, ATTR{{subsystem_device}}=="0xdead", {to}"#), Subject::Other, "vfio-pci"),
            (format!(r#"KERNELS=="0000:00:01.0", {to}"#), Subject::Other, "vfio-pci"),
            (format!(r#"SUBSYSTEM=="usb", {ids}, {to}"#), Subject::Other, "vfio-pci"),
            (format!("{to}, KERNEL==0000:41:00.0"), Subject::Other, ""),
            (
                r#"RUN+="/bin/sh -c 'echo vfio-pci > /sys$devpath/driver_override'""#.to_owned(),
                Subject::Other,
                "",
            ),
        ] {
            let found = of_rule(&line).unwrap_or_else(|| panic!("{line}"));
            assert_eq!((found.of, found.driver.as_str()), (of, driver), "{line}");
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
