//! Where in a guest a GPU goes.
//!
//! libvirt chooses the addresses of devices that name none after those that do, so a place is free if the document
//! does not name it. The choice is the lowest free one: stable, and without gaps, because libvirt fills gaps
//! between bus numbers with root ports that nobody asked for.

use std::collections::BTreeSet;

use crate::read::{DomainXml, PORT_ALIAS_PREFIX, PciTopology};

/// A place for a GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Slot 0 behind a root port to be made.
    NewPort { index: u8 },
    /// Slot 0 behind a root port that we made earlier and that lost its device.
    OwnPort { index: u8 },
    /// A slot of a conventional bus.
    Slot { bus: u8, slot: u8 },
}

/// Why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoPlace {
    Full,
    UnknownTopology,
}

/// Chooses a place.
pub(crate) fn choose(domain: &DomainXml) -> Result<Place, NoPlace> {
    match domain.topology {
        PciTopology::Express => express(domain).ok_or(NoPlace::Full),
        PciTopology::Conventional => conventional(domain).ok_or(NoPlace::Full),
        PciTopology::Unknown => Err(NoPlace::UnknownTopology),
    }
}

fn express(domain: &DomainXml) -> Option<Place> {
    let ours = domain.controllers.iter().find_map(|controller| {
        let ours = controller.alias.as_ref().is_some_and(|alias| alias.starts_with(PORT_ALIAS_PREFIX));
        controller.index.filter(|index| ours && !domain.bus_occupied(*index))
    });
    if let Some(index) = ours {
        return Some(Place::OwnPort { index });
    }
    (1..=u8::MAX).find(|index| !domain.bus_taken(*index)).map(|index| Place::NewPort { index })
}

/// The buses of a conventional machine: the root, whose slot 0 is the host bridge and whose slots 1 and 2 libvirt
/// keeps for the chipset and the first display, then bridges, whose slot 0 is theirs.
fn conventional(domain: &DomainXml) -> Option<Place> {
    let bridges: BTreeSet<u8> = domain
        .controllers
        .iter()
        .filter(|controller| controller.model == "pci-bridge")
        .filter_map(|controller| controller.index)
        .collect();
    let buses = std::iter::once((0, 3)).chain(bridges.into_iter().map(|index| (index, 1)));
    let mut slots = buses.flat_map(|(bus, first)| (first..32_u8).map(move |slot| (bus, slot)));
    let (bus, slot) =
        slots.find(|(bus, slot)| !domain.used.iter().any(|at| (at.bus, at.slot) == (*bus, *slot)))?;
    Some(Place::Slot { bus, slot })
}
