//! The drivers that are registered and loadable.

use std::collections::BTreeMap;

/// The drivers, registered and loadable.
#[derive(Debug, Default)]
pub(crate) struct Drivers {
    /// In the order of registration, in which the kernel asks them.
    pub(crate) registered: Vec<Driver>,
    pub(crate) loadable: BTreeMap<String, Driver>,
}

/// One driver.
#[derive(Debug, Clone, Default)]
pub(crate) struct Driver {
    pub(crate) name: String,
    /// Vendor and device; it binds those.
    pub(crate) ids: Vec<(u16, u16)>,
}

impl Driver {
    /// Leaves the group free for user space (`driver_managed_dma`).
    pub(crate) fn manages_dma(&self) -> bool {
        self.is_vfio() || matches!(self.name.as_str(), "pci-stub" | "pcieport" | "pci-pf-stub")
    }

    pub(crate) fn is_vfio(&self) -> bool {
        self.name.contains("vfio")
    }
}

impl Drivers {
    pub(crate) fn get(&self, name: &str) -> Option<&Driver> {
        self.registered.iter().find(|driver| driver.name == name)
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Driver> {
        self.registered.iter_mut().find(|driver| driver.name == name)
    }

    pub(crate) fn register(&mut self, driver: Driver) {
        self.registered.push(driver);
    }

    pub(crate) fn add_loadable(&mut self, name: &str, ids: &[(u16, u16)]) {
        self.loadable.insert(name.to_owned(), Driver { name: name.to_owned(), ids: ids.to_vec() });
    }

    pub(crate) fn forget(&mut self, name: &str) {
        self.loadable.remove(name);
    }

    pub(crate) fn loadable(&self, name: &str) -> Option<Driver> {
        self.loadable.get(name).cloned()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.registered.iter().map(|driver| driver.name.clone()).collect()
    }
}
