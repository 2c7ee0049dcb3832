//! How much of a host a pass looks at, and how closely.
//!
//! A question that needs little reads little: what it leaves out is left empty or said to be unknown, and whoever asks
//! shows none of it.

use std::collections::BTreeSet;

use gpuvirt_model::PciAddress;

use crate::files::Files;
use crate::paths;
use crate::sysfs::OpenFolder;

/// What a pass looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All GPUs, in full.
    Host,
    /// One GPU, in full.
    Gpu(PciAddress),
    /// The GPUs on which vGPUs can be made now, as far as that goes: what they are, their drivers, virtual functions and types.
    Offers,
}

impl Extent {
    /// Whether all is read of a function, and its group and the host with it.
    pub(super) fn in_full(self) -> bool {
        self != Self::Offers
    }

    /// The slots among those of `functions`, which are in `folder`, that are looked at; none: all.
    pub(super) fn slots(
        self,
        files: Files<'_>,
        folder: &OpenFolder,
        functions: &[PciAddress],
    ) -> Option<BTreeSet<PciAddress>> {
        match self {
            Self::Host => None,
            Self::Gpu(gpu) => Some(BTreeSet::from([slot(gpu)])),
            Self::Offers => {
                let parents = mdev_parents(files, functions);
                let cards = parents.into_iter().map(|parent| card_of(files, parent));
                let with_functions = functions.iter().copied().filter(|at| has_functions(files, folder, *at));
                Some(cards.chain(with_functions).map(slot).collect())
            }
        }
    }
}

/// The functions that offer types of mediated devices.
///
/// The mdev core has a link to each in a class of its own (drivers/vfio/mdev/mdev_core.c, `mdev_bus`). Where a driver goes the
/// link goes first, before devices that are in use and the types: from then on none can be made. Where there is no such class
/// each function is looked at, unless there is no mdev core either.
fn mdev_parents(files: Files<'_>, functions: &[PciAddress]) -> Vec<PciAddress> {
    if let Ok(parents) = files.sysfs.list(paths::MDEV_PARENTS) {
        return parents.iter().filter_map(|name| PciAddress::parse(name).ok()).collect();
    }
    if files.sysfs.knows_absence(paths::MDEV_BUS) && !files.sysfs.exists(paths::MDEV_BUS) {
        return Vec::new();
    }
    let offers = |at: &PciAddress| files.sysfs.exists(&paths::mdev_types(*at));
    functions.iter().copied().filter(offers).collect()
}

/// The card's function above a virtual one.
fn card_of(files: Files<'_>, function: PciAddress) -> PciAddress {
    let above = files.link(&paths::function_file(function, "physfn")).ok();
    above.and_then(|name| PciAddress::parse(&name).ok()).unwrap_or(function)
}

/// Whether a function has virtual functions, which the kernel numbers from 0 (drivers/pci/iov.c).
fn has_functions(files: Files<'_>, folder: &OpenFolder, function: PciAddress) -> bool {
    files.sysfs.read_link_in(folder, &format!("{function}/virtfn0")).is_ok()
}

/// A slot, by what its first function is called.
pub(super) fn slot(address: PciAddress) -> PciAddress {
    PciAddress { function: 0, ..address }
}
