//! PCI addresses, identities, classes and BARs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A PCI function's address, `DDDD:BB:SS.F`, as the kernel names it below `/sys/bus/pci/devices`.
///
/// Domains above `ffff` exist (Intel VMD makes them from `10000` on), so the domain is 32 bits wide and the
/// text form has at least four digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(try_from = "String", into = "String", extend("pattern" = "^([0-9a-fA-F]{4,8}:)?[0-9a-fA-F]{2}:[01][0-9a-fA-F]\\.[0-7]$")))]
pub struct PciAddress {
    /// PCI domain (segment).
    pub domain: u32,
    /// Bus number.
    pub bus: u8,
    /// Slot (device) number, 0 to 31.
    pub slot: u8,
    /// Function number, 0 to 7.
    pub function: u8,
}

/// Why a text is not a PCI address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a PCI address: write it as 0000:41:00.0 or 41:00.0, in hexadecimal")]
pub struct PciAddressError {
    /// What was given.
    pub text: String,
}

impl PciAddress {
    /// True when both are functions of the same slot.
    pub fn same_slot(&self, other: &Self) -> bool {
        (self.domain, self.bus, self.slot) == (other.domain, other.bus, other.slot)
    }

    /// Reads `DDDD:BB:SS.F` or, with domain 0 understood, `BB:SS.F`.
    ///
    /// # Errors
    /// [`PciAddressError`] for anything else, numbers out of range included.
    pub fn parse(text: &str) -> Result<Self, PciAddressError> {
        Self::parse_parts(text).ok_or_else(|| PciAddressError { text: text.to_owned() })
    }

    fn parse_parts(text: &str) -> Option<Self> {
        let (head, function) = text.rsplit_once('.')?;
        let mut fields = head.rsplitn(3, ':');
        let slot = hex(fields.next()?, 2..=2)?;
        let bus = hex(fields.next()?, 2..=2)?;
        let domain = fields.next().map_or(Some(0), |d| hex(d, 4..=8))?;
        let function = hex(function, 1..=1)?;
        (slot < 32 && function < 8).then_some(Self {
            domain,
            bus: u8::try_from(bus).ok()?,
            slot: u8::try_from(slot).ok()?,
            function: u8::try_from(function).ok()?,
        })
    }
}

/// Hexadecimal digits only (no sign, no prefix), of a length within `len`.
fn hex(text: &str, len: std::ops::RangeInclusive<usize>) -> Option<u32> {
    if !len.contains(&text.len()) || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    u32::from_str_radix(text, 16).ok()
}

impl fmt::Display for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (domain, bus, slot, function) =
            (self.domain, self.bus.into(), self.slot.into(), self.function.into());
        // Hundreds are written for one picture, and the formatter's padding costs more than the digits.
        let digit =
            |of: u32, place: u32| char::from_digit(of >> (4 * place) & 0xf, 16).map_or(b'0', |d| d as u8);
        let [d3, d2, d1, d0] = [3, 2, 1, 0].map(|place| digit(domain, place));
        let [b1, b0, s1, s0] = [digit(bus, 1), digit(bus, 0), digit(slot, 1), digit(slot, 0)];
        let text = [d3, d2, d1, d0, b':', b1, b0, b':', s1, s0, b'.', digit(function, 0)];
        if domain > 0xffff {
            write!(f, "{:x}", domain >> 16)?;
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl FromStr for PciAddress {
    type Err = PciAddressError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl Serialize for PciAddress {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PciAddress {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// A PCI class code as the kernel shows it: base class, subclass and programming interface, 24 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(try_from = "String", into = "String", extend("pattern" = "^(0x)?[0-9a-fA-F]{1,6}$")))]
pub struct ClassCode(pub u32);

impl ClassCode {
    /// Base class, the highest of the three bytes.
    pub fn base(self) -> u8 {
        (self.0 >> 16) as u8
    }
    /// Base class and subclass, e.g. `0x0300`.
    pub fn base_and_sub(self) -> u16 {
        (self.0 >> 8) as u16
    }
    /// A display controller: VGA, XGA, 3D or other display.
    pub fn is_display(self) -> bool {
        self.base() == 0x03
    }
    /// A bridge of any kind.
    pub fn is_bridge(self) -> bool {
        self.base() == 0x06
    }
    /// HD audio.
    pub fn is_audio(self) -> bool {
        self.base_and_sub() == 0x0403
    }
    /// A USB controller.
    pub fn is_usb(self) -> bool {
        self.base_and_sub() == 0x0c03
    }
    /// What cards carry beside the GPU itself: HD audio, USB and USB-C's UCSI controllers.
    pub fn is_gpu_companion(self) -> bool {
        matches!(self.base_and_sub(), 0x0403 | 0x0c03 | 0x0c80)
    }
}

impl fmt::Display for ClassCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:06x}", self.0)
    }
}

impl Serialize for ClassCode {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ClassCode {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        hex(text.trim_start_matches("0x"), 1..=6)
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom(format!("{text:?} is not a PCI class code")))
    }
}

