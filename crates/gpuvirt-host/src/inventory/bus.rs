//! The cheap first look: which functions there are, and of which class. Where some cards are asked for, nothing is read of
//! the functions of other slots until they turn out to be their affair.

use std::collections::{BTreeMap, BTreeSet};

use gpuvirt_model::{ClassCode, PciAddress};

use super::extent::Extent;
use super::rules::GpuRules;
use crate::error::HostError;
use crate::files::{Files, shown};
use crate::parse::pci;
use crate::paths;

/// All PCI functions of the host.
#[derive(Debug, Default)]
pub(super) struct Bus {
    /// How many there are.
    pub(super) count: usize,
    /// The classes of those that were looked at.
    classes: BTreeMap<PciAddress, ClassCode>,
    /// Some slots were looked at only.
    in_part: bool,
    /// Those that are GPUs by class or by the admin's list, virtual functions included.
    pub(super) candidates: BTreeSet<PciAddress>,
    /// What made no sense.
    pub(super) oddities: Vec<String>,
}

/// Reads the class of every function in `extent`, and the ids where a rule asks for them.
///
/// # Errors
/// [`HostError::Read`] when there is no PCI bus to list.
pub(super) fn look(files: Files<'_>, rules: &GpuRules, extent: Extent) -> Result<Bus, HostError> {
    let names = files
        .sysfs
        .list(paths::PCI_DEVICES)
        .map_err(|source| HostError::Read { path: paths::PCI_DEVICES.to_owned(), source })?;
    let mut bus = Bus::default();
    let mut functions = Vec::new();
    for name in names {
        let Ok(address) = PciAddress::parse(&name) else {
            bus.oddities.push(format!("{}: {} is no PCI address", paths::PCI_DEVICES, shown(&name)));
            continue;
        };
        functions.push(address);
    }
    bus.count = functions.len();
    let slots = extent.slots(files, &functions);
    bus.in_part = slots.is_some();
    for address in functions {
        if slots.as_ref().is_some_and(|slots| !slots.contains(&slot(address))) {
            continue;
        }
        if let Some(class) = bus.read_class(files, address) {
            bus.add_candidate(files, rules, address, class);
        }
    }
    Ok(bus)
}

/// A slot, by what its first function is called.
pub(super) fn slot(address: PciAddress) -> PciAddress {
    PciAddress { function: 0, ..address }
}

impl Bus {
    /// The class of a function of this host.
    pub(super) fn class(&mut self, files: Files<'_>, address: PciAddress) -> Option<ClassCode> {
        match self.known_class(address) {
            None if self.in_part => self.read_class(files, address),
            known => known,
        }
    }

    /// The class, if it was looked at.
    pub(super) fn known_class(&self, address: PciAddress) -> Option<ClassCode> {
        self.classes.get(&address).copied()
    }

    fn read_class(&mut self, files: Files<'_>, address: PciAddress) -> Option<ClassCode> {
        let path = paths::function_file(address, "class");
        match files.text(&path).map(|text| pci::class(&text).ok_or(text)) {
            Ok(Ok(class)) => {
                self.classes.insert(address, class);
                return Some(class);
            }
            Ok(Err(text)) => self.oddities.push(format!("{path}: {} is no class", shown(&text))),
            // Removed since the bus was listed.
            Err(_) if !files.sysfs.exists(&paths::function(address)) => {}
            Err(e) => self.oddities.push(format!("{path}: {e}")),
        }
        None
    }

    fn add_candidate(&mut self, files: Files<'_>, rules: &GpuRules, address: PciAddress, class: ClassCode) {
        if rules.class_is_gpu(class) || (rules.need_ids() && has_gpu_ids(files, rules, address)) {
            self.candidates.insert(address);
        }
    }

    /// The other functions of the same slot.
    pub(super) fn slot_of(&self, address: PciAddress) -> impl Iterator<Item = PciAddress> + '_ {
        let first = PciAddress { function: 0, ..address };
        let last = PciAddress { function: 7, ..address };
        self.classes.range(first..=last).map(|(other, _)| *other).filter(move |other| *other != address)
    }
}

fn has_gpu_ids(files: Files<'_>, rules: &GpuRules, address: PciAddress) -> bool {
    let id =
        |name: &str| files.text(&paths::function_file(address, name)).ok().and_then(|text| pci::id(&text));
    id("vendor").zip(id("device")).is_some_and(|(vendor, device)| rules.ids_are_gpu(vendor, device))
}
