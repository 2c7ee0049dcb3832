//! Whether all claims find their room, the largest profiles first, each where it hurts others least.
//!
//! A card changes with each vGPU that is put on it, and so does its place in the order. So the cards stand in one queue for
//! each claimed profile; a card that has changed is put in anew, and what is left of it in the queues is passed over.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use gpuvirt_model::{PciAddress, ProfileName};

use super::card::{Card, Lock, Rule};
use super::claim::Claim;

/// Cards on which all claims have been given their room, as far as there is any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The cards, with what is kept taken from them.
    pub cards: Vec<Card>,
    /// How many of each profile are kept on each GPU.
    pub kept: BTreeMap<(PciAddress, ProfileName), u32>,
    /// How many of each profile find no room.
    pub unmet: BTreeMap<ProfileName, u32>,
}

/// Gives each claim its room, the largest profiles first, where it hurts others least.
///
/// It looks for no better distribution when one does not work out: the answer may be that a claim is unmet though a
/// cleverer order had met it, never that it is met though it is not.
pub fn settle(cards: Vec<Card>, claims: &[Claim]) -> Settled {
    let mut stock = Stock::of(cards);
    let (mut kept, mut unmet) = (BTreeMap::new(), BTreeMap::new());
    for claim in in_order(&stock.cards, claims) {
        let mut left = claim.count;
        while left > 0 {
            let Some((gpu, taken)) = stock.take(claim, left) else { break };
            left -= taken;
            let kept = kept.entry((gpu, claim.profile.clone())).or_insert(0_u32);
            *kept = kept.saturating_add(taken);
        }
        if left > 0 {
            let unmet = unmet.entry(claim.profile.clone()).or_insert(0_u32);
            *unmet = unmet.saturating_add(left);
        }
    }
    Settled { cards: stock.cards, kept, unmet }
}

/// Those that can be on one GPU only come first, then the largest.
fn in_order<'a>(cards: &[Card], claims: &'a [Claim]) -> Vec<&'a Claim> {
    let mut sizes: BTreeMap<&ProfileName, Option<u64>> = BTreeMap::new();
    for claim in claims {
        let profile = &claim.profile;
        let size = || cards.iter().filter_map(|card| card.size(profile)).max();
        sizes.entry(profile).or_insert_with(size);
    }
    let mut ordered: Vec<&Claim> = claims.iter().collect();
    ordered.sort_by_key(|claim| Reverse((claim.gpu.is_some(), sizes.get(&claim.profile).copied().flatten())));
    ordered
}

/// How much a card is spared: the least first.
type Reluctance = (u8, Reverse<u32>, PciAddress);

/// A card in a queue, by its number, as it was after so many changes.
type Entry = Reverse<(Reluctance, usize, u32)>;

/// Cards that are taken from.
struct Stock {
    cards: Vec<Card>,
    /// How often each card was taken from.
    changes: Vec<u32>,
    numbers: BTreeMap<PciAddress, usize>,
    /// The cards with room for a profile, for each profile that was asked for.
    queues: BTreeMap<ProfileName, BinaryHeap<Entry>>,
}

impl Stock {
    fn of(cards: Vec<Card>) -> Self {
        let numbers = cards.iter().enumerate().map(|(number, card)| (card.gpu, number)).collect();
        Self { changes: vec![0; cards.len()], numbers, queues: BTreeMap::new(), cards }
    }

    /// Takes room for so many at the most from the card that is spared least; none when none has any.
    fn take(&mut self, claim: &Claim, count: u32) -> Option<(PciAddress, u32)> {
        let number = match claim.gpu {
            Some(gpu) => *self.numbers.get(&gpu)?,
            None => self.first(&claim.profile)?,
        };
        let card = self.cards.get_mut(number)?;
        let taken = card.take(&claim.profile, count);
        let gpu = card.gpu;
        self.changed(number);
        (taken > 0).then_some((gpu, taken))
    }

    /// The first card with room for a profile. It is out of that queue until it has changed.
    fn first(&mut self, profile: &ProfileName) -> Option<usize> {
        if !self.queues.contains_key(profile) {
            let all = self.cards.iter().zip(&self.changes).enumerate();
            let queue = all.filter_map(|(number, (card, changes))| entry(card, number, *changes, profile));
            self.queues.insert(profile.clone(), queue.collect());
        }
        let queue = self.queues.get_mut(profile)?;
        while let Some(Reverse((_, number, changes))) = queue.pop() {
            if self.changes.get(number) == Some(&changes) {
                return Some(number);
            }
        }
        None
    }

    /// Puts a card that was taken from into the queues, as it is now.
    fn changed(&mut self, number: usize) {
        let (Some(card), Some(changes)) = (self.cards.get(number), self.changes.get_mut(number)) else {
            return;
        };
        *changes = changes.wrapping_add(1);
        for (profile, queue) in &mut self.queues {
            queue.extend(entry(card, number, *changes, profile));
        }
    }
}

fn entry(card: &Card, number: usize, changes: u32, profile: &ProfileName) -> Option<Entry> {
    (card.room(profile) > 0).then(|| Reverse((reluctance(card), number, changes)))
}

impl Settled {
    /// How many vGPUs find no room, of all profiles.
    pub fn unmet(&self) -> u64 {
        self.unmet.values().map(|count| u64::from(*count)).sum()
    }
}

/// Cards that are locked to a size already lose least; one that is open would be locked.
fn reluctance(card: &Card) -> Reluctance {
    let rank = match (&card.rule, card.lock()) {
        (Rule::SameSize, Lock::Size(_) | Lock::Unknown) => 0,
        (Rule::Driver | Rule::Mig(_), _) => 1,
        (Rule::MixedSize(_), _) => 2,
        (Rule::SameSize, Lock::Open) => 3,
    };
    (rank, Reverse(card.alive()), card.gpu)
}