/// What a card is, wherever it sits: compared before every change, because addresses move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PciIdentity {
    /// Vendor id.
    #[serde(with = "hex_id")]
    #[cfg_attr(feature = "schema", schemars(with = "String", regex(pattern = "^(0x)?[0-9a-fA-F]{1,4}$")))]
    pub vendor: u16,
    /// Device id.
    #[serde(with = "hex_id")]
    #[cfg_attr(feature = "schema", schemars(with = "String", regex(pattern = "^(0x)?[0-9a-fA-F]{1,4}$")))]
    pub device: u16,
    /// Subsystem vendor id.
    #[serde(with = "hex_id")]
    #[cfg_attr(feature = "schema", schemars(with = "String", regex(pattern = "^(0x)?[0-9a-fA-F]{1,4}$")))]
    pub subsystem_vendor: u16,
    /// Subsystem device id.
    #[serde(with = "hex_id")]
    #[cfg_attr(feature = "schema", schemars(with = "String", regex(pattern = "^(0x)?[0-9a-fA-F]{1,4}$")))]
    pub subsystem_device: u16,
    /// Class code.
    pub class: ClassCode,
}

impl fmt::Display for PciIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:04x}:{:04x} subsystem {:04x}:{:04x} class {}",
            self.vendor, self.device, self.subsystem_vendor, self.subsystem_device, self.class
        )
    }
}

/// Ids travel as four hexadecimal digits, as people write them.
mod hex_id {
    use serde::{Deserialize, Deserializer, Serializer};

    #[allow(clippy::trivially_copy_pass_by_ref)] // serde's `with` passes a reference
    pub fn serialize<S: Serializer>(id: &u16, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&format_args!("{id:04x}"))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<u16, D::Error> {
        let text = String::deserialize(d)?;
        super::hex(text.trim_start_matches("0x"), 1..=4)
            .and_then(|id| u16::try_from(id).ok())
            .ok_or_else(|| serde::de::Error::custom(format!("{text:?} is not a PCI id")))
    }
}

/// One base address register's window, from a line of the function's `resource` file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Bar {
    /// Number of the BAR, 0 to 5.
    pub index: u8,
    /// Size in bytes.
    pub size: u64,
    /// A memory window (false: I/O ports).
    pub memory: bool,
    /// May lie above 4 GiB.
    pub wide: bool,
    /// Prefetchable.
    pub prefetchable: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written_as_the_kernel_does() {
        for (text, want) in [
            ("0000:41:00.0", "0000:41:00.0"),
            ("41:00.0", "0000:41:00.0"),
            ("10000:e1:1f.7", "10000:e1:1f.7"),
            ("ABCD:EF:1F.7", "abcd:ef:1f.7"),
        ] {
            assert_eq!(PciAddress::parse(text).unwrap().to_string(), want);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            ".",
            ":",
            "41:00",
            "41:00.8",
            "41:20.0",
            "0000:41:00.0 ",
            "../../etc",
            "+1:00.0",
            "0x41:00.0",
            "000:41:00.0",
            "0000:41:00.00",
            "1:0000:41:00.0",
            "0000:4g:00.0",
            "0000:41:00.-1",
            "é:00.0",
            "123456789:41:00.0",
        ] {
            assert!(PciAddress::parse(text).is_err(), "{text:?} was read as an address");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in ".{0,40}") {
            let _ = PciAddress::parse(&text);
        }

        #[test]
        fn an_address_survives_the_round_trip(domain: u32, bus: u8, slot in 0u8..32, function in 0u8..8) {
            let address = PciAddress { domain, bus, slot, function };
            proptest::prop_assert_eq!(PciAddress::parse(&address.to_string()), Ok(address));
        }
    }
}
