//! Which vGPU profiles may live together on a GPU.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Which vGPU profiles may live together on a GPU, in vSphere's words (`vgpuMode`).
///
/// The mode of a card is no file of sysfs: it is set through the vendor's tool and lost at reboot (mixed size), or kept
/// by the card (MIG).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum VgpuMode {
    /// The first vGPU's frame buffer locks the card to that size until all its vGPUs are gone.
    SameSize,
    /// Sizes side by side, at the places that the vendor's table allows.
    MixedSize,
    /// Each vGPU has a GPU instance, or a share of one (Multi-Instance GPU).
    Mig,
}

/// Why a text names no vGPU mode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a vGPU mode: write same-size, mixed-size or mig")]
pub struct VgpuModeError(pub String);

impl fmt::Display for VgpuMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SameSize => "same-size",
            Self::MixedSize => "mixed-size",
            Self::Mig => "mig",
        })
    }
}

impl FromStr for VgpuMode {
    type Err = VgpuModeError;

    /// Reads our own spelling and those of esxcli (`SameSize`) and vSphere's API (`multiInstanceGpu`).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain: String =
            text.chars().filter(|c| !matches!(c, ' ' | '-' | '_')).flat_map(char::to_lowercase).collect();
        match plain.as_str() {
            "samesize" => Ok(Self::SameSize),
            "mixedsize" => Ok(Self::MixedSize),
            "mig" | "multiinstancegpu" => Ok(Self::Mig),
            _ => Err(VgpuModeError(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_read_and_our_own_is_written() {
        for (text, mode) in [
            ("same-size", VgpuMode::SameSize),
            ("SameSize", VgpuMode::SameSize),
            ("mixedSize", VgpuMode::MixedSize),
            ("multiInstanceGpu", VgpuMode::Mig),
        ] {
            assert_eq!(text.parse(), Ok(mode));
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
        assert_eq!("none".parse::<VgpuMode>(), Err(VgpuModeError("none".to_owned())));
    }
}
