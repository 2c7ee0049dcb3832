//! What steps set, as values: modes, locks, counts and places.
//!
//! A [`Step`](crate::Step) names one to say what to write, a [`Snapshot`](crate::Snapshot) to say what was there. They
//! stand in the journal: a name that changes here is a new format.

use gpuvirt_model::{GpuInstance, PciAddress, ProfileName, ProgramPath};
use serde::{Deserialize, Serialize};

/// Where a mediated device is made, and of which type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MdevPlace {
    /// The parent function.
    pub parent: PciAddress,
    /// The type's folder below `mdev_supported_types`.
    pub type_id: String,
    /// The profile, for people.
    pub profile: ProfileName,
}

/// Whether the kernel looks for a driver for new virtual functions (`sriov_drivers_autoprobe`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VfAutoprobe {
    /// It does: the host's driver takes them.
    On,
    /// They stay driverless, unless a `driver_override` names a driver.
    Off,
}

impl VfAutoprobe {
    /// As a function shows it.
    pub fn of(on: bool) -> Self {
        if on { Self::On } else { Self::Off }
    }

    /// Whether new virtual functions are bound.
    pub fn is_on(self) -> bool {
        self == Self::On
    }
}

/// A physical function's virtual ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VfSetting {
    /// How many there are.
    pub count: u16,
    /// Whether the kernel binds new ones.
    pub autoprobe: VfAutoprobe,
}

/// Whether a card makes GPU instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MigMode {
    /// It does.
    On,
    /// It is whole.
    Off,
}

impl MigMode {
    /// As a card shows it.
    pub fn of(on: bool) -> Self {
        if on { Self::On } else { Self::Off }
    }
}

/// A card's MIG mode and its GPU instances, with the command that tells and changes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MigLayout {
    /// The vendor's command.
    pub command: ProgramPath,
    /// Its MIG mode.
    pub mode: MigMode,
    /// Its GPU instances.
    pub instances: Vec<GpuInstance>,
}

/// Whether vGPUs of several sizes may live on a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MixedSize {
    /// They may.
    On,
    /// One size at a time.
    Off,
}

/// A card's mixed-size mode, with the command that sets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MixedSizeSetting {
    /// The mode.
    pub on: MixedSize,
    /// The vendor's command.
    pub command: ProgramPath,
}

/// The lock of a card's driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnbindLock {
    /// Nobody new gets the card.
    Taken,
    /// Anybody may.
    Free,
}
