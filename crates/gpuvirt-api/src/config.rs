//! The desired document as it travels, and what its application changed.

use gpuvirt_model::{Configuration, PciAddress, Refusal, Warning};
use gpuvirt_plan::config::Difference;
use serde::{Deserialize, Serialize};

/// `POST /v1/config`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApplyConfig {
    /// The document.
    pub config: Configuration,
    /// How far to go.
    pub until: ConfigUntil,
    /// Managed GPUs that the document does not name become unmanaged.
    #[serde(default)]
    pub prune: bool,
    /// A new default type is meant for those GPUs too that follow it; without this they are listed, and nothing is done.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub yes: bool,
    /// vGPUs of the document that live already and that others made become gpuvirt's, where GPU and profile are the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopt: bool,
    /// Longest wait for a write that can block, in seconds; none: the daemon's own.
    #[serde(default)]
    pub wait_seconds: Option<u64>,
}

/// How far a document is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ConfigUntil {
    /// Only compared with what is stored.
    Differences,
    /// Checked and planned; nothing is written.
    Plans,
    /// Carried out.
    Done,
}

/// What a document changed, or would change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ConfigChange {
    /// Always [`crate::API_VERSION`].
    pub api_version: String,
    /// Always `ConfigChange`.
    pub kind: String,
    /// How far it was carried out.
    pub until: ConfigUntil,
    /// Whether anything changed, or would: of the host's defaults or of any GPU.
    pub changed: bool,
    /// What changed of the host's defaults.
    pub host: Vec<Difference>,
    /// Each GPU that the document means or affects.
    pub gpus: Vec<GpuChange>,
}

/// What a document changed of one GPU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct GpuChange {
    /// Its address.
    pub address: PciAddress,
    /// Whether the host or what is stored of it changed, or would.
    pub changed: bool,
    /// How it ended.
    pub outcome: GpuOutcome,
    /// What was done, in a sentence, or why it was not.
    pub what: String,
    /// What is stored differently.
    pub differences: Vec<Difference>,
    /// The plan's steps, in sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sentences: Vec<String>,
    /// What must be known besides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
    /// Accepted and not in force yet, with the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<String>,
    /// Refusals that came up after everything had been checked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<Refusal>,
}

/// How the change of one GPU ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum GpuOutcome {
    /// It was so already.
    Unchanged,
    /// It was made so, or would be.
    Changed,
    /// It is stored, and not in force yet.
    Pending,
    /// Something came into its way after everything had been checked; nothing was written to it.
    Refused,
    /// It was tried, and `what` says what is true now.
    Failed,
}
