//! The cheap first look: which functions there are, and of which ids and class. Where some cards are asked for, nothing is read of
//! the functions of other slots until they turn out to be their affair.

use std::collections::{BTreeMap, BTreeSet};

use gpuvirt_model::{ClassCode, PciAddress, PciIdentity};

use super::extent::{Extent, slot};
use super::rules::GpuRules;
use crate::error::HostError;
use crate::files::{Files, shown};
use crate::parse::pci;
use crate::paths;
use crate::sysfs::OpenFolder;

/// All PCI functions of the host.
#[derive(Debug, Default)]
pub(super) struct Bus {
    /// How many there are.
    pub(super) count: usize,
    /// What those are that were looked at.
    ids: BTreeMap<PciAddress, Ids>,
    /// Some slots were looked at only.
    in_part: bool,
    /// Those that are GPUs by class or by the admin's list, virtual functions included.
    pub(super) candidates: BTreeSet<PciAddress>,
    /// What made no sense.
    pub(super) oddities: Vec<String>,
}

/// What is known of a function from the first look.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ids {
    /// All, from one file.
    All(PciIdentity),
    /// The class alone, where that file is not there or makes no sense: a recording may lack it.
    Class(ClassCode),
}

impl Ids {
    fn class(self) -> ClassCode {
        match self {
            Self::All(identity) => identity.class,
            Self::Class(class) => class,
        }
    }
}

/// Reads what every function in `extent` is.
///
/// # Errors
/// [`HostError::Read`] when there is no PCI bus to list.
pub(super) fn look(files: Files<'_>, rules: &GpuRules, extent: Extent) -> Result<Bus, HostError> {
    let folder = files
        .sysfs
        .open_folder(paths::PCI_DEVICES)
        .map_err(|source| HostError::Read { path: paths::PCI_DEVICES.to_owned(), source })?;
    let mut bus = Bus::default();
    let mut functions = Vec::new();
    for name in folder.names() {
        let Ok(address) = PciAddress::parse(name) else {
            bus.oddities.push(format!("{}: {} is no PCI address", paths::PCI_DEVICES, shown(name)));
            continue;
        };
        functions.push(address);
    }
    bus.count = functions.len();
    let slots = extent.slots(files, &folder, &functions);
    bus.in_part = slots.is_some();
    for address in functions {
        if slots.as_ref().is_some_and(|slots| !slots.contains(&slot(address))) {
            continue;
        }
        if let Some(ids) = bus.read_ids(files, Some(&folder), address) {
            bus.add_candidate(files, rules, address, ids);
        }
    }
    Ok(bus)
}

/// Whether a function is the first of its slot that is a GPU, and no virtual one: then a card begins with it.
pub(crate) fn is_primary(files: Files<'_>, rules: &GpuRules, address: PciAddress) -> bool {
    let Ok(bus) = look(files, rules, Extent::Gpu(address)) else { return false };
    bus.candidates.first() == Some(&address) && !files.sysfs.exists(&paths::function_file(address, "physfn"))
}

impl Bus {
    /// What a function of this host is.
    pub(super) fn ids(&mut self, files: Files<'_>, address: PciAddress) -> Option<Ids> {
        match self.known_ids(address) {
            None if self.in_part => self.read_ids(files, None, address),
            known => known,
        }
    }

    /// The same, if it was looked at.
    pub(super) fn known_ids(&self, address: PciAddress) -> Option<Ids> {
        self.ids.get(&address).copied()
    }

    /// The class, if it was looked at.
    pub(super) fn known_class(&self, address: PciAddress) -> Option<ClassCode> {
        self.known_ids(address).map(Ids::class)
    }

    /// `folder`: that of all functions, where it is open.
    fn read_ids(
        &mut self,
        files: Files<'_>,
        folder: Option<&OpenFolder>,
        address: PciAddress,
    ) -> Option<Ids> {
        let modalias = match folder {
            Some(folder) => files.text_in(folder, &format!("{address}/modalias")),
            None => files.text(&paths::function_file(address, "modalias")),
        };
        let all = modalias.ok().and_then(|text| pci::modalias(&text)).map(Ids::All);
        let ids = all.or_else(|| self.read_class(files, address).map(Ids::Class))?;
        self.ids.insert(address, ids);
        Some(ids)
    }

    fn read_class(&mut self, files: Files<'_>, address: PciAddress) -> Option<ClassCode> {
        let path = paths::function_file(address, "class");
        match files.text(&path).map(|text| pci::class(&text).ok_or(text)) {
            Ok(Ok(class)) => return Some(class),
            Ok(Err(text)) => self.oddities.push(format!("{path}: {} is no class", shown(&text))),
            // Removed since the bus was listed.
            Err(_) if !files.sysfs.exists(&paths::function(address)) => {}
            Err(e) => self.oddities.push(format!("{path}: {e}")),
        }
        None
    }

    fn add_candidate(&mut self, files: Files<'_>, rules: &GpuRules, address: PciAddress, ids: Ids) {
        let by_ids = || match ids {
            Ids::All(identity) => rules.ids_are_gpu(identity.vendor, identity.device),
            Ids::Class(_) => rules.need_ids() && has_gpu_ids(files, rules, address),
        };
        if rules.class_is_gpu(ids.class()) || by_ids() {
            self.candidates.insert(address);
        }
    }

    /// The other functions of the same slot.
    pub(super) fn slot_of(&self, address: PciAddress) -> impl Iterator<Item = PciAddress> + '_ {
        let first = PciAddress { function: 0, ..address };
        let last = PciAddress { function: 7, ..address };
        self.ids.range(first..=last).map(|(other, _)| *other).filter(move |other| *other != address)
    }
}

fn has_gpu_ids(files: Files<'_>, rules: &GpuRules, address: PciAddress) -> bool {
    let id =
        |name: &str| files.text(&paths::function_file(address, name)).ok().and_then(|text| pci::id(&text));
    id("vendor").zip(id("device")).is_some_and(|(vendor, device)| rules.ids_are_gpu(vendor, device))
}
