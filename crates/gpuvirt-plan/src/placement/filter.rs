//! The filters: why a GPU can't take a vGPU, one reason each.

use gpuvirt_model::{Gpu, Hostdev, RefusalCode};

use super::card::{Card, Lock, Rule};
use super::choice::Request;
use super::claim::{Claim, Claimant, claims, settle};
use super::picture::{HostPicture, Living};

/// Why a GPU is not suitable.
pub(super) struct Unsuitable {
    pub(super) code: RefusalCode,
    pub(super) because: String,
}

/// Cards on which anything is placed, and what is kept on them for others.
pub(super) struct Kept<'a> {
    pub(super) open: &'a [Card],
    pub(super) claims: &'a [Claim],
}

pub(super) fn open_cards(host: &HostPicture, living: &Living) -> Vec<Card> {
    let open = |gpu: &&Gpu| host.closed(gpu).is_none();
    host.observed.gpus.values().filter(open).map(|gpu| host.card_with(gpu, living)).collect()
}

/// What is kept for others than the one that is asked for.
pub(super) fn others_claims(request: &Request, host: &HostPicture) -> Vec<Claim> {
    let own = |claim: &Claim| match &claim.whose {
        Claimant::Domain { vgpu, .. } => request.vgpus.contains(vgpu),
        Claimant::Reservation => false,
    };
    claims(host).into_iter().filter(|claim| !own(claim)).collect()
}

/// Filters.
pub(super) fn unsuitable(
    request: &Request,
    host: &HostPicture,
    (gpu, living): (&Gpu, &Living),
    card: &Card,
    kept: &Kept,
) -> Option<Unsuitable> {
    let found = |code, because: String| Some(Unsuitable { code, because });
    if let Some(closed) = host.closed(gpu) {
        return found(closed.code, closed.because);
    }
    let label = host.desired.gpu(gpu.address).and_then(|entry| entry.label.as_deref());
    if request.label.is_some() && request.label != label {
        return found(RefusalCode::NoSuitableGpu, "it has another label, or none".to_owned());
    }
    let Some(offer) = card.offer(request.profile) else {
        return found(RefusalCode::ProfileNotOffered, format!("it does not offer {} now", request.profile));
    };
    let room = card.room(request.profile);
    if (1..request.count.get()).contains(&room) {
        return found(RefusalCode::NoCapacity, format!("it has room for {room} only"));
    }
    if room == 0 {
        let because = match (&card.rule, card.lock(), offer.size_mib) {
            (Rule::SameSize, Lock::Size(locked), Some(size)) if locked != size => {
                format!("locked to {} by {}", mib(locked), owners(host, gpu, living))
            }
            (Rule::Mig(Some(_)), ..) => "no GPU instance for it is free".to_owned(),
            (Rule::MixedSize(Some(_)), ..) if offer.available > 0 => {
                format!("no placement of {} is free", offer.size_mib.map(mib).unwrap_or_default())
            }
            _ if card.alive() == 0 => "its driver says that none is available".to_owned(),
            _ => format!("no room is left beside {}", owners(host, gpu, living)),
        };
        return found(RefusalCode::NoCapacity, because);
    }
    kept_for_others(request, card, kept)
}

/// Refuses the vGPU with which fewer of the others would find their room. One of a reserved profile uses the reservation.
pub(super) fn kept_for_others(request: &Request, card: &Card, kept: &Kept) -> Option<Unsuitable> {
    let count = request.count.get();
    if kept.claims.is_empty() || card.room(request.profile) < count {
        return None;
    }
    let before = settle(kept.open.to_vec(), kept.claims);
    let mut cards = kept.open.to_vec();
    let mut claims = kept.claims.to_vec();
    cards.iter_mut().find(|open| open.gpu == card.gpu)?.take(request.profile, count);
    let reserved =
        |claim: &&mut Claim| claim.whose == Claimant::Reservation && claim.profile == *request.profile;
    if let Some(claim) = claims.iter_mut().find(reserved) {
        claim.count = claim.count.saturating_sub(count);
    }
    let after = settle(cards, &claims);
    (after.unmet() > before.unmet()).then(|| {
        let lost =
            after.unmet.iter().find(|(profile, count)| before.unmet.get(*profile).is_none_or(|b| b < *count));
        let lost = lost.map_or(request.profile, |(profile, _)| profile);
        let claim = kept.claims.iter().find(|claim| claim.profile == *lost);
        let whose = match claim.map(|claim| &claim.whose) {
            Some(Claimant::Domain { name, .. }) => format!("VM {name}, which starts with the host"),
            Some(Claimant::Reservation) | None => "a reservation".to_owned(),
        };
        let because = format!("its room is kept for {whose}: profile {lost}");
        Unsuitable { code: RefusalCode::CapacityReserved, because }
    })
}

/// The VMs that run on a GPU's vGPUs, or the vGPUs where no VM is known.
fn owners(host: &HostPicture, gpu: &Gpu, living: &Living) -> String {
    let domains = || host.observed.domains.known().into_iter().flatten();
    let owner = |device: &Hostdev| domains().find(|domain| domain.has_live(device));
    let mut names: Vec<String> = Vec::new();
    for vgpu in living.get(&gpu.address).into_iter().flatten() {
        let name = owner(&vgpu.id.hostdev())
            .map_or_else(|| format!("vGPU {}", vgpu.id), |domain| format!("VM {}", domain.name));
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let rest = names.len().saturating_sub(SHOWN);
    names.truncate(SHOWN);
    if rest > 0 {
        names.push(format!("{rest} more"));
    }
    names.join(", ")
}

/// How many owners a line names.
const SHOWN: usize = 3;

fn mib(mib: u64) -> String {
    if mib % 1024 == 0 { format!("{} GiB", mib / 1024) } else { format!("{mib} MiB") }
}
