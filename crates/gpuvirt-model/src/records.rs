//! What we did to the host and must be able to take back: nothing else may be removed by us.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{DriverName, Function, PciAddress, PciIdentity, ProfileName};

/// What is ours, and how things were before us.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Records {
    /// Format version.
    #[serde(default = "version")]
    pub version: u32,
    /// How the host had each function before it was taken from it: where the way back leads.
    #[serde(default)]
    pub host_bindings: BTreeMap<PciAddress, HostBinding>,
    /// The vGPUs that we made.
    #[serde(default)]
    pub vgpus: BTreeMap<Uuid, VgpuRecord>,
}

fn version() -> u32 {
    1
}

/// How the host had a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostBinding {
    /// The driver that had it.
    pub driver: Option<DriverName>,
    /// Its `driver_override`.
    pub driver_override: Option<DriverName>,
    /// What it was: another function at the address is another function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<PciIdentity>,
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

impl Records {
    /// How the host had this function, as far as it is the same one.
    pub fn host_binding(&self, function: &Function) -> Option<&HostBinding> {
        let recorded = self.host_bindings.get(&function.address)?;
        (recorded.identity == Some(function.identity)).then_some(recorded)
    }
}
