//! What placement is decided on, and the cards in it.

use std::collections::{BTreeMap, BTreeSet};

use gpuvirt_model::{
    Desired, DesiredGpu, Framework, Function, Gpu, GraphicsType, Observed, PciAddress, Profile, ProfileName,
    Records, RefusalCode, Vgpu, VgpuId, VgpuMode,
};

use super::card::{Card, Offer, Rule, gib};
use super::mig::Instances;
use super::mixed_size::{PlacementId, Slots};

/// NVIDIA's PCI vendor id: its cards are in same-size mode unless they are set to another.
const NVIDIA: u16 = 0x10de;

/// What is known of a host.
#[derive(Debug, Clone, Copy)]
pub struct HostPicture<'a> {
    /// A fresh picture.
    pub observed: &'a Observed,
    /// What the admin asked for.
    pub desired: &'a Desired,
    /// What we made.
    pub records: &'a Records,
    /// What the picture of the host does not show.
    pub details: &'a Details,
}

/// Live vGPUs by their GPUs.
pub(super) type Living<'a> = BTreeMap<PciAddress, Vec<&'a Vgpu>>;

/// A GPU with what is known of it elsewhere in the picture, looked up once: on a large host that costs more than to judge it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) gpu: &'a Gpu,
    /// The function that stands for the card.
    primary: Option<&'a Function>,
    /// What the admin asked for.
    pub(super) entry: Option<&'a DesiredGpu>,
}

/// What placement minds and a picture of the host does not show.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Details {
    /// GPUs that are left alone, and why: a change of theirs never settled, or the kernel holds them locked.
    pub left_alone: BTreeMap<PciAddress, Closed>,
    /// The GPU instances of GPUs in MIG mode, as far as they are known.
    pub instances: BTreeMap<PciAddress, Instances>,
    /// Where vGPUs sit on mixed-size GPUs, as far as it is known.
    pub placements: BTreeMap<VgpuId, PlacementId>,
}

/// Why nothing is placed on a GPU, whatever its room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// The refusal that says so.
    pub code: RefusalCode,
    /// The reason, for people, e.g. `cordoned`.
    pub because: String,
}

impl<'a> HostPicture<'a> {
    /// Every GPU that has anything to do with vGPUs, in the order of the addresses.
    pub fn cards(&self) -> Vec<Card> {
        let (gpus, living) = (self.observed.gpus.values(), self.living());
        gpus.map(|gpu| self.card_with(&self.known(gpu), &living))
            .filter(|card| !card.offers.is_empty() || !card.alive.is_empty())
            .collect()
    }

    /// One GPU as the allocators see it.
    pub fn card(&self, gpu: &Gpu) -> Card {
        self.card_with(&self.known(gpu), &self.living())
    }

