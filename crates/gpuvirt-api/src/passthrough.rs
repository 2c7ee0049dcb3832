//! Passthrough of a GPU as it is shown.

use gpuvirt_model::{PciAddress, Refusal, Warning};
use gpuvirt_plan::checks::passthrough::Passthrough;
use serde::{Deserialize, Serialize};

/// Whether a GPU is to be given whole to a VM, whether it can be, and whether it is ready for that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PassthroughDocument {
    /// The admin asked for it.
    pub enabled: bool,
    /// The platform and the card allow it.
    pub capable: bool,
    /// Why it can't be, by the names by which `gpu set` refuses it. What the admin accepted is left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub obstacles: Vec<Refusal>,
    /// What is to be known of it all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
    /// A VFIO driver has the card.
    pub active: bool,
    /// What is given away with the primary function: the card's other functions, and what shares its IOMMU group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dependents: Vec<PciAddress>,
}

impl From<Passthrough> for PassthroughDocument {
    fn from(found: Passthrough) -> Self {
        let Passthrough { enabled, obstacles, warnings, active, dependents } = found;
        Self { enabled, capable: obstacles.is_empty(), obstacles, warnings, active, dependents }
    }
}
