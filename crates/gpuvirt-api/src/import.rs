//! What an import found, as it is shown.

use gpuvirt_plan::import::Import;
use serde::{Deserialize, Serialize};

use crate::{API_VERSION, ConfigChange};

/// What `gpuvirt import` found, and what its application did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ImportDocument {
    /// Always [`API_VERSION`].
    pub api_version: String,
    /// Always `Import`.
    pub kind: String,
    /// What was found.
    #[serde(flatten)]
    pub import: Import,
    /// Why libvirt's domains are not known; none when they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domains_unknown: Option<String>,
    /// What the application did; none when only shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<ConfigChange>,
}

impl ImportDocument {
    /// The document of an import that is only shown.
    pub fn new(import: Import) -> Self {
        let (api_version, kind) = (API_VERSION.to_owned(), "Import".to_owned());
        Self { api_version, kind, import, domains_unknown: None, applied: None }
    }
}
