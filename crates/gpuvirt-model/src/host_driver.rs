//! What the host's driver of a GPU is for.

use serde::{Deserialize, Serialize};

/// What a driver is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum HostDriverKind {
    /// No host driver has the card: none at all, or VFIO's.
    None,
    /// It makes vGPUs: a vendor's vGPU host driver, or any other that offers some.
    VgpuHost,
    /// A vendor's driver for the host's own use, which makes none.
    Plain,
    /// The same as an open kernel module.
    OpenModule,
    /// A driver that offers no vGPUs and of which no more is known.
    Other,
    /// A vendor's driver, and it can't be told which of the above.
    #[default]
    Unknown,
}

/// The host's driver of a GPU.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct HostDriver {
    /// What it is for.
    pub kind: HostDriverKind,
    /// Its version, where it tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// From what the kind is known, in words.
    pub evidence: String,
}
