//! What we did to the host and must be able to take back: nothing else may be removed by us.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{DriverBinding, PciAddress, ProfileName};

/// What is ours, and how things were before us.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Records {
    /// Format version.
    #[serde(default = "version")]
    pub version: u32,
    /// How each function was bound before it was first taken from the host: where the way back leads.
    #[serde(default)]
    pub host_bindings: BTreeMap<PciAddress, DriverBinding>,
    /// The vGPUs that we made.
    #[serde(default)]
    pub vgpus: BTreeMap<Uuid, VgpuRecord>,
}

fn version() -> u32 {
    1
}

/// A vGPU of our making.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VgpuRecord {
    /// The function that it was made on.
    pub parent: PciAddress,
    /// The driver's type.
    pub type_id: String,
    /// The profile asked for.
    pub profile: ProfileName,
}
