//! What is kept for others: whether they all still find their room when vGPUs are put on a card.
//!
//! That is asked of every card that could take them. Where the others leave a card the room, nothing is to be reckoned; and
//! cards alike give one answer, since any two of them can change places in whatever distribution there is. So what is
//! reckoned grows with the kinds of cards, and not with the cards.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{Hash, Hasher};

use gpuvirt_model::{PciAddress, RefusalCode};

use super::card::Card;
use super::claim::{Claim, Claimant, claims};
use super::picture::HostPicture;
use super::request::{Request, Unsuitable};
use super::settle::{Settled, settle};

/// Cards on which anything is placed, and what is kept on them for others than who asks.
pub(super) struct Kept<'a> {
    request: &'a Request<'a>,
    open: Vec<Card>,
    numbers: BTreeMap<PciAddress, usize>,
    claims: Vec<Claim>,
    /// GPUs of which one is named by a claim: no other card is like it.
    named: BTreeSet<PciAddress>,
    before: OnceCell<Settled>,
    /// Why not, for each kind of card.
    known: RefCell<HashMap<Kind, Option<String>>>,
}

/// A card but for which one it is.
#[derive(Debug, PartialEq, Eq)]
struct Kind(Card);

impl<'a> Kept<'a> {
    /// For a request, on these cards.
    pub(super) fn of(request: &'a Request<'a>, host: &HostPicture, open: impl FnOnce() -> Vec<Card>) -> Self {
        let own = |claim: &Claim| match &claim.whose {
            Claimant::Domain { vgpu, .. } => request.vgpus.contains(vgpu),
            Claimant::Reservation => false,
        };
        let claims: Vec<Claim> = claims(host).into_iter().filter(|claim| !own(claim)).collect();
        let open = if claims.is_empty() { Vec::new() } else { open() };
        let numbers = open.iter().enumerate().map(|(number, card)| (card.gpu, number)).collect();
        let named = claims.iter().filter_map(|claim| claim.gpu).collect();
        Self { request, open, numbers, claims, named, before: OnceCell::new(), known: RefCell::default() }
    }

    /// Refuses the vGPUs with which fewer of the others would find their room. Those of a reserved profile use the
    /// reservation.
    pub(super) fn for_others(&self, card: &Card) -> Option<Unsuitable> {
        let Request { profile, count, .. } = self.request;
        if self.claims.is_empty() || card.room(profile) < count.get() {
            return None;
        }
        let number = *self.numbers.get(&card.gpu)?;
        let left = self.before().cards.get(number).map_or(0, |left| left.room(profile));
        if left >= count.get() {
            return None;
        }
        let whose = if self.named.contains(&card.gpu) {
            self.lost(number)
        } else {
            // Not held across the reckoning.
            let known = self.known.borrow().get(&Kind::of(card)).cloned();
            known.unwrap_or_else(|| {
                let lost = self.lost(number);
                self.known.borrow_mut().insert(Kind::of(card), lost.clone());
                lost
            })
        };
        whose.map(|because| Unsuitable { code: RefusalCode::CapacityReserved, because })
    }

    /// How all claims are met while nothing is put anywhere.
    fn before(&self) -> &Settled {
        self.before.get_or_init(|| settle(self.open.clone(), &self.claims))
    }

    /// Whose room is lost with the request on this card.
    fn lost(&self, number: usize) -> Option<String> {
        let Request { profile, count, .. } = self.request;
        let (mut cards, mut claims) = (self.open.clone(), self.claims.clone());
        cards.get_mut(number)?.take(profile, count.get());
        let reserved =
            |claim: &&mut Claim| claim.whose == Claimant::Reservation && claim.profile == **profile;
        if let Some(claim) = claims.iter_mut().find(reserved) {
            claim.count = claim.count.saturating_sub(count.get());
        }
        let (before, after) = (self.before(), settle(cards, &claims));
        (after.unmet() > before.unmet()).then(|| {
            let more = |lost: &(_, &u32)| before.unmet.get(lost.0).is_none_or(|b| b < lost.1);
            let lost = after.unmet.iter().find(more).map_or(*profile, |(profile, _)| profile);
            let claim = self.claims.iter().find(|claim| claim.profile == *lost);
            let whose = match claim.map(|claim| &claim.whose) {
                Some(Claimant::Domain { name, .. }) => format!("VM {name}, which starts with the host"),
                Some(Claimant::Reservation) | None => "a reservation".to_owned(),
            };
            format!("its room is kept for {whose}: profile {lost}")
        })
    }
}

impl Kind {
    fn of(card: &Card) -> Self {
        let nowhere = PciAddress { domain: 0, bus: 0, slot: 0, function: 0 };
        Self(Card { gpu: nowhere, numa_node: None, ..card.clone() })
    }
}

/// What tells most kinds apart: equal kinds have equal ones.
impl Hash for Kind {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self(Card { gpu: _, rule: _, offers, alive, free_parents, numa_node: _ }) = self;
        alive.hash(state);
        free_parents.hash(state);
        for offer in offers {
            (&offer.profile, offer.available, offer.max).hash(state);
        }
    }
}
