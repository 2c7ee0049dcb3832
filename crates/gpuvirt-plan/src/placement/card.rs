//! A GPU as the allocators see it: what it offers, what lives on it, and what one vGPU more would leave.

use std::collections::BTreeMap;

use gpuvirt_model::{PciAddress, ProfileName};

use super::mig::Instances;
use super::mixed_size::{Cost, PlacementId, Slots};

/// A GPU with its vGPUs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// The GPU.
    pub gpu: PciAddress,
    /// Which sizes may live together on it.
    pub rule: Rule,
    /// What it offers, a line for each profile.
    pub offers: Vec<Offer>,
    /// How many vGPUs of each profile live on it, whoever made them.
    pub alive: BTreeMap<ProfileName, u32>,
    /// Functions that can still take a vGPU, where each takes one at most.
    pub free_parents: Option<u32>,
    /// The card's NUMA node.
    pub numa_node: Option<u32>,
}

/// A profile as the whole card offers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The profile.
    pub profile: ProfileName,
    /// Its frame buffer in MiB, when the driver says.
    pub size_mib: Option<u64>,
    /// How many more the driver would make.
    pub available: u32,
    /// How many fit on the empty card, when it is known.
    pub max: Option<u32>,
}

/// Which sizes may live together on a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// Nobody knows but the driver.
    Driver,
    /// One size, until the last vGPU is gone. Classes may differ.
    SameSize,
    /// Sizes side by side; where each may sit, as far as that is known.
    MixedSize(Option<Slots>),
    /// GPU instances, as far as they are known.
    Mig(Option<Instances>),
}

/// What a same-size card is locked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lock {
    /// Nothing lives on it.
    Open,
    /// This frame buffer, in MiB.
    Size(u64),
    /// Something whose size nobody tells.
    Unknown,
}

impl Card {
    /// What it offers of a profile.
    pub fn offer(&self, profile: &ProfileName) -> Option<&Offer> {
        self.offers.iter().find(|offer| offer.profile == *profile)
    }

    /// How many vGPUs live on it.
    pub fn alive(&self) -> u32 {
        self.alive.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Whether the host's assignment policy acts on it: mixed-size and MIG have rules of their own.
    pub fn obeys_policy(&self) -> bool {
        matches!(self.rule, Rule::Driver | Rule::SameSize)
    }

    /// How many more of a profile it takes: what its driver says, within its rule.
    pub fn room(&self, profile: &ProfileName) -> u32 {
        self.offer(profile).map_or(0, |offer| self.room_by(&self.rule, offer))
    }

    /// The same of what it offers, were this its rule.
    pub(super) fn room_by(&self, rule: &Rule, offer: &Offer) -> u32 {
        let by_rule = match rule {
            Rule::Driver => None,
            Rule::SameSize => self.same_size_room(offer),
            Rule::MixedSize(slots) => self.gib(offer, slots.as_ref()).map(|(slots, gib)| slots.room(gib)),
            Rule::Mig(instances) => instances.as_ref().map(|instances| instances.room(&offer.profile)),
        };
        offer.available.min(by_rule.unwrap_or(u32::MAX)).min(self.free_parents.unwrap_or(u32::MAX))
    }

    /// Where a vGPU of a profile would sit, and what that costs: known on a mixed-size card only.
    pub fn placement(&self, profile: &ProfileName) -> Option<(PlacementId, Cost)> {
        let Rule::MixedSize(slots) = &self.rule else { return None };
        let (slots, gib) = self.gib(self.offer(profile)?, slots.as_ref())?;
        slots.best(gib)
    }

    /// Where so many vGPUs of a profile would sit, each at its best place after the others.
    pub fn placements(&self, profile: &ProfileName, count: u32) -> Vec<PlacementId> {
        let mut card = self.clone();
        let mut found = Vec::new();
        while found.len() < count as usize {
            let Some((id, _)) = card.placement(profile).filter(|_| card.take(profile, 1) == 1) else { break };
            found.push(id);
        }
        found
    }

    /// What a same-size card is locked to.
    pub(super) fn lock(&self) -> Lock {
        let mut sizes =
            self.alive.iter().filter(|(_, count)| **count > 0).map(|(profile, _)| self.size(profile));
        match sizes.next() {
            None => Lock::Open,
            Some(None) => Lock::Unknown,
            Some(Some(size)) if sizes.all(|other| other == Some(size)) => Lock::Size(size),
            Some(Some(_)) => Lock::Unknown,
        }
    }

    /// The frame buffer of a profile in MiB.
    pub(super) fn size(&self, profile: &ProfileName) -> Option<u64> {
        self.offer(profile)?.size_mib
    }

    /// None: nothing is known that the driver does not say.
    fn same_size_room(&self, offer: &Offer) -> Option<u32> {
        match (self.lock(), offer.size_mib) {
            (Lock::Open, _) => offer.max,
            (Lock::Size(locked), Some(size)) if locked != size => Some(0),
            (Lock::Size(_), Some(_)) => offer.max.map(|max| max.saturating_sub(self.alive())),
            (Lock::Size(_), None) | (Lock::Unknown, _) => None,
        }
    }

    /// The slots and the size in their unit, where the table tells of that size.
    fn gib<'a>(&self, offer: &Offer, slots: Option<&'a Slots>) -> Option<(&'a Slots, u32)> {
        let gib = gib(offer.size_mib?)?;
        slots.filter(|slots| slots.knows(gib)).map(|slots| (slots, gib))
    }

