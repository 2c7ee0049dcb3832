//! Names of vendors and devices from pci.ids, for the functions that are shown.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use gpuvirt_model::{Function, PciAddress};

use crate::files::Files;
use crate::parse::pci_ids::{self, Names};
use crate::paths;

/// Three times the size of the list of 2026.
const LIST_LIMIT: usize = 4 << 20;

/// Names looked up so far. The list is a megabyte and a function's name does not change: the dearest file of a pass
/// is read in the first one only. An update of the list shows when the program is started again.
#[derive(Debug, Default)]
pub(crate) struct KnownNames(Mutex<BTreeMap<(u16, u16), Names>>);

impl KnownNames {
    /// Fills the names in. Without a list, or without an entry in it, they stay empty.
    pub(super) fn fill(&self, files: Files<'_>, functions: &mut BTreeMap<PciAddress, Function>) {
        let id = |function: &Function| (function.identity.vendor, function.identity.device);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if functions.values().any(|function| !known.contains_key(&id(function))) {
            let list = paths::PCI_IDS.iter().find_map(|path| files.sysfs.read(path, LIST_LIMIT).ok());
            let list = list.unwrap_or_default();
            for (vendor, device) in functions.values().map(id) {
                known.entry((vendor, device)).or_insert_with(|| pci_ids::names(&list, vendor, device));
            }
        }
        for function in functions.values_mut() {
            let names = known.get(&id(function)).cloned().unwrap_or_default();
            function.vendor_name = names.vendor;
            function.device_name = names.device;
        }
    }
}
