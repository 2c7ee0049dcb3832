//! Names of vendors and devices from pci.ids, for the functions that are shown.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use gpuvirt_model::{Function, PciAddress};

use crate::files::Files;
use crate::parse::pci_ids::{self, Names};
use crate::paths;

/// Three times the size of the list of 2026.
const LIST_LIMIT: usize = 4 << 20;

/// Names looked up so far. A function's name does not change: the list is looked into in the first pass only. An update of the
/// list shows when the program is started again.
#[derive(Debug, Default)]
pub(crate) struct KnownNames(Mutex<BTreeMap<(u16, u16), Names>>);

impl KnownNames {
    /// Fills the names in. Without a list, or without an entry in it, they stay empty.
    pub(super) fn fill(&self, files: Files<'_>, functions: &mut BTreeMap<PciAddress, Function>) {
        let id = |function: &Function| (function.identity.vendor, function.identity.device);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted: BTreeSet<(u16, u16)> =
            functions.values().map(id).filter(|id| !known.contains_key(id)).collect();
        if !wanted.is_empty() {
            let list = paths::PCI_IDS.iter().find_map(|path| files.sysfs.long_file(path, LIST_LIMIT).ok());
            let found = list.and_then(|list| pci_ids::names(&*list, wanted.iter().copied()).ok());
            let mut found = found.unwrap_or_default();
            known.extend(wanted.into_iter().map(|id| (id, found.remove(&id).unwrap_or_default())));
        }
        for function in functions.values_mut() {
            let names = known.get(&id(function)).cloned().unwrap_or_default();
            function.vendor_name = names.vendor;
            function.device_name = names.device;
        }
    }
}
