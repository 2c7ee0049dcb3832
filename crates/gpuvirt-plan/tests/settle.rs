//! The queues in which claims are settled give what looking through all cards anew each time gives.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

use std::cmp::Reverse;
use std::collections::BTreeMap;

use gpuvirt_model::{PciAddress, ProfileName};
use gpuvirt_plan::placement::mixed_size::Slots;
use gpuvirt_plan::placement::{Card, Claim, Claimant, Offer, Rule, settle};
use proptest::prelude::*;

/// GiB of a profile, and how many of it a card takes.
const SIZES: [(u64, u32); 4] = [(5, 8), (10, 4), (20, 2), (40, 1)];

fn gpu(number: usize) -> PciAddress {
    PciAddress { domain: 0, bus: u8::try_from(number).unwrap(), slot: 0, function: 0 }
}

fn name(size: usize) -> ProfileName {
    ProfileName(format!("card-{}q", SIZES[size].0))
}

fn card(number: usize, rule: u8, taken: &[usize]) -> Card {
    let offer = |(size, (gib, max)): (usize, &(u64, u32))| Offer {
        profile: name(size),
        size_mib: Some(gib * 1024),
        available: *max,
        max: Some(*max),
    };
    let mut card = Card {
        gpu: gpu(number),
        rule: match rule {
            0 => Rule::Driver,
            1 => Rule::SameSize,
            _ => Rule::MixedSize(Slots::empty(40)),
        },
        offers: SIZES.iter().enumerate().map(offer).collect(),
        alive: BTreeMap::new(),
        free_parents: None,
        numa_node: None,
    };
    for size in taken {
        card.take(&name(*size), 1);
    }
    card
}

/// How much a card is spared, as it is documented: those locked to a size first, open ones last, the fullest before.
fn spared(card: &Card) -> (u8, Reverse<u32>, PciAddress) {
    let rank = match &card.rule {
        Rule::SameSize if card.alive() > 0 => 0,
        Rule::Driver | Rule::Mig(_) => 1,
        Rule::MixedSize(_) => 2,
        Rule::SameSize => 3,
    };
    (rank, Reverse(card.alive()), card.gpu)
}

/// Each time through all cards.
fn plainly(cards: &mut [Card], claims: &[Claim]) -> BTreeMap<(PciAddress, ProfileName), u32> {
    let mut ordered: Vec<&Claim> = claims.iter().collect();
    let size = |claim: &Claim| (0..SIZES.len()).find(|size| name(*size) == claim.profile).unwrap();
    ordered.sort_by_key(|claim| Reverse((claim.gpu.is_some(), size(claim))));
    let mut kept = BTreeMap::new();
    for claim in ordered {
        for _ in 0..claim.count {
            let fits = |card: &&mut Card| {
                claim.gpu.is_none_or(|gpu| gpu == card.gpu) && card.room(&claim.profile) > 0
            };
            let Some(card) = cards.iter_mut().filter(fits).min_by_key(|card| spared(card)) else { break };
            assert_eq!(card.take(&claim.profile, 1), 1);
            *kept.entry((card.gpu, claim.profile.clone())).or_insert(0) += 1;
        }
    }
    kept
}

proptest! {
    #[test]
    fn queues_and_looking_anew_give_the_same(
        cards in prop::collection::vec((0..3_u8, prop::collection::vec(0..SIZES.len(), 0..3)), 1..7),
        claims in prop::collection::vec((0..SIZES.len(), 1..6_u32, prop::option::weighted(0.2, 0..7_usize)), 0..6),
    ) {
        let cards: Vec<Card> =
            cards.iter().enumerate().map(|(number, (rule, taken))| card(number, *rule, taken)).collect();
        let claim = |(size, count, on): &(usize, u32, Option<usize>)| Claim {
            profile: name(*size),
            count: *count,
            gpu: on.map(gpu),
            whose: Claimant::Reservation,
        };
        let claims: Vec<Claim> = claims.iter().map(claim).collect();
        let mut expected = cards.clone();
        let kept = plainly(&mut expected, &claims);
        let settled = settle(cards, &claims);
        prop_assert_eq!(&settled.kept, &kept);
        let wanted: u32 = claims.iter().map(|claim| claim.count).sum();
        prop_assert_eq!(settled.unmet(), u64::from(wanted - kept.values().sum::<u32>()));
        prop_assert_eq!(settled.cards, expected);
    }
}
