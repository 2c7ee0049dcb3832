//! What libvirt's hook asks of the daemon. Not for people, and not for programs other than our own.

use gpuvirt_model::{Domain, VgpuId};
use serde::{Deserialize, Serialize};

/// `POST /v1/hook`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HookCall {
    /// What happens to the domain.
    pub event: HookEvent,
    /// It, as libvirt gave it to the hook: its host devices as `config`.
    pub domain: Domain,
}

/// What happens to a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum HookEvent {
    /// It is about to start: may it, and what must be made?
    Prepare,
    /// It ended, or did not start after all.
    Release,
    /// It was found running.
    Running,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct HookAnswer {
    /// Always [`crate::API_VERSION`].
    pub api_version: String,
    /// The vGPUs that were made for the start.
    pub made: Vec<VgpuId>,
}
