//! A value that may not be knowable: a listing says so instead of failing or guessing.

use serde::{Deserialize, Serialize};

/// A value read from the host, or why it could not be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "ReadingOf{T}"))]
#[serde(rename_all = "kebab-case")]
pub enum Reading<T> {
    /// The value.
    Known(T),
    /// Not known, and why.
    Unknown(Unknown),
}

/// Why a value is not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "why", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Unknown {
    /// Only root may read it.
    NeedsRoot,
    /// Only the daemon knows it, and it did not answer.
    NeedsDaemon,
    /// The recorded host does not hold it.
    NotRecorded,
    /// The host shows something that makes no sense, or reading failed.
    Unreadable {
        /// What was found, for people.
        what: String,
    },
}

impl<T> Reading<T> {
    /// The value, when it is known.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown(_) => None,
        }
    }

    /// The same reading of a value derived from this one.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Reading<U> {
        match self {
            Self::Known(value) => Reading::Known(f(value)),
            Self::Unknown(why) => Reading::Unknown(why),
        }
    }
}

impl std::fmt::Display for Unknown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NeedsRoot => f.write_str("unknown (needs root)"),
            Self::NeedsDaemon => f.write_str("unknown (needs gpuvirtd)"),
            Self::NotRecorded => f.write_str("unknown (not recorded)"),
            Self::Unreadable { what } => write!(f, "unknown ({what})"),
        }
    }
}
