//! Cards whose virtual functions take vGPU types.

use std::collections::BTreeMap;

use gpuvirt_model::PciAddress;

use super::mdev::SizeRule;

/// A card whose virtual functions take types, all of one memory.
#[derive(Debug)]
pub(crate) struct TypedCard {
    pub(crate) pf: PciAddress,
    pub(crate) total_mib: u64,
    /// Unless sizes are mixed for now.
    pub(crate) rule: SizeRule,
    /// Number, name and size of each type.
    pub(crate) types: Vec<(u32, String, u64)>,
    /// The types that are set.
    pub(crate) set: BTreeMap<PciAddress, u32>,
}

/// Which sizes may live together now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sizes {
    /// As the card's rule has it.
    Ruled,
    /// Any.
    Mixed,
    /// Each has the size of its GPU instance.
    OfInstances,
}

impl TypedCard {
    pub(crate) fn size_of(&self, id: u32) -> u64 {
        self.types.iter().find(|(known, ..)| *known == id).map_or(0, |(.., mib)| *mib)
    }

    /// Whether this is the card of a physical function.
    pub(crate) fn is_of(&self, pf: PciAddress) -> bool {
        self.pf == pf
    }

    /// The types that a virtual function could get now.
    pub(crate) fn creatable(&self, vf: PciAddress, how: Sizes) -> Vec<&(u32, String, u64)> {
        if self.set.contains_key(&vf) {
            return Vec::new();
        }
        if how == Sizes::OfInstances {
            return self.types.iter().collect();
        }
        let taken: u64 = self.set.values().map(|id| self.size_of(*id)).sum();
        let left = self.total_mib.saturating_sub(taken);
        let locked = self.set.values().next().map(|id| self.size_of(*id));
        let locked = locked.filter(|_| self.rule == SizeRule::Same && how != Sizes::Mixed);
        let fits = |mib: u64| mib <= left && locked.is_none_or(|size| size == mib);
        self.types.iter().filter(|(.., mib)| fits(*mib)).collect()
    }
}
