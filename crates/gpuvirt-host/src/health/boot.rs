//! How the kernel was built and started.

use gpuvirt_model::health::BootHealth;

use super::loader;
use super::reader::Reader;
use crate::parse::kernel_config;
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

/// A distribution's list of options has some 300 KiB.
const CONFIG: usize = 2 << 20;

pub(super) fn read(reader: Reader<'_>, release: Option<&str>) -> BootHealth {
    let words = |text: String| text.split_whitespace().map(str::to_owned).collect();
    let command_line = Reader::understood(reader.text(paths::CMDLINE).map(|text| text.map(words)));
    let config = release.map(|release| {
        let text = reader.text_to(&paths::kernel_config(release), CONFIG);
        Reader::understood(text.map(|text| text.map(|text| kernel_config::options(&text, &OPTIONS))))
    });
    BootHealth { command_line, config: config.unwrap_or_default(), loader: loader::read(reader, release) }
}
