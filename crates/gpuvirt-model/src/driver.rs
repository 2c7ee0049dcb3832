//! Names of kernel drivers, and what a function is bound to.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The name of a PCI driver, as below `/sys/bus/pci/drivers`.
///
/// It becomes a path component and the content of `driver_override`, so it holds letters, digits, `_`, `-`,
/// `+` and `.` only, and is no dot-name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "schema", schemars(extend("pattern" = "^[A-Za-z0-9_+.-]{1,63}$")))]
pub struct DriverName(String);

/// Why a text is not a driver's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a driver name")]
pub struct DriverNameError(pub String);

impl DriverName {
    /// Checks and wraps a name.
    ///
    /// # Errors
    /// [`DriverNameError`] when it is empty, longer than 63 bytes or holds a character that no driver's name has.
    pub fn parse(text: &str) -> Result<Self, DriverNameError> {
        let sound = (1..64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-+.".contains(&b))
            && !text.bytes().all(|b| b == b'.');
        if sound { Ok(Self(text.to_owned())) } else { Err(DriverNameError(text.to_owned())) }
    }

    /// The kernel's generic VFIO driver for PCI functions.
    pub fn vfio_pci() -> Self {
        Self("vfio-pci".to_owned())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A VFIO driver: `vfio-pci` or a vendor's variant of it (`mlx5_vfio_pci`, `nvgrace_gpu_vfio_pci`, `xe-vfio-pci`).
    pub fn is_vfio(&self) -> bool {
        self.0.contains("vfio")
    }

    /// Leaves its IOMMU group free for VFIO: VFIO drivers, and `pci-stub`, which never does DMA
    /// (`driver_managed_dma` in the kernel).
    pub fn leaves_group_viable(&self) -> bool {
        self.is_vfio() || self.0 == "pci-stub"
    }
}

impl fmt::Display for DriverName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for DriverName {
    type Error = DriverNameError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<DriverName> for String {
    fn from(name: DriverName) -> Self {
        name.0
    }
}

/// What a function is bound to: everything that binding and unbinding can change on it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct DriverBinding {
    /// The driver that has the function; none: it is driverless.
    pub driver: Option<DriverName>,
    /// `driver_override`: the only driver that may bind it, when set.
    pub driver_override: Option<DriverName>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_leave_their_folder_are_refused() {
        for text in ["", ".", "..", "a/b", "a b", "vfio-pci\n", "(null)", "é"] {
            assert!(DriverName::parse(text).is_err(), "{text:?}");
        }
        for text in ["vfio-pci", "snd_hda_intel", "ahci", "8250_pci", "i915.x"] {
            assert!(DriverName::parse(text).is_ok(), "{text:?}");
        }
    }
}
