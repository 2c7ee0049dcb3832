//! GPUs named by what they are.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{PciAddress, PciIdentity};

/// GPUs by what they are. All that is given must hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GpuMatch {
    /// Vendor and device: `10de:2235`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<IdPair>,
    /// Subsystem vendor and device: `10de:145a`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subsystem: Option<IdPair>,
    /// The slot, an address without its function: `0000:41:00`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<PciSlot>,
    /// How many it must be.
    #[serde(default = "one")]
    pub count: u32,
}

fn one() -> u32 {
    1
}

/// Vendor and device, or a subsystem's: `10de:2235`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "schema", schemars(extend("pattern" = "^[0-9a-fA-F]{4}:[0-9a-fA-F]{4}$")))]
pub struct IdPair(pub u16, pub u16);

/// A slot: all functions of one card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "schema", schemars(extend("pattern" = "^([0-9a-fA-F]{4,8}:)?[0-9a-fA-F]{2}:[01][0-9a-fA-F]$")))]
pub struct PciSlot(PciAddress);

/// Why a text is no id pair or slot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GpuMatchError {
    /// No ids.
    #[error("{0:?} is no pair of ids: write it as 10de:2235, in hexadecimal")]
    Ids(String),
    /// No slot.
    #[error("{0:?} is no slot: write it as 0000:41:00, an address without its function")]
    Slot(String),
}

impl GpuMatch {
    /// Whether a GPU is of this kind.
    pub fn fits(&self, address: PciAddress, identity: &PciIdentity) -> bool {
        let device = IdPair(identity.vendor, identity.device);
        let subsystem = IdPair(identity.subsystem_vendor, identity.subsystem_device);
        self.device.is_none_or(|wanted| wanted == device)
            && self.subsystem.is_none_or(|wanted| wanted == subsystem)
            && self.slot.is_none_or(|slot| slot.0.same_slot(&address))
    }
}

impl fmt::Display for GpuMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let device = self.device.map(|ids| format!("device {ids}"));
        let subsystem = self.subsystem.map(|ids| format!("subsystem {ids}"));
        let slot = self.slot.map(|slot| format!("slot {slot}"));
        let parts: Vec<String> = [device, subsystem, slot].into_iter().flatten().collect();
        f.write_str(&parts.join(", "))
    }
}

impl TryFrom<String> for IdPair {
    type Error = GpuMatchError;

    fn try_from(text: String) -> Result<Self, GpuMatchError> {
        let id = |text: &str| {
            let sound = text.len() == 4 && text.bytes().all(|b| b.is_ascii_hexdigit());
            sound.then(|| u16::from_str_radix(text, 16).ok()).flatten()
        };
        let pair = text.split_once(':').and_then(|(vendor, device)| Some(Self(id(vendor)?, id(device)?)));
        pair.ok_or(GpuMatchError::Ids(text))
    }
}

impl TryFrom<String> for PciSlot {
    type Error = GpuMatchError;

    fn try_from(text: String) -> Result<Self, GpuMatchError> {
        match PciAddress::parse(&format!("{text}.0")) {
            Ok(address) => Ok(Self(address)),
            Err(_) => Err(GpuMatchError::Slot(text)),
        }
    }
}

impl From<IdPair> for String {
    fn from(ids: IdPair) -> Self {
        ids.to_string()
    }
}

impl From<PciSlot> for String {
    fn from(slot: PciSlot) -> Self {
        slot.to_string()
    }
}

impl fmt::Display for IdPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:04x}", self.0, self.1)
    }
}

impl fmt::Display for PciSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:02x}:{:02x}", self.0.domain, self.0.bus, self.0.slot)
    }
}
