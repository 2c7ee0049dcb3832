//! Names of vendors and devices from pci.ids, for the functions that are shown.

use std::collections::BTreeMap;

use gpuvirt_model::{Function, PciAddress};

use crate::files::Files;
use crate::parse::pci_ids;
use crate::paths;

/// Three times the size of the list of 2026.
const LIST_LIMIT: usize = 4 << 20;

/// Fills the names in. Without a list, or without an entry in it, they stay empty.
pub(super) fn fill(files: Files<'_>, functions: &mut BTreeMap<PciAddress, Function>) {
    if functions.is_empty() {
        return;
    }
    let Some(list) = paths::PCI_IDS.iter().find_map(|path| files.sysfs.read(path, LIST_LIMIT).ok()) else {
        return;
    };
    let mut known: BTreeMap<(u16, u16), pci_ids::Names> = BTreeMap::new();
    for function in functions.values_mut() {
        let (vendor, device) = (function.identity.vendor, function.identity.device);
        let names =
            known.entry((vendor, device)).or_insert_with(|| pci_ids::names(&list, vendor, device)).clone();
        function.vendor_name = names.vendor;
        function.device_name = names.device;
    }
}
