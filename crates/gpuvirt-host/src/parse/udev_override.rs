//! Rules of udev that choose a driver for a PCI function: `ATTR{driver_override}="..."`.

use gpuvirt_model::{PciAddress, PciDeviceId};

use super::udev_condition::{ACTIONS, COMES, PCI, passed_over};
use super::udev_rule::{Operator, Part, Rule, parts, rules};

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

/// The rules of a file that choose drivers. One that another may jump over has conditions that do not stand in it.
pub fn of_file(text: &str) -> Vec<(Rule, Override)> {
    let rules = rules(text);
    let passed_over = passed_over(&rules);
    let found = rules.into_iter().zip(passed_over).filter_map(|(rule, passed_over)| {
        let found = of_rule(&rule.text)?;
        let of = if passed_over { Subject::Other } else { found.of };
        Some((rule, Override { of, ..found }))
    });
    found.collect()
}

/// What a rule chooses; none where it chooses no driver. One with a condition that is not understood is about what is left by
/// others: what it leaves out must not be taken for chosen.
fn of_rule(rule: &str) -> Option<Override> {
    let Some(parts) = parts(rule) else {
        let other = Override { of: Subject::Other, driver: String::new(), alone: false };
        return rule.contains("driver_override").then_some(other);
    };
    let (mut driver, mut by_program, mut alone) = (None, false, true);
    let mut asked = Asked::default();
    for part in &parts {
        match part {
            Part { key: "ATTR{driver_override}", operator: Operator::Sets, value } => driver = Some(*value),
            part if part.sets() => {
                by_program |= part.value.contains("driver_override");
                alone = false;
            }
            part => {
                by_program |= part.runs_first() && part.value.contains("driver_override");
                asked.condition(part);
            }
        }
    }
    match driver {
        Some(driver) => asked.of().map(|of| Override { of, driver: driver.to_owned(), alone }),
        None => by_program.then(|| Override { of: Subject::Other, driver: String::new(), alone }),
    }
}

/// What the conditions of a rule ask for.
struct Asked {
    vendor: Option<u16>,
    device: Option<u16>,
    /// None: no address is asked for.
    address: Option<Option<PciAddress>>,
    /// The events that are left.
    actions: Vec<&'static str>,
    understood: bool,
}

impl Default for Asked {
    fn default() -> Self {
        Self { vendor: None, device: None, address: None, actions: ACTIONS.to_vec(), understood: true }
    }
}

impl Asked {
    fn condition(&mut self, part: &Part<'_>) {
        let value = part.value;
        match (part.key, part.operator) {
            ("ACTION", _) => {
                self.understood &= part.holds_for(COMES).is_some();
                self.actions.retain(|action| part.holds_for(action) != Some(false));
            }
            ("SUBSYSTEM", _) => self.understood &= part.holds_for(PCI) == Some(true),
            ("SUBSYSTEMS", Operator::Is) if value == PCI => {}
            // Displays, which cards are told by.
            ("ATTR{class}", Operator::Is) if value.starts_with("0x03") => {}
            ("KERNEL" | "ENV{PCI_SLOT_NAME}", Operator::Is) => {
                self.address = Some(PciAddress::parse(value).ok());
            }
            ("ATTR{vendor}" | "ATTRS{vendor}", Operator::Is) => self.vendor = id(value),
            ("ATTR{device}" | "ATTRS{device}", Operator::Is) => self.device = id(value),
            _ => self.understood = false,
        }
    }

    /// What they leave; none where that is only what is gone.
    fn of(&self) -> Option<Subject> {
        let (mut actions, comes) = (self.actions.iter(), self.actions.contains(&COMES));
        if actions.all(|action| *action == "remove") {
            return None;
        }
        Some(match (self.address, self.vendor, self.device) {
            _ if !self.understood || !comes => Subject::Other,
            (Some(Some(address)), _, _) => Subject::Function(address),
            (None, Some(vendor), Some(device)) => Subject::Kind(PciDeviceId::of(vendor, device)),
            _ => Subject::Other,
        })
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
            // What systemd recommends since its version 247: `bind` and the like come too.
            (format!(r#"ACTION!="remove", SUBSYSTEM=="pci", {ids}, {to}"#), kind, "vfio-pci"),
            (format!(r#"ACTION=="add|change", SUBSYSTEM!="usb", {ids}, {to}"#), kind, "vfio-pci"),
            (format!(r#"ACTION!="add", {ids}, {to}"#), Subject::Other, "vfio-pci"),
            (format!(r#"ACTION!="a*|remove", {ids}, {to}"#), Subject::Other, "vfio-pci"),
            (format!(r#"ACTION=="bind", {ids}, {to}"#), Subject::Other, "vfio-pci"),
            (format!(r#"ACTION=="[ac]*", {ids}, {to}"#), Subject::Other, "vfio-pci"),
            // Conditions whatever their operator, and what is none of udev's.
            (format!(r#"PROGRAM="/usr/bin/test -e /etc/x", {ids}, {to}"#), Subject::Other, "vfio-pci"),
            (format!(r#"PROGRAM+="/usr/bin/test -e /etc/x", {ids}, {to}"#), Subject::Other, "vfio-pci"),
            (format!(r#"IMPORT{{cmdline}}="nogpu", {ids}, {to}"#), Subject::Other, "vfio-pci"),
            (format!(r#"TEST=="/etc/x", {ids}, {to}"#), Subject::Other, "vfio-pci"),
            (format!(r#"RESULT!="0", {ids}, {to}"#), Subject::Other, "vfio-pci"),
            (format!(r#"KERNEL="0000:41:00.0", {ids}, {to}"#), Subject::Other, "vfio-pci"),
            (
                format!(r#"{ids}, {to}, TAG+="x", ENV{{A}}="b", RUN{{program}}+="/bin/true""#),
                kind,
                "vfio-pci",
            ),
            (
                r#"PROGRAM="/bin/sh -c 'echo vfio-pci > /sys$devpath/driver_override'""#.to_owned(),
                Subject::Other,
                "",
            ),
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
        for none in [
            "nonsense".to_owned(),
            r#"ATTR{driver_override}=="vfio-pci", TAG+="x""#.to_owned(),
            r#"KERNEL=="sda", MODE="0600""#.to_owned(),
            format!(r#"ACTION=="remove", {ids}, {to}"#),
            format!(r#"ACTION=="add", ACTION=="remove", {ids}, {to}"#),
        ] {
            assert_eq!(of_rule(&none), None, "{none}");
        }
    }

    #[test]
    fn a_rule_that_may_be_jumped_over_is_about_what_is_not_understood() {
        let rule = r#"KERNEL=="0000:41:00.0", ATTR{driver_override}="vfio-pci""#;
        let of = |text: &str| of_file(text).into_iter().map(|(_, found)| found.of).collect::<Vec<_>>();
        let function = Subject::Function(PciAddress::parse("41:00.0").unwrap());
        assert_eq!(of(&format!("ACTION!=\"add\", GOTO=\"end\"\n{rule}\nLABEL=\"end\"\n")), [function]);
        let by_program = format!("PROGRAM==\"/bin/x\", GOTO=\"end\"\n{rule}\nLABEL=\"end\"\n{rule}\n");
        assert_eq!(of(&by_program), [Subject::Other, function]);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(?s).{0,200}") {
            let _ = of_file(&text);
            let _ = of_file(&format!("ATTR{{driver_override}}=\"{text}"));
        }
    }
}
