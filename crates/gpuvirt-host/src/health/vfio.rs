//! VFIO's settings, and its driver for IOMMUs.

use gpuvirt_model::health::VfioHealth;
use gpuvirt_model::{Fact, Reading};

use super::reader::Reader;
use crate::parse::{modules, pci};
use crate::paths;

/// The driver that QEMU's container asks for on x86. Built in, it shows below /sys/module too: it has parameters.
const IOMMU_DRIVER: &str = "vfio_iommu_type1";
pub(super) fn read(reader: Reader<'_>, release: Option<&str>) -> VfioHealth {
    // Without the module, and without CONFIG_VFIO_NOIOMMU, there is no such mode.
    let noiommu = reader.text(paths::VFIO_NOIOMMU);
    VfioHealth {
        noiommu: noiommu.map(|text| text.is_some_and(|text| pci::flag(&text) == Some(true))),
        iommu_driver: iommu_driver(reader, release),
        keeps_awake: reader.text(paths::VFIO_AWAKE).map(|text| pci::flag(&text?)),
    }
}

fn iommu_driver(reader: Reader<'_>, release: Option<&str>) -> Fact<bool> {
    let loaded = paths::module_named(IOMMU_DRIVER);
    if reader.files.sysfs.exists(&loaded) {
        return Fact { source: loaded, value: Reading::Known(true) };
    }
    let Some(release) = release else { return Fact::default() };
    let source = paths::modules_file(release, "modules.dep");
    let lists = |name| {
        let list = reader.files.sysfs.read(&paths::modules_file(release, name), modules::LIST_LIMIT).ok()?;
        Some(modules::lists(&list, IOMMU_DRIVER))
    };
    match (lists("modules.dep"), lists("modules.builtin")) {
        (Some(true), _) | (_, Some(true)) => Fact { source, value: Reading::Known(true) },
        (Some(false), Some(false)) => Fact { source, value: Reading::Known(false) },
        _ => Fact { source, ..Fact::default() },
    }
}
