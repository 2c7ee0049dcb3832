//! A piece of libvirt XML as it travels.

use serde::{Deserialize, Serialize};

/// A `<hostdev>` fragment, or a domain's definition without its secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct XmlDocument {
    /// Always [`crate::API_VERSION`].
    pub api_version: String,
    /// Always `Xml`.
    pub kind: String,
    /// The text.
    pub xml: String,
}

impl XmlDocument {
    /// The document of a text.
    pub fn new(xml: impl Into<String>) -> Self {
        Self { api_version: crate::API_VERSION.to_owned(), kind: "Xml".to_owned(), xml: xml.into() }
    }
}
