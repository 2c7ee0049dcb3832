//! The modules that a writer loads: VFIO's, and no others, whoever asks.

use serde::{Deserialize, Serialize};

use crate::modprobe;

/// The name of a module of VFIO's that binds to PCI functions: `vfio-pci`, and a vendor's variant of it (`nvgrace_gpu_vfio_pci`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct ModuleName(String);

/// Why a text is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no module of VFIO's that a writer loads")]
pub(crate) struct ModuleNameError(String);

impl ModuleName {
    /// Checks a name.
    pub(crate) fn parse(name: &str) -> Result<Self, ModuleNameError> {
        // modprobe takes both spellings of `_`.
        let canonical = name.replace('-', "_");
        let is_vfio = canonical == "vfio_pci" || canonical.ends_with("_vfio_pci");
        if is_vfio && modprobe::is_module_name(name) {
            Ok(Self(name.to_owned()))
        } else {
            Err(ModuleNameError(name.to_owned()))
        }
    }

    /// The name.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ModuleName {
    type Error = ModuleNameError;
    fn try_from(name: String) -> Result<Self, Self::Error> {
        Self::parse(&name)
    }
}

impl From<ModuleName> for String {
    fn from(name: ModuleName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_modules_of_vfio_are_loaded() {
        for name in ["vfio-pci", "vfio_pci", "mlx5_vfio_pci", "nvgrace-gpu-vfio-pci"] {
            assert_eq!(ModuleName::parse(name).unwrap().as_str(), name);
        }
        for name in [
            "",
            "vfio",
            "nvidia",
            "dccp",
            "-vfio-pci",
            "--remove",
            "../vfio-pci",
            "x y_vfio_pci",
            "vfio-pci\n",
        ] {
            assert!(ModuleName::parse(name).is_err(), "{name:?}");
            assert!(serde_json::from_value::<ModuleName>(name.into()).is_err(), "{name:?}");
        }
    }
}
