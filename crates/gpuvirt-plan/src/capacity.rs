//! Capacity: of each profile and GPU how many fit, how many live, how many more are to be had, and how many are kept.
//!
//! What others made counts as consumed. Where the maximum is known, it is never less than the other three together.

use std::collections::BTreeMap;

use gpuvirt_model::{PciAddress, ProfileName, Refusal, RefusalCode};
use serde::{Deserialize, Serialize};

use crate::placement::{Card, Claim, HostPicture, Settled, claims, settle};

/// A profile on the whole host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Capacity {
    /// The profile.
    pub profile: ProfileName,
    /// How many fit on all its GPUs while these are empty; none where a driver does not say.
    pub max: Option<u32>,
    /// How many live.
    pub consumed: u32,
    /// How many more gpuvirt would make now, on GPUs where it makes any.
    pub remaining: u32,
    /// How many are kept for reservations and for VMs that start with the host.
    pub reserved: u32,
    /// How many of those that should be kept find no room.
    pub unmet: u32,
    /// On each GPU that has to do with it.
    pub gpus: Vec<GpuCapacity>,
}

/// A profile on one GPU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct GpuCapacity {
    /// The GPU.
    pub gpu: PciAddress,
    /// How many fit on it while it is empty; none where its driver does not say.
    pub max: Option<u32>,
    /// How many live on it.
    pub consumed: u32,
    /// How many more it has room for, beside what is kept.
    pub remaining: u32,
    /// How many are kept on it.
    pub reserved: u32,
    /// Why gpuvirt makes none there, whatever its room.
    pub closed: Option<String>,
}

/// Every profile that is offered, lives or is reserved, in the order of the GPUs and of their drivers.
pub fn of_host(host: &HostPicture) -> Vec<Capacity> {
    let cards: Vec<(Card, Option<String>)> = host
        .cards()
        .into_iter()
        .map(|card| {
            let gpu = host.observed.gpus.get(&card.gpu);
            let closed = gpu.and_then(|gpu| host.closed(gpu)).map(|closed| closed.because);
            (card, closed)
        })
        .collect();
    let open = cards.iter().filter(|(_, closed)| closed.is_none()).map(|(card, _)| card.clone()).collect();
    let claims = claims(host);
    let settled = settle(open, &claims);
    let left = settled.cards.iter().map(|card| (card.gpu, card)).collect();
    let after = After { settled: &settled, left };
    let of = |profile| of_profile(profile, &cards, &after);
    profiles(&cards, &claims).into_iter().map(of).collect()
}

/// The only one of these with that name.
///
/// # Errors
/// The refusal `profile-not-offered`, boxed for its size.
pub fn named(all: Vec<Capacity>, profile: &ProfileName) -> Result<Capacity, Box<Refusal>> {
    let names: Vec<String> = all.iter().map(|capacity| capacity.profile.to_string()).collect();
    all.into_iter().find(|capacity| capacity.profile == *profile).ok_or_else(|| {
        let code = RefusalCode::ProfileNotOffered;
        let because = match names.join(", ") {
            names if names.is_empty() => "no GPU of this host offers any now".to_owned(),
            names => format!("this host has {names}"),
        };
        let remedy = vec!["gpuvirt profile list".to_owned(), format!("gpuvirt explain {code}")];
        Box::new(Refusal { code, summary: format!("there is no profile {profile}"), because, remedy })
    })
}

/// The cards with what is kept taken from them.
struct After<'a> {
    settled: &'a Settled,
    left: BTreeMap<PciAddress, &'a Card>,
}

fn profiles(cards: &[(Card, Option<String>)], claims: &[Claim]) -> Vec<ProfileName> {
    let offered = cards.iter().flat_map(|(card, _)| card.offers.iter().map(|offer| &offer.profile));
    let alive = cards.iter().flat_map(|(card, _)| card.alive.keys());
    let mut names: Vec<ProfileName> = Vec::new();
    for name in offered.chain(alive).chain(claims.iter().map(|claim| &claim.profile)) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

fn of_profile(profile: ProfileName, cards: &[(Card, Option<String>)], after: &After) -> Capacity {
    let concerned = |card: &Card| card.offer(&profile).is_some() || card.alive.contains_key(&profile);
    let gpus: Vec<GpuCapacity> = cards
        .iter()
        .filter(|(card, _)| concerned(card))
        .map(|(card, closed)| of_card(&profile, card, closed.clone(), after))
        .collect();
    let sum = |value: fn(&GpuCapacity) -> u32| gpus.iter().map(value).fold(0, u32::saturating_add);
    let open = |gpu: &GpuCapacity| if gpu.closed.is_none() { gpu.remaining } else { 0 };
    Capacity {
        max: gpus.iter().try_fold(0_u32, |all, gpu| Some(all.saturating_add(gpu.max?))),
        consumed: sum(|gpu| gpu.consumed),
        remaining: sum(open),
        reserved: sum(|gpu| gpu.reserved),
        unmet: after.settled.unmet.get(&profile).copied().unwrap_or(0),
        gpus,
        profile,
    }
}

fn of_card(profile: &ProfileName, card: &Card, closed: Option<String>, after: &After) -> GpuCapacity {
    let consumed = card.alive.get(profile).copied().unwrap_or(0);
    let reserved = after.settled.kept.get(&(card.gpu, profile.clone())).copied().unwrap_or(0);
    let left = after.left.get(&card.gpu).copied().unwrap_or(card);
    // A driver whose numbers contradict each other: what lives has fitted, and no more than fits can come.
    let max = card.offer(profile).and_then(|offer| offer.max);
    let max = max.map(|max| max.max(consumed.saturating_add(reserved)));
    let room = left.room(profile);
    let remaining = max.map_or(room, |max| room.min(max - consumed.saturating_add(reserved)));
    GpuCapacity { gpu: card.gpu, max, consumed, remaining, reserved, closed }
}
