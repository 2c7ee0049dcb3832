//! What the admin's configuration says: what counts as a GPU besides display controllers, and what drivers want.

use std::fmt;
use std::str::FromStr;

use gpuvirt_model::{ClassCode, DriverRules};
use serde::{Deserialize, Serialize};

/// Which functions are GPUs, and what their drivers want of whoever prepares them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GpuRules {
    /// Matches besides the display classes: NPUs, emulated stand-ins.
    pub extra: Vec<GpuMatch>,
    /// Vendors' tools and services, by driver.
    pub drivers: DriverRules,
}

/// One match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum GpuMatch {
    /// Base class and subclass, e.g. `0x1200` for processing accelerators.
    Class(u16),
    /// Vendor and device id.
    Device {
        /// Vendor id.
        vendor: u16,
        /// Device id.
        device: u16,
    },
}

/// Why a text is no match.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither a class (1200) nor vendor and device (10de:2235), in hexadecimal")]
pub struct GpuMatchError(pub String);

impl fmt::Display for GpuMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Class(class) => write!(f, "{class:04x}"),
            Self::Device { vendor, device } => write!(f, "{vendor:04x}:{device:04x}"),
        }
    }
}

impl From<GpuMatch> for String {
    fn from(rule: GpuMatch) -> Self {
        rule.to_string()
    }
}

impl TryFrom<String> for GpuMatch {
    type Error = GpuMatchError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl FromStr for GpuMatch {
    type Err = GpuMatchError;

    /// Reads `CCCC` or `VVVV:DDDD`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = |text: &str| {
            let sound = text.len() == 4 && text.bytes().all(|b| b.is_ascii_hexdigit());
            sound.then(|| u16::from_str_radix(text, 16).ok()).flatten()
        };
        let read = match text.split_once(':') {
            None => id(text).map(Self::Class),
            Some((vendor, device)) => {
                id(vendor).zip(id(device)).map(|(vendor, device)| Self::Device { vendor, device })
            }
        };
        read.ok_or_else(|| GpuMatchError(text.to_owned()))
    }
}

impl GpuRules {
    /// Whether the class alone makes a function a GPU.
    pub(crate) fn class_is_gpu(&self, class: ClassCode) -> bool {
        let extra = |rule: &GpuMatch| matches!(rule, GpuMatch::Class(code) if *code == class.base_and_sub());
        class.is_display() || self.extra.iter().any(extra)
    }

    /// Whether vendor and device ids must be known of every function.
    pub(crate) fn need_ids(&self) -> bool {
        self.extra.iter().any(|rule| matches!(rule, GpuMatch::Device { .. }))
    }

    /// Whether vendor and device make a function a GPU.
    pub(crate) fn ids_are_gpu(&self, vendor: u16, device: u16) -> bool {
        self.extra.contains(&GpuMatch::Device { vendor, device })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_are_read() {
        assert_eq!("1200".parse(), Ok(GpuMatch::Class(0x1200)));
        assert_eq!("8086:10C9".parse(), Ok(GpuMatch::Device { vendor: 0x8086, device: 0x10c9 }));
        for text in ["", "120", "12000", "+120", ":", "8086:", "8086:10c9:0000", "0x1200"] {
            assert!(text.parse::<GpuMatch>().is_err(), "{text:?}");
        }
    }
}
