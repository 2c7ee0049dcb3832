//! Cards that offer mediated devices, and the devices.

use std::collections::BTreeMap;

use gpuvirt_model::PciAddress;

/// Which sizes may live together on a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SizeRule {
    /// Any, as long as they fit.
    Mixed,
    /// All as large as the first one: types of other sizes show no instance.
    Same,
}

/// All cards that offer mediated devices, and the devices.
#[derive(Debug, Default)]
pub(crate) struct Pools {
    pub(crate) list: Vec<Pool>,
    /// By uuid. A device whose removal waits is still one: it counts, and its uuid is taken.
    pub(crate) live: BTreeMap<String, Live>,
}

/// A mediated device.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    pub(crate) parent: PciAddress,
    pub(crate) type_id: String,
    /// Its folder, without links.
    pub(crate) folder: String,
}

/// One card's memory, and the functions on which its devices are made.
#[derive(Debug)]
pub(crate) struct Pool {
    /// The card itself: the parents' physical function where they are virtual ones.
    pub(crate) card: PciAddress,
    pub(crate) parents: Vec<PciAddress>,
    pub(crate) total_mib: u64,
    pub(crate) rule: SizeRule,
    /// Folder and size of each type.
    pub(crate) types: Vec<(String, u64)>,
    /// Parents are virtual functions: at most one device on each.
    pub(crate) one_each: bool,
}
