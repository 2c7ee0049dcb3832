//! Steps and plans as data.

use std::collections::BTreeMap;

use gpuvirt_model::{DriverBinding, DriverName, PciAddress, ProfileName};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One act on the host. Each is a single write, and each is safe to find done already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Step {
    /// Load a kernel module.
    LoadModule {
        /// The module.
        module: DriverName,
    },
    /// Set or clear a function's `driver_override`.
    SetOverride {
        /// The function.
        function: PciAddress,
        /// The only driver that may bind it; none clears it.
        driver: Option<DriverName>,
    },
    /// Unbind a function from its driver. Can block for as long as somebody holds the device.
    Unbind {
        /// The function.
        function: PciAddress,
        /// The driver that must still have it.
        driver: DriverName,
    },
    /// Let the kernel bind a driverless function: `drivers_probe`. Its success says nothing; the binding is re-read.
    Probe {
        /// The function.
        function: PciAddress,
        /// The driver that must have it afterwards; none: whichever the kernel finds, or no driver.
        expect: Option<DriverName>,
    },
    /// Create a mediated device.
    CreateMdev {
        /// The parent function.
        parent: PciAddress,
        /// The type's folder below `mdev_supported_types`.
        type_id: String,
        /// The profile, for people.
        profile: ProfileName,
        /// The new device's uuid.
        uuid: Uuid,
    },
    /// Remove a mediated device. Can block for as long as somebody holds it.
    RemoveMdev {
        /// The parent function.
        parent: PciAddress,
        /// The device.
        uuid: Uuid,
    },
}

/// An ordered list of steps with what it promises and how things were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The GPU that it is about.
    pub gpu: PciAddress,
    /// What it is for, in words: `0000:41:00.0 becomes direct`.
    pub purpose: String,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// Everything that the steps can change, as it was.
    pub before: Snapshot,
    /// The same things as they must be afterwards.
    pub after: Snapshot,
}

/// The values that steps can change, at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// Functions and what they are bound to.
    pub bindings: BTreeMap<PciAddress, DriverBinding>,
    /// vGPUs that exist (`Some`: type id and parent) or not (`None`).
    pub mdevs: BTreeMap<Uuid, Option<MdevPlace>>,
}

/// Where a mediated device is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MdevPlace {
    /// The parent function.
    pub parent: PciAddress,
    /// The type's folder.
    pub type_id: String,
    /// The profile, for people.
    pub profile: ProfileName,
}
