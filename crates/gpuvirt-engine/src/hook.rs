//! libvirt's hook: whether a domain may start, what is made for it, and what goes when it ended.
//!
//! ```text
//! prepare:  look -> judge -> claim                       nothing to make: no change is waited for but one of its GPUs
//!                \-> the host's turn -> make -> judge -> claim
//! release:  the claim ends, a ticket is left -> (later, on nobody's time) remove what was made for it
//! ```
//!
//! While a hook is open libvirt holds the domain, and answers no listing: nothing here asks it. See [`crate::turn`].

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use gpuvirt_model::{
    Domain, GraphicsType, Hostdev, PciAddress, Records, Refusal, RefusalCode, Request, VgpuId,
    Wanted as Asked, chain,
};
use gpuvirt_plan::checks::start::{Judgement, Missing, Start, judge};
use gpuvirt_plan::placement::Details;
use gpuvirt_plan::vgpu;
use uuid::Uuid;

use crate::starts::{Unclaimed, Wanted, gpus_of};
use crate::together::wish;
use crate::turn::Turn;
use crate::vgpu::no_plan;
use crate::{CreateRequest, Engine, EngineError, View};

/// Longest that a start waits where nothing is to be made for it.
pub const VALIDATION_DEADLINE: Duration = Duration::from_secs(2);
/// Longest that a start waits where a vGPU is to be made.
pub const CREATION_DEADLINE: Duration = Duration::from_secs(10);
/// Longest wait for the host's turn to remove what nobody needs any more; then it is tried at the next occasion.
const REMOVAL_TURN: Duration = Duration::from_secs(120);

/// What a domain is judged on besides a view.
pub(crate) struct Grounds {
    /// GPUs whose change is not settled.
    hands_off: BTreeSet<PciAddress>,
    /// What placement minds.
    details: Details,
}

impl Engine {
    /// A domain is about to start with these host devices: judged, and given what its requests ask for.
    ///
    /// Asked again for a domain that has it all, it changes nothing.
    ///
    /// # Errors
    /// [`EngineError::Refused`] with every reason; what was made for this start alone is removed again.
    pub fn hook_prepare(&self, domain: &Domain) -> Result<Vec<VgpuId>, EngineError> {
        let (start, began) = (self.starts.begin(domain.uuid), Instant::now());
        let made = self.prepared(domain, began)?;
        if began.elapsed() > CREATION_DEADLINE {
            // Whoever asked has given up: libvirt has called the start off, and its release came before this.
            self.starts.came_too_late(domain.uuid, start);
            return Err(busy(domain, "making its vGPUs took too long"));
        }
        Ok(made)
    }

    fn prepared(&self, domain: &Domain, began: Instant) -> Result<Vec<VgpuId>, EngineError> {
        let end = began + VALIDATION_DEADLINE;
        let missing = never_made(domain, &self.store.load()?.1);
        if !missing.is_empty() {
            // A look without the turn would only tell what is known already.
            return self.in_turn(domain, Judgement { missing, ..Judgement::default() }, began);
        }
        loop {
            let seen = self.starts.mark();
            let view = self.start_view()?;
            let judgement = self.judged(domain, &view)?;
            if judgement != Judgement::default() {
                return self.in_turn(domain, judgement, began);
            }
            let gpus = gpus_of(domain, &view);
            let why = match self.starts.claim(&Wanted { domain, gpus: &gpus, seen, end }) {
                Ok(()) => return Ok(Vec::new()),
                Err(Unclaimed::Changing(gpu)) => format!("a change of {gpu} is under way"),
                Err(Unclaimed::LookAgain | Unclaimed::Taken) if Instant::now() < end => continue,
                Err(Unclaimed::LookAgain | Unclaimed::Taken) => "its GPUs keep changing".to_owned(),
            };
            return Err(busy(domain, &why));
        }
    }

    /// A domain runs: libvirt found it again, or its start went through.
    pub fn hook_runs(&self, domain: &Domain) {
        self.starts.runs(domain);
    }

    /// A domain ended, or did not start after all. What was made for it goes later: [`Engine::remove_released`].
    pub fn hook_release(&self, domain: Uuid) {
        self.starts.release(domain);
    }

