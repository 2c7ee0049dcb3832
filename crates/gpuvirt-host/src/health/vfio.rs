//! VFIO's settings.

use gpuvirt_model::health::VfioHealth;

use super::reader::Reader;
use crate::parse::pci;
use crate::paths;

pub(super) fn read(reader: Reader<'_>) -> VfioHealth {
    // Without the module, and without CONFIG_VFIO_NOIOMMU, there is no such mode.
    let noiommu = reader.text(paths::VFIO_NOIOMMU);
    VfioHealth { noiommu: noiommu.map(|text| text.is_some_and(|text| pci::flag(&text) == Some(true))) }
}