    /// Puts so many vGPUs of a profile on it, as far as there is room, and says how many that were.
    ///
    /// What the driver would then call available is reckoned: profiles draw on one pool.
    pub fn take(&mut self, profile: &ProfileName, count: u32) -> u32 {
        let taken = count.min(self.room(profile));
        let Some(before) = self.offer(profile).cloned().filter(|_| taken > 0) else { return 0 };
        match &mut self.rule {
            Rule::Driver | Rule::SameSize => {}
            Rule::MixedSize(Some(slots)) => sit(slots, before.size_mib, taken),
            Rule::Mig(Some(instances)) => instances.take(profile, taken),
            Rule::MixedSize(None) | Rule::Mig(None) => {}
        }
        self.free_parents = self.free_parents.map(|free| free.saturating_sub(taken));
        let memory =
            memory(&self.offers).saturating_sub(before.size_mib.unwrap_or(0).saturating_mul(taken.into()));
        let rule = &self.rule;
        for offer in &mut self.offers {
            offer.available = left(rule, offer, &before, &Taken { count: taken, memory });
        }
        let alive = self.alive.entry(profile.clone()).or_insert(0);
        *alive = alive.saturating_add(taken);
        taken
    }
}

/// Puts vGPUs of one size down, each at its best place.
fn sit(slots: &mut Slots, size_mib: Option<u64>, count: u32) {
    let Some(gib) = size_mib.and_then(gib) else { return };
    // No card has more slots than the table's rows have placements, whatever the driver calls available.
    for _ in 0..count {
        let Some((id, _)) = slots.best(gib) else { return };
        slots.put(id, gib);
    }
}

/// Frame buffer that is free at the least, as the offers show it.
fn memory(offers: &[Offer]) -> u64 {
    let shown = |offer: &Offer| offer.size_mib?.checked_mul(offer.available.into());
    offers.iter().filter_map(shown).max().unwrap_or(0)
}

/// vGPUs that were taken from a card, and the frame buffer that is free at the least afterwards.
struct Taken {
    count: u32,
    memory: u64,
}

/// What is left of an offer when vGPUs of another one, or of itself, have been taken.
fn left(rule: &Rule, offer: &Offer, made: &Offer, taken: &Taken) -> u32 {
    let one_less_each = offer.available.saturating_sub(taken.count);
    if offer.profile == made.profile {
        return one_less_each;
    }
    let in_memory = || match offer.size_mib.zip(made.size_mib) {
        Some((size, _)) => taken.memory.checked_div(size).and_then(|fit| u32::try_from(fit).ok()),
        None => None,
    };
    let in_proportion = || {
        let rest = made.available.saturating_sub(taken.count);
        let rest = u64::from(rest).saturating_mul(offer.available.into()).checked_div(made.available.into());
        rest.and_then(|rest| u32::try_from(rest).ok()).unwrap_or(0)
    };
    match (rule, offer.size_mib.zip(made.size_mib)) {
        (Rule::SameSize, Some((one, other))) if one != other => 0,
        (Rule::SameSize, Some(_)) => one_less_each,
        // The slots tell it better than any reckoning with numbers that the driver has rounded.
        (Rule::MixedSize(Some(_)), Some(_)) => offer.available,
        (Rule::Mig(Some(instances)), _) if instances.compete(&made.profile, &offer.profile) => one_less_each,
        (Rule::Mig(Some(_)), _) => offer.available,
        (Rule::Driver | Rule::SameSize | Rule::MixedSize(_) | Rule::Mig(None), _) => {
            in_memory().unwrap_or_else(in_proportion).min(offer.available)
        }
    }
}

/// A frame buffer in whole GiB.
pub(super) fn gib(mib: u64) -> Option<u32> {
    (mib > 0 && mib % 1024 == 0).then(|| u32::try_from(mib / 1024).ok()).flatten()
}
