//! What a PCI driver takes by what it is: an entry of the kernel's lists of devices, as `vfio-pci`'s parameter `ids` spells it.

use std::fmt;
use std::str::FromStr;

use crate::PciIdentity;

/// The kernel's `PCI_ANY_ID`.
const ANY: u32 = u32::MAX;

/// The kernel's `struct pci_device_id`, spelt `vendor:device[:subvendor[:subdevice[:class[:class_mask]]]]` in hexadecimal;
/// `ffffffff` is any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PciDeviceId {
    vendor: u32,
    device: u32,
    subvendor: u32,
    subdevice: u32,
    class: u32,
    class_mask: u32,
}

impl PciDeviceId {
    /// Every card of a vendor and device.
    pub fn of(vendor: u16, device: u16) -> Self {
        Self {
            vendor: vendor.into(),
            device: device.into(),
            subvendor: ANY,
            subdevice: ANY,
            class: 0,
            class_mask: 0,
        }
    }

    /// The vendor.
    pub fn vendor(&self) -> u32 {
        self.vendor
    }

    /// The vendor's device.
    pub fn device(&self) -> u32 {
        self.device
    }

    /// Whether a driver with this entry takes such a function (`pci_match_one_device`).
    pub fn matches(&self, identity: &PciIdentity) -> bool {
        let is = |wanted: u32, have: u16| wanted == ANY || wanted == u32::from(have);
        is(self.vendor, identity.vendor)
            && is(self.device, identity.device)
            && is(self.subvendor, identity.subsystem_vendor)
            && is(self.subdevice, identity.subsystem_device)
            && (self.class ^ identity.class.0) & self.class_mask == 0
    }

    /// The entries of `vfio-pci`'s parameter `ids`; what is none comes as it is written.
    pub fn list(value: &str) -> Vec<Result<Self, String>> {
        let parts = value.trim_matches('"').split(',').filter(|part| !part.is_empty());
        parts.map(|part| part.parse().map_err(|NoPciDeviceId| part.to_owned())).collect()
    }
}

/// A text is no such entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoPciDeviceId;

impl FromStr for PciDeviceId {
    type Err = NoPciDeviceId;

    /// As `vfio_pci_fill_ids` does, by `sscanf("%x:%x:%x:%x:%x:%x")`: the first two fields must be there, and what comes
    /// behind the last one that is understood is passed over.
    fn from_str(text: &str) -> Result<Self, NoPciDeviceId> {
        let mut found = Vec::new();
        let mut rest = text;
        while found.len() < 6 {
            let Some((number, behind)) = number(rest) else { break };
            found.push(number);
            let Some(next) = behind.strip_prefix(':') else { break };
            rest = next;
        }
        let [vendor, device, optional @ ..] = found.as_slice() else { return Err(NoPciDeviceId) };
        let field = |index: usize, default| optional.get(index).copied().unwrap_or(default);
        Ok(Self {
            vendor: *vendor,
            device: *device,
            subvendor: field(0, ANY),
            subdevice: field(1, ANY),
            class: field(2, 0),
            class_mask: field(3, 0),
        })
    }
}

/// A hexadecimal number, `0x` before it or not, and what is behind it. Of one that is too long the kernel keeps the last bits.
fn number(text: &str) -> Option<(u32, &str)> {
    let text = text.trim_start();
    let prefixed = ["0x", "0X"].iter().find_map(|prefix| text.strip_prefix(prefix));
    let digits =
        prefixed.filter(|digits| digits.starts_with(|c: char| c.is_ascii_hexdigit())).unwrap_or(text);
    let end = digits.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(digits.len());
    let (digits, behind) = digits.split_at_checked(end)?;
    let value = digits.chars().filter_map(|c| c.to_digit(16)).fold(0u32, |value, digit| value << 4 | digit);
    (!digits.is_empty()).then_some((value, behind))
}

impl fmt::Display for PciDeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", Field(self.vendor), Field(self.device))?;
        if (self.subvendor, self.subdevice) != (ANY, ANY) {
            write!(f, " of {}:{}", Field(self.subvendor), Field(self.subdevice))?;
        }
        match self.class_mask {
            0 => Ok(()),
            // A class has 24 bits.
            mask if mask & 0xff_ffff == 0xff_ffff => write!(f, " of class {:06x}", self.class),
            mask => write!(f, " of class {:06x} under the mask {:06x}", self.class, mask & 0xff_ffff),
        }
    }
}

/// A field as people write it.
struct Field(u32);

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ANY => f.write_str("any"),
            id => write!(f, "{id:04x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ClassCode;

    const CARD: PciIdentity = PciIdentity {
        vendor: 0x1002,
        device: 0x73bf,
        subsystem_vendor: 0x1da2,
        subsystem_device: 0xe438,
        class: ClassCode(0x03_0000),
    };

    fn takes(text: &str) -> bool {
        text.parse::<PciDeviceId>().unwrap().matches(&CARD)
    }

    #[test]
    fn an_entry_takes_what_has_all_that_it_names() {
        for text in [
            "1002:73bf",
            "0x1002:0X73BF",
            "1002:73bf:1da2",
            "1002:73bf:1da2:e438",
            "1002:73bf:ffffffff:ffffffff",
            "1002:ffffffff:ffffffff:ffffffff:00030000:ffff00ff",
            "ffffffff:ffffffff:ffffffff:ffffffff:30000:ff0000",
            "1002:73bf:ffffffff:ffffffff:40300",
            "1002:73bf:",
            "1002:73bfzz",
            "1002:73bf::1043",
        ] {
            assert!(takes(text), "{text}");
        }
        for text in [
            "1002:73a5",
            "10de:73bf",
            "1002:73bf:1043:0001",
            "1002:73bf:1da2:0001",
            "1002:73bf:1043",
            "1002:ffffffff:ffffffff:ffffffff:00030200:ffffffff",
            "1002:ffff",
            "11002:73bf",
        ] {
            assert!(!takes(text), "{text}");
        }
        for text in ["", "1002", "1002:", "zz:1", "1002:x", ":73bf", "1002::73bf", "0x:1"] {
            assert_eq!(text.parse::<PciDeviceId>(), Err(NoPciDeviceId), "{text}");
        }
    }

    #[test]
    fn a_list_has_entries_between_commas_and_may_be_quoted() {
        let found = PciDeviceId::list("\"10de:2235,,zz:1,10de:1aef\"");
        let of = |device| Ok(PciDeviceId::of(0x10de, device));
        assert_eq!(found, [of(0x2235), Err("zz:1".to_owned()), of(0x1aef)]);
        assert!(PciDeviceId::list("").is_empty());
    }

    #[test]
    fn it_is_shown_as_people_say_it() {
        for (text, want) in [
            ("10de:2235", "10de:2235"),
            ("10de:2235:10de:145a", "10de:2235 of 10de:145a"),
            ("10de:2235:10de", "10de:2235 of 10de:any"),
            ("1002:ffffffff:ffffffff:ffffffff:30000:ffffffff", "1002:any of class 030000"),
            (
                "1002:ffffffff:ffffffff:ffffffff:30000:ffff00ff",
                "1002:any of class 030000 under the mask ff00ff",
            ),
        ] {
            assert_eq!(text.parse::<PciDeviceId>().unwrap().to_string(), want);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[0-9a-fxX:, \"é]{0,80}") {
            for entry in PciDeviceId::list(&text).into_iter().flatten() {
                let _ = (entry.matches(&CARD), entry.to_string());
            }
        }
    }
}