    /// Removes what was made for domains that ended. What is held, or was taken by another start, stays.
    ///
    /// # Errors
    /// [`EngineError`] of the first that can't be removed, after all were tried.
    pub fn remove_released(&self, deadline: Duration) -> Result<(), EngineError> {
        let mut failed = None;
        let mut left = self.starts.tickets();
        while !left.is_empty() {
            let Some(turn) = self.hook_turn(Instant::now() + REMOVAL_TURN) else { break };
            // Their VMs may have started again while we waited.
            left = &left & &self.starts.tickets();
            match self.remove_some(&turn, &left, deadline) {
                Ok(seen) => left = &left - &seen,
                Err(error) => {
                    tracing::debug!(error = chain(&error), "what ended VMs had goes one by one");
                    drop(turn);
                    failed = self.remove_each(&left, deadline);
                    break;
                }
            }
        }
        if let Some(turn) = self.hook_turn(Instant::now() + REMOVAL_TURN) {
            self.give_back(&turn);
        }
        failed.map_or(Ok(()), Err)
    }

    /// One domain after the other, each in a turn of its own; the first error, after all were tried.
    fn remove_each(&self, domains: &BTreeSet<Uuid>, deadline: Duration) -> Option<EngineError> {
        let mut failed = None;
        for domain in domains {
            match self.remove_of(*domain, deadline) {
                Ok(true) => self.starts.spent(*domain),
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(%domain, error = chain(&error), "what was made for a VM's start is left");
                    failed.get_or_insert(error);
                }
            }
        }
        failed
    }

    /// Cards that were lent go back to the host; what keeps one is in the log, and it stays with VFIO.
    fn give_back(&self, turn: &Turn<'_>) {
        if let Err(error) = self.take_cards_back(turn, CREATION_DEADLINE) {
            tracing::warn!(error = chain(&error), "a card that was lent to a VM stays with VFIO");
        }
    }

    /// Finds out which VMs ended while nobody told us, and removes what was made for them; whether that is known. Where
    /// libvirt does not run it is not: nobody asked for this, and a libvirt that the admin stopped stays so.
    ///
    /// # Errors
    /// As [`Engine::remove_released`].
    pub fn remove_forgotten(&self, deadline: Duration) -> Result<bool, EngineError> {
        let (_, records) = self.store.load()?;
        let owners: BTreeSet<Uuid> = records.vgpus.values().filter_map(|record| record.domain).collect();
        if owners.is_empty() {
            return Ok(true);
        }
        let domains = self.listed_if_running();
        let Some(domains) = domains.known() else { return Ok(false) };
        let off = |uuid: &Uuid| {
            !domains.iter().any(|d| d.uuid == *uuid && d.state == gpuvirt_model::DomainState::Active)
        };
        owners.into_iter().filter(off).for_each(|owner| self.starts.expire(owner));
        self.remove_released(deadline)?;
        Ok(true)
    }

    /// The host as a start sees it: VMs are those that hooks told of, and those that room is kept for.
    fn start_view(&self) -> Result<View, EngineError> {
        self.view_of(gpuvirt_model::Reading::Known(self.starts.awaited()))
    }

    pub(crate) fn judged(&self, domain: &Domain, view: &View) -> Result<Judgement, EngineError> {
        // What waits in the kernel is looked for only where something is to be placed.
        let known = |device: &Hostdev| match device {
            Hostdev::Mdev { uuid } => view.observed.vgpus.contains_key(&VgpuId::Mdev(*uuid)),
            Hostdev::Pci { address, .. } => view.observed.vgpus.contains_key(&VgpuId::Vf(*address)),
        };
        let places = domain.requests.list.iter().any(|request| {
            matches!(request.wanted, Asked::Profile { .. }) && !request.assigned.as_ref().is_some_and(known)
        });
        let details = if places { self.details(view)? } else { Details::default() };
        let hands_off = self.hands_off()?;
        Ok(self.judged_on(domain, view, &Grounds { hands_off, details }))
    }

    /// What domains are judged on besides a view, read once for however many.
    ///
    /// # Errors
    /// [`EngineError::Port`].
    pub(crate) fn grounds(&self, view: &View) -> Result<Grounds, EngineError> {
        Ok(Grounds { hands_off: self.hands_off()?, details: self.details(view)? })
    }

    fn hands_off(&self) -> Result<BTreeSet<PciAddress>, EngineError> {
        Ok(self.store.open_intents()?.into_iter().map(|plan| plan.gpu).collect())
    }

    pub(crate) fn judged_on(&self, domain: &Domain, view: &View, grounds: &Grounds) -> Judgement {
        let View { observed, desired, records } = view;
        // It matters to devices that reach all of the guest's memory.
        let locks = domain.config.iter().any(|device| matches!(device, Hostdev::Pci { .. }));
        let memory = if locks { self.host.memory() } else { None };
        let Grounds { hands_off, details } = grounds;
        judge(&Start { domain, observed, desired, records, hands_off, memory: memory.as_ref(), details })
    }

    /// Judges again when nobody else changes anything, which made the first look an unsure one, and makes what is
    /// missing.
    fn in_turn(&self, domain: &Domain, first: Judgement, began: Instant) -> Result<Vec<VgpuId>, EngineError> {
        let makes =
            !first.missing.is_empty() || !first.lent.is_empty() || first.refusals.iter().any(is_about_room);
        let end = began + if makes { CREATION_DEADLINE } else { VALIDATION_DEADLINE };
        self.waiting_starts.enter(domain);
        let turn = self.hook_turn(end);
        if let Some(made) = self.waiting_starts.leave(domain) {
            return Ok(made);
        }
        let Some(turn) = turn else {
            // What a change under way can't explain holds all the same.
            let explained =
                |refusal: &Refusal| is_about_room(refusal) || refusal.code == RefusalCode::HandsOff;
            let sure = !first.refusals.is_empty() && !first.refusals.iter().any(explained);
            return Err(if sure {
                EngineError::Refused(first.refusals)
            } else {
                busy(domain, "other changes come first")
            });
        };
        let mut made = Vec::new();
        match self.make_all(domain, &turn, end, &mut made) {
            Ok(()) => Ok(made),
            Err(error) => {
                self.give_back(&turn);
                for id in made.into_iter().rev() {
                    if let Err(error) = self.unmake_start(id, domain.uuid, &turn, CREATION_DEADLINE) {
                        tracing::warn!(%id, error = chain(&error), "a vGPU of a start that failed is left");
                        self.starts.expire(domain.uuid);
                    }
                }
                Err(error)
            }
        }
    }

    /// Makes what is missing, one after the other, each on a fresh look: capacity is shared.
    fn make_all(
        &self,
        domain: &Domain,
        turn: &Turn<'_>,
        end: Instant,
        made: &mut Vec<VgpuId>,
    ) -> Result<(), EngineError> {
        // VMs that have ended, whose vGPUs were asked to go already.
        let mut asked = BTreeSet::from([domain.uuid]);
        loop {
            let seen = self.starts.mark();
            let view = view_for(domain, turn, made)?;
            let judgement = self.judged(domain, &view)?;
            let left = end.saturating_duration_since(Instant::now());
            if !judgement.refusals.is_empty() {
                if judgement.refusals.iter().all(is_about_room) && self.make_room(turn, &mut asked, left) {
                    continue;
                }
                return Err(EngineError::Refused(judgement.refusals));
            }
            if left.is_zero() {
                return Err(busy(domain, "making its vGPUs takes too long"));
            }
            if let Some(card) = judgement.lent.first() {
                self.lend(*card, GraphicsType::Direct, &view, left)?;
                continue;
            }
            let Some(missing) = judgement.missing.first() else {
                let gpus = gpus_of(domain, &view);
                match self.starts.claim(&Wanted { domain, gpus: &gpus, seen, end }) {
                    Ok(()) => return Ok(()),
                    Err(_) => continue,
                }
            };
            if missing.replaces {
                self.unmake_start(missing.id, domain.uuid, turn, left)?;
                continue;
            }
            self.make_start(domain, missing, &view, turn, end)?;
            made.push(missing.id);
        }
    }

    /// Makes one vGPU for a domain's start: recorded as such, and not part of the desired document.
    fn make_start(
        &self,
        domain: &Domain,
        missing: &Missing,
        view: &View,
        turn: &Turn<'_>,
        end: Instant,
    ) -> Result<(), EngineError> {
        let wish = wish(domain, missing);
        let of_vf = |vf| view.observed.gpu_of(vf).map(|gpu| gpu.address);
        let gpu = match missing.id.vf().and_then(of_vf) {
            Some(gpu) => gpu,
            None => {
                let wishes = vec![wish.clone()];
                self.place(&CreateRequest { gpu: None, wishes, dry_run: false }, view, end)?.gpu
            }
        };
        let gpu = self.changeable(view, gpu)?;
        let left = end.saturating_duration_since(Instant::now());
        self.make_together(wish, gpu, view, turn, left)?;
        tracing::info!(vm = domain.name, id = %missing.id, profile = %missing.profile, gpu = %gpu.address, "made for a start");
        Ok(())
    }

    /// Removes what was made for a domain's start; whether all of it is gone.
    fn remove_of(&self, domain: Uuid, deadline: Duration) -> Result<bool, EngineError> {
        let Some(turn) = self.hook_turn(Instant::now() + REMOVAL_TURN) else { return Ok(false) };
        // Its VM may have started again while we waited.
        if !self.starts.tickets().contains(&domain) {
            return Ok(false);
        }
        self.remove_in(&turn, domain, deadline)
    }

    fn remove_in(&self, turn: &Turn<'_>, domain: Uuid, deadline: Duration) -> Result<bool, EngineError> {
        let (_, records) = self.store.load()?;
        let theirs = records.vgpus.iter().filter(|(_, record)| record.domain == Some(domain));
        let ids: Vec<VgpuId> = theirs.map(|(id, _)| *id).collect();
        let mut all = true;
        for id in ids {
            all &= self.unmake_start(id, domain, turn, deadline)?;
        }
        Ok(all)
    }

    /// Removes one vGPU that was made for a domain's start, unless somebody has it; whether it is gone.
    fn unmake_start(
        &self,
        id: VgpuId,
        domain: Uuid,
        turn: &Turn<'_>,
        deadline: Duration,
    ) -> Result<bool, EngineError> {
        let view = turn.view()?;
        let ours = view.records.vgpus.get(&id).is_some_and(|record| record.domain == Some(domain));
        let mut records = view.records.clone();
        records.vgpus.remove(&id);
        let found = view.observed.vgpus.get(&id).filter(|vgpu| ours && view.records.made(vgpu));
        let Some(found) = found else {
            // Gone already, or another one by that name: only our record is left.
            if ours {
                self.store.commit(&view.desired, &records)?;
            }
            return Ok(true);
        };
        if found.removing || !found.holders.seen.is_empty() || self.starts.has(&id.hostdev()) {
            return Ok(false);
        }
        let gpu = self.changeable(&view, found.gpu)?;
        let plan = vgpu::remove(gpu.address, &[found], &view.observed);
        let plan = plan.ok_or_else(|| no_plan(gpu.address))?;
        self.apply(&plan, gpu, deadline)?;
        self.settle(&plan, &view, &view.desired, &records, deadline)?;
        tracing::info!(%id, %domain, "removed after its VM ended");
        Ok(true)
    }
}

