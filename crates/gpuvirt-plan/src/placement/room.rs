//! What is left on each card while vGPUs are given places one after the other.
//!
//! One vGPU's place changes the next one's: several that one VM wants are chosen on one [`Room`], each on what the
//! last one left. Nothing is made meanwhile, so all that is reckoned here is what the cards' rules tell.

use std::collections::BTreeMap;

use gpuvirt_model::{Gpu, PciAddress, ProfileName};

use super::card::Card;
use super::choice::{Choice, Request, chosen};
use super::filter::{Kept, Unsuitable, others_claims, unsuitable};
use super::picture::{Closed, HostPicture, Living};

/// The cards of a host, with what was taken from them.
#[derive(Debug, Clone)]
pub struct Room<'a> {
    host: HostPicture<'a>,
    living: Living<'a>,
    cards: BTreeMap<PciAddress, Card>,
}

impl<'a> Room<'a> {
    /// What there is now.
    pub fn of(host: &HostPicture<'a>) -> Self {
        let (gpus, living) = (host.observed.gpus.values(), host.living());
        let cards = gpus.map(|gpu| (gpu.address, host.card_with(gpu, &living))).collect();
        Self { host: *host, living, cards }
    }

    /// Chooses the GPU for vGPUs. Nothing is taken.
    ///
    /// # Errors
    /// The refusal that says of every GPU why not, boxed for its size.
    pub fn choose(&self, request: &Request<'_>) -> Result<Choice, Box<gpuvirt_model::Refusal>> {
        chosen(request, self)
    }

    /// Why a vGPU can't be made on this GPU, if it can't.
    pub fn obstacle(&self, request: &Request<'_>, gpu: PciAddress) -> Option<Closed> {
        let (Some(gpu), Some(card)) = (self.host.observed.gpus.get(&gpu), self.cards.get(&gpu)) else {
            let because = "it is not on this host".to_owned();
            return Some(Closed { code: gpuvirt_model::RefusalCode::GpuNotFound, because });
        };
        let (open, claims) = (self.open(), others_claims(request, &self.host));
        let found = unsuitable(
            request,
            &self.host,
            (gpu, &self.living),
            card,
            &Kept { open: &open, claims: &claims },
        );
        found.map(|Unsuitable { code, because }| Closed { code, because })
    }

    /// Takes the room of one vGPU, as far as there is any.
    pub fn take(&mut self, gpu: PciAddress, profile: &ProfileName) {
        if let Some(card) = self.cards.get_mut(&gpu) {
            card.take(profile, 1);
        }
    }

    pub(super) fn host(&self) -> &HostPicture<'a> {
        &self.host
    }

    pub(super) fn living(&self) -> &Living<'a> {
        &self.living
    }

    pub(super) fn cards(&self) -> impl Iterator<Item = (&'a Gpu, &Card)> + '_ {
        let of = |(gpu, card)| Some((self.host.observed.gpus.get(gpu)?, card));
        self.cards.iter().filter_map(of)
    }

    /// The cards on which anything is placed.
    pub(super) fn open(&self) -> Vec<Card> {
        self.cards()
            .filter(|(gpu, _)| self.host.closed(gpu).is_none())
            .map(|(_, card)| card.clone())
            .collect()
    }
}
