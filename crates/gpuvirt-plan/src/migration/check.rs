//! One question of many that a migration depends on, with its answer.

use serde::{Deserialize, Serialize};

/// Whether something can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// As far as it shows.
    Yes,
    /// It can't.
    No,
    /// It can't be told.
    Unknown,
}

/// One thing that a migration takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// What: a device, `kernel`, `libvirt`, `QEMU`, `other host`.
    pub what: String,
    /// Whether it is so.
    pub answer: Answer,
    /// Why.
    pub because: String,
}

impl Check {
    pub(super) fn yes(what: impl Into<String>, because: impl Into<String>) -> Self {
        Self { what: what.into(), answer: Answer::Yes, because: because.into() }
    }

    pub(super) fn no(what: impl Into<String>, because: impl Into<String>) -> Self {
        Self { what: what.into(), answer: Answer::No, because: because.into() }
    }

    pub(super) fn unknown(what: impl Into<String>, because: impl Into<String>) -> Self {
        Self { what: what.into(), answer: Answer::Unknown, because: because.into() }
    }
}