fn is_about_room(refusal: &Refusal) -> bool {
    // A card that is locked to one size may not even name the others.
    matches!(
        refusal.code,
        RefusalCode::NoCapacity | RefusalCode::CapacityReserved | RefusalCode::ProfileNotOffered
    )
}

/// A fresh picture for a start that has made so much. Nobody holds what is not there, or was made in this turn: only
/// where a start wants what was there before are all processes looked through, which costs more than all the rest.
fn view_for(domain: &Domain, turn: &Turn<'_>, made: &[VgpuId]) -> Result<View, EngineError> {
    let is_new = |device: &Hostdev, view: &View| match device {
        Hostdev::Mdev { uuid } => {
            let id = VgpuId::Mdev(*uuid);
            made.contains(&id) || !view.observed.vgpus.contains_key(&id)
        }
        Hostdev::Pci { .. } => false,
    };
    if domain.config.iter().all(|device| matches!(device, Hostdev::Mdev { .. })) {
        let view = turn.view_without_holders()?;
        if domain.config.iter().all(|device| is_new(device, &view)) {
            return Ok(view);
        }
    }
    turn.view()
}

/// What a domain's requests ask for and we have made for nobody.
fn never_made(domain: &Domain, records: &Records) -> Vec<Missing> {
    let missing = |request: &Request| match (&request.wanted, &request.assigned) {
        (Asked::Profile { profile, params }, Some(Hostdev::Mdev { uuid })) => {
            let id = VgpuId::Mdev(*uuid);
            let (profile, params) = (profile.clone(), params.clone());
            (!records.vgpus.contains_key(&id)).then_some(Missing { id, profile, params, replaces: false })
        }
        _ => None,
    };
    domain.requests.list.iter().filter_map(missing).collect()
}

fn refused(domain: &Domain, code: RefusalCode, because: String, remedy: &str) -> EngineError {
    EngineError::Refused(vec![Refusal {
        code,
        summary: format!("VM {} cannot start", domain.name),
        because,
        remedy: vec![remedy.to_owned(), format!("gpuvirt explain {code}")],
    }])
}

fn busy(domain: &Domain, why: &str) -> EngineError {
    refused(domain, RefusalCode::Busy, why.to_owned(), "start it again when that has ended: gpuvirt status")
}
