//! The IOMMU, as the firmware describes it: whether it works, its groups tell.

use gpuvirt_model::health::IommuHealth;

use super::reader::Reader;
use crate::paths;

/// The firmware's tables of IOMMUs: Intel's, AMD's.
const TABLES: [&str; 2] = ["DMAR", "IVRS"];

pub(super) fn read(reader: Reader<'_>) -> IommuHealth {
    let table = reader.list(paths::ACPI_TABLES);
    let table =
        Reader::understood(table).map(|names| names.into_iter().find(|name| TABLES.contains(&name.as_str())));
    IommuHealth { table }
}
