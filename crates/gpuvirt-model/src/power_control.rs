//! Whether a device may sleep while nobody uses it: `power/control`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What `power/control` of a device says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum PowerControl {
    /// It stays awake.
    On,
    /// The kernel lets it sleep while it is idle.
    Auto,
}

impl PowerControl {
    /// As the kernel writes it, and wants it written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Auto => "auto",
        }
    }
}

impl fmt::Display for PowerControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
