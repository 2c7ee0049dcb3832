//! How vGPUs are spread over the GPUs that could have them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// On which of several suitable GPUs a vGPU is made (vSphere's shared passthrough assignment policy).
///
/// It acts on GPUs in same-size mode only: mixed-size and MIG have rules of their own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum AssignmentPolicy {
    /// Spread: the GPU with the fewest vGPUs.
    #[default]
    Performance,
    /// Group: fill a GPU before the next one is begun.
    Consolidation,
}

impl AssignmentPolicy {
    /// The policy of a host on which nobody chose one.
    pub fn is_performance(&self) -> bool {
        *self == Self::Performance
    }
}

/// Why a text names no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an assignment policy: write performance or consolidation")]
pub struct AssignmentPolicyError(pub String);

impl fmt::Display for AssignmentPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Performance => "performance",
            Self::Consolidation => "consolidation",
        })
    }
}

impl FromStr for AssignmentPolicy {
    type Err = AssignmentPolicyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_lowercase().as_str() {
            "performance" => Ok(Self::Performance),
            "consolidation" => Ok(Self::Consolidation),
            _ => Err(AssignmentPolicyError(text.to_owned())),
        }
    }
}
