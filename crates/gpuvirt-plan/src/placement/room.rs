//! What is left on each card while vGPUs are given places one after the other.
//!
//! One vGPU's place changes the next one's: several that one VM wants are chosen on one [`Room`], each on what the
//! last one left. Nothing is made meanwhile, so all that is reckoned here is what the cards' rules tell.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use gpuvirt_model::{Gpu, Hostdev, PciAddress, ProfileName, Vgpu, VgpuId};

use super::card::Card;
use super::picture::{HostPicture, Known, Living};

/// The cards of a host, with what was taken from them.
#[derive(Debug, Clone)]
pub struct Room<'a> {
    host: HostPicture<'a>,
    living: Living<'a>,
    /// The running VMs of vGPUs: looked up for many, and often for none.
    owners: OnceCell<BTreeMap<VgpuId, &'a str>>,
    cards: BTreeMap<PciAddress, (Known<'a>, Card)>,
}

impl<'a> Room<'a> {
    /// What there is now.
    pub fn of(host: &HostPicture<'a>) -> Self {
        let (gpus, living) = (host.observed.gpus.values(), host.living());
        let known = gpus.map(|gpu| host.known(gpu));
        let cards =
            known.map(|known| (known.gpu.address, (known, host.card_with(&known, &living)))).collect();
        Self { host: *host, living, owners: OnceCell::new(), cards }
    }

    /// Takes the room of one vGPU, as far as there is any.
    pub fn take(&mut self, gpu: PciAddress, profile: &ProfileName) {
        if let Some((_, card)) = self.cards.get_mut(&gpu) {
            card.take(profile, 1);
        }
    }

    pub(super) fn host(&self) -> &HostPicture<'a> {
        &self.host
    }

    /// The vGPUs that live on a GPU.
    pub(super) fn living(&self, gpu: &Gpu) -> impl Iterator<Item = &'a Vgpu> + '_ {
        self.living.get(&gpu.address).into_iter().flatten().copied()
    }

    /// The VM that runs with a vGPU, where one is known.
    pub(super) fn owner(&self, vgpu: VgpuId) -> Option<&'a str> {
        self.owners.get_or_init(|| owners(&self.host)).get(&vgpu).copied()
    }

    pub(super) fn card(&self, gpu: PciAddress) -> Option<&(Known<'a>, Card)> {
        self.cards.get(&gpu)
    }

    pub(super) fn cards(&self) -> impl Iterator<Item = &(Known<'a>, Card)> + '_ {
        self.cards.values()
    }

    /// The cards on which anything is placed.
    pub(super) fn open(&self) -> Vec<Card> {
        let open = self.cards().filter(|(known, _)| self.host.closed_with(known).is_none());
        open.map(|(_, card)| card.clone()).collect()
    }
}

fn owners<'a>(host: &HostPicture<'a>) -> BTreeMap<VgpuId, &'a str> {
    let mut owners = BTreeMap::new();
    for domain in host.observed.domains.known().into_iter().flatten() {
        for device in &domain.live {
            let vgpu = match device {
                Hostdev::Mdev { uuid } => VgpuId::Mdev(*uuid),
                Hostdev::Pci { address, .. } => VgpuId::Vf(*address),
            };
            owners.entry(vgpu).or_insert(domain.name.as_str());
        }
    }
    owners
}
