//! How the kernel was built and started.

use std::collections::BTreeMap;

use gpuvirt_model::Fact;
use gpuvirt_model::health::BootHealth;

use super::loader;
use super::reader::Reader;
use crate::parse::{command_line, kernel_config};
use crate::paths;

/// The options that findings ask about.
const OPTIONS: [&str; 12] = [
    "CONFIG_AMD_IOMMU",
    "CONFIG_INTEL_IOMMU",
    "CONFIG_INTEL_IOMMU_DEFAULT_ON",
    "CONFIG_INTEL_IOMMU_DEFAULT_ON_INTGPU_OFF",
    "CONFIG_IOMMUFD_VFIO_CONTAINER",
    "CONFIG_IRQ_REMAP",
    "CONFIG_KVM",
    "CONFIG_KVM_AMD",
    "CONFIG_KVM_INTEL",
    "CONFIG_PCI_IOV",
    "CONFIG_VFIO_MDEV",
    "CONFIG_VFIO_PCI",
];

pub(super) fn read(reader: Reader<'_>, release: Option<&str>) -> BootHealth {
    let words = |text: String| command_line::words(&text).map(str::to_owned).collect();
    let command_line = Reader::understood(reader.text(paths::CMDLINE).map(|text| text.map(words)));
    let config = release.map(|release| config(reader, release)).unwrap_or_default();
    BootHealth { command_line, config, loader: loader::read(reader, release) }
}

/// Of the first file that is there; where none is, the first one is what is missed.
fn config(reader: Reader<'_>, release: &str) -> Fact<BTreeMap<String, String>> {
    let mut config: Fact<BTreeMap<String, String>> = Fact::default();
    for path in paths::kernel_configs(release) {
        let text = reader.kernel_config(&path);
        let found = text.known().is_some_and(|text| text.is_some());
        if found || config.source.is_empty() {
            config =
                Reader::understood(text.map(|text| text.map(|text| kernel_config::options(&text, &OPTIONS))));
        }
        if found {
            break;
        }
    }
    config
}
