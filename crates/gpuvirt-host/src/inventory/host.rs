//! Facts about the host as a whole.

use std::collections::{BTreeMap, BTreeSet};

use gpuvirt_model::{DriverName, DriverRules, HostFacts, ModulePresence, Reading, UnitName, Unknown};

use super::boot::{self, Boot, BootFacts};
use super::migration;
use crate::files::Files;
use crate::parse::{modules, pci};
use crate::paths;

/// More processes than a service has.
const SERVICE_PROCESSES: usize = 64 << 10;

/// Reads them.
pub(super) fn read(
    files: Files<'_>,
    boot: &BootFacts,
    rules: &DriverRules,
    function_count: usize,
    oddities: Vec<String>,
) -> HostFacts {
    let Boot { kernel_release, id: boot_id, interrupt_remapping } = boot.read(files);
    HostFacts {
        iommu: files.sysfs.list(paths::IOMMU_GROUPS).is_ok_and(|groups| !groups.is_empty()),
        interrupt_remapping,
        unsafe_interrupts_allowed: files
            .text(paths::UNSAFE_INTERRUPTS)
            .is_ok_and(|text| pci::flag(&text) == Some(true)),
        vfio_pci: vfio_pci(files, kernel_release.as_deref()),
        pci_drivers: pci_drivers(files),
        function_count,
        kernel_release,
        boot_id,
        vfio_migration: migration::read(files),
        running_services: running_services(files, rules),
        driver_rules: rules.clone(),
        oddities,
    }
}

/// Of the host, what a question about offers needs; the rest is unknown or left empty.
pub(super) fn of_offers(
    files: Files<'_>,
    _: &BootFacts,
    rules: &DriverRules,
    function_count: usize,
    oddities: Vec<String>,
) -> HostFacts {
    let unasked = || Unknown::Unreadable { what: "it was not looked for".to_owned() };
    HostFacts {
        iommu: false,
        interrupt_remapping: Reading::Unknown(unasked()),
        unsafe_interrupts_allowed: false,
        vfio_pci: ModulePresence::Unknown,
        pci_drivers: BTreeSet::new(),
        function_count,
        kernel_release: None,
        boot_id: boot::id(files),
        vfio_migration: Reading::Unknown(unasked()),
        running_services: BTreeMap::new(),
        driver_rules: rules.clone(),
        oddities,
    }
}

/// The rules' services that have processes now, by their control groups. One that is called active without any process
/// holds no card.
fn running_services(files: Files<'_>, rules: &DriverRules) -> BTreeMap<UnitName, BTreeSet<u32>> {
    let units = rules.iter().flat_map(|rule| &rule.services);
    let running = units.map(|unit| (unit.clone(), service_processes(files, unit)));
    running.filter(|(_, processes)| !processes.is_empty()).collect()
}

/// A service's processes; none: it does not run.
pub(crate) fn service_processes(files: Files<'_>, unit: &UnitName) -> BTreeSet<u32> {
    let text = files.long_text(&paths::service_processes(unit), SERVICE_PROCESSES).unwrap_or_default();
    text.lines().filter_map(pci::count).collect()
}

/// The registered PCI drivers; a name that no driver can have is nobody's.
fn pci_drivers(files: Files<'_>) -> BTreeSet<DriverName> {
    let names = files.sysfs.list(paths::PCI_DRIVERS).unwrap_or_default();
    names.iter().filter_map(|name| DriverName::parse(name).ok()).collect()
}

/// `vfio-pci`: registered with the kernel, or among the modules installed for it.
fn vfio_pci(files: Files<'_>, release: Option<&str>) -> ModulePresence {
    let driver = DriverName::vfio_pci();
    if files.sysfs.exists(&paths::driver(&driver)) {
        return ModulePresence::Ready;
    }
    let Some(release) = release else { return ModulePresence::Unknown };
    match files.sysfs.read(&paths::modules_file(release, "modules.dep"), modules::LIST_LIMIT) {
        Ok(list) if modules::lists(&list, driver.as_str()) => ModulePresence::Loadable,
        Ok(_) => ModulePresence::Missing,
        // No modules for this kernel among others' is a lack; no modules at all is a recording without them, or
        // a kernel without modules, which then has not got this one either.
        Err(_) if files.sysfs.exists(paths::LIB_MODULES) => ModulePresence::Missing,
        Err(_) => ModulePresence::Unknown,
    }
}

/// Whether `vfio-pci` is a part of that kernel, so that no file's options reach it.
pub(crate) fn vfio_pci_built_in(files: Files<'_>, release: &str) -> bool {
    let list = files.sysfs.read(&paths::modules_file(release, "modules.builtin"), modules::LIST_LIMIT);
    list.is_ok_and(|list| modules::lists(&list, DriverName::vfio_pci().as_str()))
}
