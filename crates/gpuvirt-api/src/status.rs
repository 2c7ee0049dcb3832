//! How things stand: the daemon, libvirt, and the GPUs that need a look.

use gpuvirt_model::{ConfiguredType, GraphicsType, PciAddress, Unknown, Warning};
use serde::{Deserialize, Serialize};

use crate::{GpuDocument, Source};

/// How things stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct StatusDocument {
    /// Always [`crate::API_VERSION`].
    pub api_version: String,
    /// Always `Status`.
    pub kind: String,
    /// Where the facts come from.
    pub source: Source,
    /// The daemon, when it answered.
    pub daemon: Option<DaemonStatus>,
    /// Why the daemon did not answer, when it did not.
    pub daemon_problem: Option<String>,
    /// Why libvirt's domains are not known, when they are not.
    pub domains_unknown: Option<Unknown>,
    /// What an admin must look at: unreadable state files, changes that never settled.
    #[serde(default)]
    pub problems: Vec<String>,
    /// Nothing more is placed on this host. Left out of JSON where it is not so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub maintenance: bool,
    /// Every GPU, short.
    pub gpus: Vec<GpuStatus>,
    /// What the daemon did at its start to make the host what was asked for; none where nothing is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore: Option<RestoreStatus>,
}

/// What a start did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RestoreStatus {
    /// Every configured GPU has been looked at.
    pub finished: bool,
    /// One entry for each, in order.
    pub gpus: Vec<RestoredGpu>,
    /// Changes that an earlier daemon, or a write that did not end, had left unsettled, and that are settled since. Left out
    /// of JSON where there were none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settled: Vec<String>,
}

/// What a start did to one GPU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RestoredGpu {
    /// Its stored address.
    pub address: PciAddress,
    /// How it ended.
    pub outcome: RestoreOutcome,
    /// What was done, or why nothing was.
    pub what: String,
}

/// How the restoring of one GPU ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum RestoreOutcome {
    /// It was so already.
    Unchanged,
    /// It was made so.
    Changed,
    /// Something is in the way; nothing was written.
    Refused,
    /// It was tried, and `what` says what is true now.
    Failed,
}

/// The daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct DaemonStatus {
    /// Its version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// The generation of the desired document.
    pub generation: u64,
    /// The step that is under way; of several the oldest. Left out of JSON while nothing is changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working: Option<Working>,
    /// Steps of other GPUs that are under way beside one that waits for the kernel. Left out of JSON where there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also_working: Vec<Working>,
}

/// A step of a change that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Working {
    /// The GPU that is changed.
    pub gpu: PciAddress,
    /// What the change is for.
    pub purpose: String,
    /// The step, in a sentence.
    pub step: String,
    /// Which one it is, from 1.
    pub number: usize,
    /// How many there are.
    pub count: usize,
    /// For how long it has been under way, in whole seconds.
    pub seconds: u64,
}

/// A GPU, short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct GpuStatus {
    /// Its address.
    pub address: PciAddress,
    /// Its label.
    pub label: Option<String>,
    /// The type asked for; none: unmanaged.
    pub configured: Option<ConfiguredType>,
    /// The type in force.
    pub active: GraphicsType,
    /// Why the two differ.
    pub pending: Option<String>,
    /// Nothing more is placed on it. Left out of JSON where it is not so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cordoned: bool,
    /// What must be known about it. Left out of JSON where there is nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
    /// Why nothing more is done to it until `gpuvirt recover`.
    #[serde(default)]
    pub hands_off: Option<String>,
}

impl RestoreOutcome {
    /// The GPU may not be what it was configured as.
    pub fn is_trouble(self) -> bool {
        matches!(self, Self::Refused | Self::Failed)
    }
}

impl StatusDocument {
    /// The status of `gpus` as `source` shows them, with nothing known of the daemon yet.
    pub fn new(source: Source, gpus: Vec<GpuStatus>) -> Self {
        Self {
            api_version: crate::API_VERSION.to_owned(),
            kind: "Status".to_owned(),
            source,
            daemon: None,
            daemon_problem: None,
            domains_unknown: None,
            problems: Vec::new(),
            maintenance: false,
            restore: None,
            gpus,
        }
    }
}

impl GpuStatus {
    /// The short form of a GPU's document.
    pub fn new(gpu: &GpuDocument) -> Self {
        Self {
            address: gpu.address,
            label: gpu.label.clone(),
            configured: gpu.configured,
            active: gpu.active,
            pending: gpu.pending.clone(),
            cordoned: gpu.cordoned,
            warnings: gpu.warnings.clone(),
            hands_off: None,
        }
    }
}