    pub(super) fn known<'b>(&self, gpu: &'b Gpu) -> Known<'b>
    where
        'a: 'b,
    {
        Known { gpu, primary: self.observed.primary_of(gpu), entry: self.desired.gpu(gpu.address) }
    }

    /// The live vGPUs by their GPUs: for whoever looks at all GPUs.
    pub(super) fn living(&self) -> Living<'a> {
        let mut living = Living::new();
        for vgpu in self.observed.vgpus.values() {
            living.entry(vgpu.gpu).or_default().push(vgpu);
        }
        living
    }

    pub(super) fn card_with(&self, known: &Known, living: &Living) -> Card {
        let Known { gpu, primary, entry: _ } = *known;
        let living = living.get(&gpu.address).map_or(&[][..], Vec::as_slice);
        let mut alive = BTreeMap::new();
        for vgpu in living {
            let count = alive.entry(self.profile_of(vgpu)).or_insert(0_u32);
            *count = count.saturating_add(1);
        }
        let numa_node = primary.and_then(|function| function.numa_node);
        let offers = offers(gpu, &alive);
        let free_parents = free_parents(gpu);
        let mut card = Card { gpu: gpu.address, rule: Rule::Driver, offers, alive, free_parents, numa_node };
        card.rule = self.rule(known, &card, living);
        if matches!(card.rule, Rule::MixedSize(_)) {
            mixed_maxima(&mut card);
        }
        card
    }

    /// A vGPU's profile: drivers name a type only while they offer it, we remember what we asked for.
    pub fn profile_of(&self, vgpu: &Vgpu) -> ProfileName {
        let record = self.records.vgpus.get(&vgpu.id).filter(|_| self.records.made(vgpu));
        record.map_or_else(|| vgpu.profile.clone(), |record| record.profile.clone())
    }

    fn rule(&self, known: &Known, card: &Card, living: &[&Vgpu]) -> Rule {
        match known.entry.and_then(|entry| entry.vgpu_mode) {
            Some(VgpuMode::SameSize) => Rule::SameSize,
            Some(VgpuMode::MixedSize) => Rule::MixedSize(self.slots(card, living)),
            Some(VgpuMode::Mig) => Rule::Mig(self.details.instances.get(&card.gpu).cloned()),
            None if looks_same_size(known, card) => Rule::SameSize,
            None => Rule::Driver,
        }
    }

    /// The slots of a mixed-size card; none where the vendor's table or a vGPU's place is missing.
    fn slots(&self, card: &Card, living: &[&Vgpu]) -> Option<Slots> {
        let whole =
            card.offers.iter().filter_map(|offer| offer.size_mib?.checked_mul(offer.max?.into())).max();
        let mut slots = Slots::empty(gib(whole?)?)?;
        for vgpu in living {
            let size = card.size(&self.profile_of(vgpu)).and_then(gib)?;
            slots.put(vgpu.placement_id.or_else(|| self.details.placements.get(&vgpu.id).copied())?, size);
        }
        Some(slots)
    }

    /// Why nothing is placed on a GPU, whatever its room.
    pub fn closed(&self, gpu: &Gpu) -> Option<Closed> {
        self.closed_with(&self.known(gpu))
    }

    pub(super) fn closed_with(&self, known: &Known) -> Option<Closed> {
        let Known { gpu, primary, entry } = *known;
        let closed = |code, because: String| Some(Closed { code, because });
        if self.desired.host.maintenance {
            return closed(RefusalCode::Maintenance, "the host is in maintenance".to_owned());
        }
        let Some(entry) = entry else {
            return closed(RefusalCode::Unmanaged, "unmanaged".to_owned());
        };
        let found = primary.map(|function| function.identity);
        if found != Some(entry.identity) {
            return closed(RefusalCode::IdentityChanged, "another card than the configured one".to_owned());
        }
        if let Some(left_alone) = self.details.left_alone.get(&gpu.address) {
            return Some(left_alone.clone());
        }
        let configured = entry.graphics_type.resolve(&self.desired.host);
        if configured != GraphicsType::SharedDirect {
            return closed(RefusalCode::NotSharedDirect, format!("configured as {configured}"));
        }
        let active = gpu.active_type(Some(configured));
        if active != GraphicsType::SharedDirect {
            let because = format!("it is {active} now, though configured as {configured}");
            return closed(RefusalCode::NotSharedDirect, because);
        }
        if entry.cordoned {
            return closed(RefusalCode::Cordoned, "cordoned".to_owned());
        }
        None
    }
}

/// NVIDIA's default, unless its driver offers another size beside what lives: then somebody set it otherwise.
fn looks_same_size(known: &Known, card: &Card) -> bool {
    let nvidia = known.primary.is_some_and(|function| function.identity.vendor == NVIDIA);
    let plain = known.gpu.frameworks == [Framework::Sriov];
    let contradicted = |offer: &Offer| offer.available > 0 && card.room_by(&Rule::SameSize, offer) == 0;
    nvidia && !plain && !card.offers.iter().any(contradicted)
}

