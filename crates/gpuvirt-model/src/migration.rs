//! What decides whether a VM with GPUs can move to another host while it runs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::health::LibvirtVersions;

/// What the kernel shows of a VFIO device's migration (Documentation/ABI/testing/debugfs-vfio).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct VfioMigration {
    /// Its driver saves and restores its state.
    pub supported: bool,
    /// The features that it names, from Linux 6.18 on: `stop-copy`, `p2p`, `pre-copy`, `dirty-tracking`; none: the kernel does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<Vec<String>>,
}

/// libvirt and the emulator, as far as their versions are known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Hypervisor {
    /// libvirt's daemon.
    pub libvirt: Option<ReleaseNumber>,
    /// QEMU, as it is installed now; a VM that was started before an upgrade runs an older one.
    pub qemu: Option<ReleaseNumber>,
}

impl From<&LibvirtVersions> for Hypervisor {
    fn from(versions: &LibvirtVersions) -> Self {
        // 0 is what libvirt says where there is none.
        let known = |packed: u32| (packed > 0).then(|| ReleaseNumber::unpacked(packed));
        Self { libvirt: known(versions.libvirt), qemu: known(versions.qemu) }
    }
}

/// A release of three numbers, `8.6.0`; what follows them is not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "schema", schemars(with = "String"))]
pub struct ReleaseNumber {
    /// 8 of 8.6.0.
    pub major: u32,
    /// 6 of 8.6.0.
    pub minor: u32,
    /// 0 of 8.6.0.
    pub micro: u32,
}

/// Why a text is no release.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} does not begin with two numbers")]
pub struct ReleaseNumberError(pub String);

impl ReleaseNumber {
    /// `major.minor.0`
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor, micro: 0 }
    }

    /// As libvirt packs it: `major * 1,000,000 + minor * 1,000 + micro` (virConnectGetLibVersion).
    pub fn unpacked(packed: u32) -> Self {
        Self { major: packed / 1_000_000, minor: packed / 1_000 % 1_000, micro: packed % 1_000 }
    }
}

impl FromStr for ReleaseNumber {
    type Err = ReleaseNumberError;

    /// Reads `6.12.48+deb13-amd64`, `6.8-rc1` and the like.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut numbers = text.split(|c: char| !c.is_ascii_digit());
        let mut number = || numbers.next().and_then(|digits| digits.parse().ok());
        let (major, minor) = (number(), number());
        match (major, minor) {
            (Some(major), Some(minor)) => Ok(Self { major, minor, micro: number().unwrap_or_default() }),
            _ => Err(ReleaseNumberError(text.to_owned())),
        }
    }
}

impl TryFrom<String> for ReleaseNumber {
    type Error = ReleaseNumberError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ReleaseNumber> for String {
    fn from(release: ReleaseNumber) -> Self {
        release.to_string()
    }
}

impl fmt::Display for ReleaseNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.micro)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_read_from_what_programs_call_themselves() {
        for (text, want) in [
            ("6.12.48+deb13-amd64", Some((6, 12, 48))),
            ("5.18.0", Some((5, 18, 0))),
            ("6.8-rc1", Some((6, 8, 0))),
            ("8.6", Some((8, 6, 0))),
            ("6", None),
            ("", None),
            ("linux-6.1", None),
            ("99999999999.1.1", None),
        ] {
            let read = text.parse::<ReleaseNumber>().ok().map(|r| (r.major, r.minor, r.micro));
            assert_eq!(read, want, "{text:?}");
        }
        assert_eq!(ReleaseNumber::unpacked(11_003_002).to_string(), "11.3.2");
        assert!(ReleaseNumber::new(8, 1) > "8.0.50".parse().unwrap());
    }
}
