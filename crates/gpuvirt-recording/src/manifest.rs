//! What a snapshot says of itself.

use std::collections::BTreeMap;

use gpuvirt_host::GpuMatch;
use serde::{Deserialize, Serialize};

/// The newest snapshot format that this code reads and the one that it writes.
pub const SNAPSHOT_VERSION: u32 = 1;

/// `manifest.json` of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Format version, [`SNAPSHOT_VERSION`].
    pub version: u32,
    /// When it was made, as the maker wrote it.
    pub date: String,
    /// The kernel's release, when it could be read.
    #[serde(default)]
    pub kernel_release: Option<String>,
    /// What counted as a GPU there besides display controllers.
    #[serde(default)]
    pub extra_gpus: Vec<GpuMatch>,
    /// What was left out or replaced so that the file can be shown to others.
    #[serde(default)]
    pub redacted: Vec<String>,
    /// What could not be read, with the reason.
    #[serde(default)]
    pub unreadable: Vec<String>,
    /// What was looked for and was not there: without it, absent could not be told from not recorded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absent: Vec<String>,
    /// Permissions of files where they matter: no archive's header tells them of the recorded host.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub modes: BTreeMap<String, u32>,
}