/// A profile once, however many functions of the card offer it.
fn offers(gpu: &Gpu, alive: &BTreeMap<ProfileName, u32>) -> Vec<Offer> {
    let mut offers: Vec<Offer> = Vec::new();
    let mut parents: BTreeMap<&ProfileName, usize> = BTreeMap::new();
    for profile in &gpu.profiles {
        *parents.entry(&profile.name).or_insert(0) += 1;
        match offers.iter_mut().find(|offer| offer.profile == profile.name) {
            Some(offer) => offer.available = offer.available.saturating_add(profile.available),
            None => offers.push(first(profile)),
        }
    }
    let memory = memory_left(&offers, alive);
    for offer in &mut offers {
        // Each function tells only whether *it* could have one: their sum is bounded by the card.
        if parents.get(&offer.profile).is_some_and(|parents| *parents > 1) {
            let consumed = alive.get(&offer.profile).copied().unwrap_or(0);
            let limit = offer.max.map_or(u32::MAX, |max| max.saturating_sub(consumed));
            let fit = memory.zip(offer.size_mib).and_then(|(left, each)| left.checked_div(each));
            let fit = fit.map_or(u32::MAX, |fit| u32::try_from(fit).unwrap_or(u32::MAX));
            offer.available = offer.available.min(limit).min(fit);
        }
    }
    complete_maxima(&mut offers, alive);
    offers
}

/// How many functions of a card still take a vGPU, where it has several and each takes one.
fn free_parents(gpu: &Gpu) -> Option<u32> {
    let several =
        gpu.profiles.iter().any(|profile| Some(profile.parent) != gpu.profiles.first().map(|p| p.parent));
    let one_each = several && gpu.profiles.iter().all(|profile| profile.available <= 1);
    let free = gpu.profiles.iter().filter(|profile| profile.available > 0);
    let free: BTreeSet<PciAddress> = free.map(|profile| profile.parent).collect();
    one_each.then(|| u32::try_from(free.len()).unwrap_or(u32::MAX))
}

fn first(profile: &Profile) -> Offer {
    let Profile { ref name, framebuffer_mib, available, max, .. } = *profile;
    Offer { profile: name.clone(), size_mib: framebuffer_mib, available, max }
}

/// Where the driver names no maximum, a card that has nothing else shows it: what lives and what is left.
fn complete_maxima(offers: &mut [Offer], alive: &BTreeMap<ProfileName, u32>) {
    for offer in offers {
        let consumed = alive.get(&offer.profile).copied().unwrap_or(0);
        let alone = alive.keys().all(|profile| *profile == offer.profile);
        let shown = alone.then(|| consumed.saturating_add(offer.available));
        offer.max = offer.max.map(|max| max.max(consumed)).or(shown);
    }
}

/// What the largest set of equal vGPUs takes of the card, less what those alive take.
fn memory_left(offers: &[Offer], alive: &BTreeMap<ProfileName, u32>) -> Option<u64> {
    let whole = offers.iter().filter_map(|offer| offer.size_mib?.checked_mul(offer.max?.into())).max()?;
    let size = |profile: &ProfileName| offers.iter().find(|offer| offer.profile == *profile)?.size_mib;
    let taken: Option<Vec<u64>> =
        alive.iter().map(|(profile, count)| size(profile)?.checked_mul((*count).into())).collect();
    Some(whole.saturating_sub(taken?.into_iter().fold(0, u64::saturating_add)))
}

/// On a mixed-size card fewer of some sizes fit than on a same-size one.
fn mixed_maxima(card: &mut Card) {
    let whole = card.offers.iter().filter_map(|offer| offer.size_mib?.checked_mul(offer.max?.into())).max();
    let Some(slots) = whole.and_then(gib).and_then(Slots::empty) else { return };
    for offer in &mut card.offers {
        let known = offer.size_mib.and_then(gib).filter(|gib| slots.knows(*gib));
        let alive = card.alive.get(&offer.profile).copied().unwrap_or(0);
        if let Some(gib) = known {
            offer.max = Some(slots.max(gib).max(alive));
        }
    }
}
