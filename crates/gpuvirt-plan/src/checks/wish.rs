//! Checks on vGPUs that are wanted together: whether one GPU has room for all of them, and where.

use std::collections::{BTreeMap, BTreeSet};

use gpuvirt_model::{
    Desired, Framework, Gpu, Observed, PciAddress, Profile, ProfileName, Refusal, RefusalCode, VgpuId,
};

use super::sriov;
use super::vgpu::{Creation, not_for_vgpus, without_room};
use crate::wish::Wish;

/// Everything that is in the way of new vGPUs on a GPU; on success the place of each, in the order of the wishes.
///
/// The driver has the last word: what is free is read again before each of them is made.
///
/// # Errors
/// All refusals, each once.
pub fn creatable<'a>(
    gpu: &'a Gpu,
    wishes: &[Wish],
    observed: &Observed,
    desired: &Desired,
) -> Result<Vec<&'a Profile>, Vec<Refusal>> {
    let mut found: Vec<Refusal> = Vec::new();
    let mut room = Room::of(gpu, observed);
    // Who wants one certain place gets it before those whom any place suits.
    let mut places: Vec<Option<&Profile>> = wishes.iter().map(|wish| room.take(wish, true)).collect();
    for (place, wish) in places.iter_mut().zip(wishes).filter(|(place, _)| place.is_none()) {
        *place = room.take(wish, false);
    }
    let by_profile = by_profile(gpu, wishes);
    if let Some(wanted) = by_profile.first() {
        found.extend(not_for_vgpus(wanted, observed, desired));
        let wrong = super::driver::wrong(gpu, observed);
        found.extend(wrong.map(|(why, steps)| wanted.refuse(RefusalCode::WrongHostDriver, why, steps)));
    }
    let mut names = BTreeSet::new();
    for wish in wishes {
        let one = Creation { gpu, profile: &wish.profile, id: wish.id, count: 1 };
        found.extend(name_taken(&one, names.insert(wish.id), observed));
    }
    for wanted in &by_profile {
        let all = places.iter().zip(wishes).filter(|(_, wish)| wish.profile == *wanted.profile);
        let placed: Vec<&Profile> = all.filter_map(|(place, _)| *place).collect();
        if placed.len() < wanted.count {
            found.push(without_room(wanted, placed.len(), observed));
        }
        for (code, because, remedy) in placed.iter().flat_map(|place| sriov::obstacles(place, observed)) {
            let refusal = wanted.refuse(code, because, remedy);
            // What is in the way of all virtual functions is said once.
            if !found.contains(&refusal) {
                found.push(refusal);
            }
        }
    }
    if found.is_empty() { Ok(places.into_iter().flatten().collect()) } else { Err(found) }
}

/// What is wanted of each profile, in the order in which they are first named.
fn by_profile<'a>(gpu: &'a Gpu, wishes: &'a [Wish]) -> Vec<Creation<'a>> {
    let mut all: Vec<Creation> = Vec::new();
    for Wish { id, profile, .. } in wishes {
        match all.iter_mut().find(|known| known.profile == profile) {
            Some(known) => known.count += 1,
            None => all.push(Creation { gpu, profile, id: *id, count: 1 }),
        }
    }
    all
}

/// A name that exists already, or that is asked for twice.
fn name_taken(wanted: &Creation, is_first: bool, observed: &Observed) -> Option<Refusal> {
    let because = match observed.vgpus.get(&wanted.id) {
        Some(taken) => format!("it is a vGPU of profile {} on {}", taken.profile, taken.parent),
        None if !is_first => "it is asked for twice".to_owned(),
        None => return None,
    };
    Some(wanted.refuse(RefusalCode::UuidInUse, because, vec!["leave out --uuid".to_owned()]))
}

/// What is left on a GPU while places are given away.
struct Room<'a> {
    /// Each profile of each function, and how many more of it.
    offers: Vec<(&'a Profile, u32)>,
    /// How many more of a profile the whole card may get, where its driver tells. Each virtual function of a card
    /// offers what fits on the card once.
    card: BTreeMap<&'a ProfileName, u32>,
    /// Functions that take one vGPU and no more.
    single: BTreeSet<PciAddress>,
}

impl<'a> Room<'a> {
    fn of(gpu: &'a Gpu, observed: &Observed) -> Self {
        let is_vf =
            |address: PciAddress| observed.functions.get(&address).is_some_and(|f| f.physfn.is_some());
        let single = |profile: &&Profile| profile.framework != Framework::Mdev || is_vf(profile.parent);
        let live = |profile: &Profile| {
            let same = observed.vgpus_of(gpu).filter(|vgpu| vgpu.profile == profile.name);
            u32::try_from(same.count()).unwrap_or(u32::MAX)
        };
        let capped = gpu.profiles.iter().filter_map(|profile| Some((profile, profile.max?)));
        Self {
            offers: gpu.profiles.iter().map(|profile| (profile, profile.available)).collect(),
            card: capped.map(|(profile, max)| (&profile.name, max.saturating_sub(live(profile)))).collect(),
            single: gpu.profiles.iter().filter(single).map(|profile| profile.parent).collect(),
        }
    }

    /// Gives a place away. `certain` places are those that an address names; the others are given away after them.
    fn take(&mut self, wish: &Wish, certain: bool) -> Option<&'a Profile> {
        let address = match wish.id {
            VgpuId::Vf(address) => Some(address),
            VgpuId::Mdev(_) => None,
        };
        if address.is_some() != certain || self.card.get(&wish.profile) == Some(&0) {
            return None;
        }
        let fits = |profile: &Profile| {
            profile.name == wish.profile
                && address.is_none_or(|vf| profile.parent == vf && profile.framework != Framework::Mdev)
        };
        let (profile, left) = self.offers.iter_mut().find(|(profile, left)| *left > 0 && fits(profile))?;
        *left -= 1;
        let taken = *profile;
        if let Some(left) = self.card.get_mut(&taken.name) {
            *left -= 1;
        }
        if self.single.contains(&taken.parent) {
            let of_parent = self.offers.iter_mut().filter(|(profile, _)| profile.parent == taken.parent);
            of_parent.for_each(|(_, left)| *left = 0);
        }
        Some(taken)
    }
}
