//! What a request changed.

use serde::{Deserialize, Serialize};

/// The result of a request that may find everything done already, so that running it twice is safe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "outcome", content = "value", rename_all = "kebab-case")]
pub enum Outcome<T> {
    /// Everything was as asked; nothing was written.
    Unchanged(T),
    /// The host or the stored documents changed.
    Changed(T),
}

impl<T> Outcome<T> {
    /// What the request is about, changed or not.
    pub fn value(&self) -> &T {
        match self {
            Self::Unchanged(value) | Self::Changed(value) => value,
        }
    }

    /// Whether anything changed.
    pub fn is_changed(&self) -> bool {
        matches!(self, Self::Changed(_))
    }
}
