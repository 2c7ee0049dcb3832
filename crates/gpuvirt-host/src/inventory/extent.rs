//! How much of a host a pass looks at, and how closely.
//!
//! A question that needs little reads little: what it leaves out is left empty or said to be unknown, and whoever asks
//! shows none of it.

use std::collections::BTreeSet;

use gpuvirt_model::PciAddress;

use super::bus::slot;
use crate::files::Files;
use crate::parse::pci::last_component;
use crate::paths;

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

    /// The slots among those of `functions` that are looked at; none: all.
    pub(super) fn slots(self, files: Files<'_>, functions: &[PciAddress]) -> Option<BTreeSet<PciAddress>> {
        match self {
            Self::Host => None,
            Self::Gpu(gpu) => Some(BTreeSet::from([slot(gpu)])),
            Self::Offers => Some(functions.iter().filter_map(|at| offering(files, *at)).map(slot).collect()),
        }
    }
}

/// The card's function, where a function offers types of mediated devices or has virtual functions: a card with neither
/// offers nothing, whatever it could do.
fn offering(files: Files<'_>, function: PciAddress) -> Option<PciAddress> {
    let has = |name| files.sysfs.exists(&paths::function_file(function, name));
    // The kernel numbers them from 0 (drivers/pci/iov.c).
    if has("virtfn0") {
        return Some(function);
    }
    has("mdev_supported_types").then(|| {
        let above = files.sysfs.read_link(&paths::function_file(function, "physfn")).ok();
        above.and_then(|above| PciAddress::parse(last_component(&above)).ok()).unwrap_or(function)
    })
}
