//! A domain is about to start: judged, and given what its requests ask for.

use std::collections::BTreeSet;
use std::time::Instant;

use gpuvirt_model::{
    DesiredGpu, Domain, GraphicsType, Hostdev, PciAddress, Refusal, RefusalCode, VgpuId, chain,
};
use gpuvirt_plan::checks::start::{Judgement, Missing};

use super::deadline::{Asker, CREATION_DEADLINE, Due, WRITE_AT_LEAST};
use super::judge::never_made;
use crate::mig_room::Read;
use crate::starts::{Unclaimed, Wanted, gpus_of};
use crate::together::wish;
use crate::turn::Turn;
use crate::{CreateRequest, Engine, EngineError, View};

impl Engine {
    /// A domain is about to start with these host devices: judged, and given what its requests ask for.
    ///
    /// Asked again for a domain that has it all, it changes nothing.
    ///
    /// # Errors
    /// [`EngineError::Refused`] with every reason; what was made for this start alone is removed again.
    pub fn hook_prepare(&self, domain: &Domain) -> Result<Vec<VgpuId>, EngineError> {
        self.hook_prepare_for(&Asker::now(), domain)
    }

    /// The same for somebody who may give up.
    ///
    /// # Errors
    /// As [`Engine::hook_prepare`].
    pub fn hook_prepare_for(&self, asker: &Asker<'_>, domain: &Domain) -> Result<Vec<VgpuId>, EngineError> {
        let start = self.starts.begin(domain.uuid);
        let made = self.prepared(domain, Due::to(asker))?;
        if asker.has_left() {
            self.starts.came_too_late(domain.uuid, start);
            return Err(took_too_long(domain));
        }
        Ok(made)
    }

    fn prepared(&self, domain: &Domain, due: Due) -> Result<Vec<VgpuId>, EngineError> {
        let end = due.validation;
        let missing = never_made(domain, &self.store.load()?.1);
        if !missing.is_empty() {
            // A look without the turn would only tell what is known already.
            return self.in_turn(domain, Judgement { missing, ..Judgement::default() }, due);
        }
        loop {
            let seen = self.starts.mark();
            let view = self.start_view()?;
            let judgement = self.judged(domain, &view)?;
            if judgement != Judgement::default() {
                return self.in_turn(domain, judgement, due);
            }
            let gpus = gpus_of(domain, &view);
            let why = match self.starts.claim(&Wanted { domain, gpus: &gpus, seen, end }) {
                Ok(()) => return Ok(Vec::new()),
                Err(Unclaimed::Changing(gpu)) => self.what_is_done_to(gpu),
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

    /// Judges again when nobody else changes anything, which made the first look an unsure one, and makes what is
    /// missing.
    fn in_turn(&self, domain: &Domain, first: Judgement, due: Due) -> Result<Vec<VgpuId>, EngineError> {
        let passes = |refusal: &Refusal| is_about_room(refusal) || refusal.code == RefusalCode::Busy;
        let makes = !first.missing.is_empty() || !first.lent.is_empty() || first.refusals.iter().any(passes);
        let end = if makes { due.creation } else { due.validation };
        self.waiting_starts.enter(domain);
        loop {
            let turn = self.hook_turn(end);
            // Changes that wait for the kernel: their cards are left alone, and their end may be what this start needs.
            let others = self.starts.changing();
            if turn.is_some() && !others.is_empty() && self.waiting_starts.is_coming(domain) {
                // In the midst of the change that makes it: the less is done here, the sooner that goes on.
                drop(turn);
                match self.outwait(domain, &others, end) {
                    Some(ended) => return ended,
                    None => continue,
                }
            }
            if let Some(made) = self.waiting_starts.leave(domain) {
                return Ok(made);
            }
            let Some(turn) = turn else {
                let sure = !first.refusals.is_empty() && !first.refusals.iter().any(by_a_change);
                return Err(if sure {
                    EngineError::Refused(first.refusals)
                } else {
                    busy(domain, "other changes come first")
                });
            };
            let mut made = Vec::new();
            let Err(error) = self.make_all(domain, &turn, end, &mut made) else { return Ok(made) };
            self.unmake_all(domain, &turn, made);
            let others = self.in_the_way(&error, others)?;
            if others.is_empty() {
                return Err(error);
            }
            // While it waits it holds nothing, and whoever makes vGPUs meanwhile makes its own with them.
            self.waiting_starts.enter(domain);
            drop(turn);
            if let Some(ended) = self.outwait(domain, &others, end) {
                return ended;
            }
        }
    }

    /// Waits with nothing in hand until one of these changes ends; what came of the start where none does in time.
    fn outwait(
        &self,
        domain: &Domain,
        others: &BTreeSet<PciAddress>,
        end: Instant,
    ) -> Option<Result<Vec<VgpuId>, EngineError>> {
        if self.starts.one_ends(others, end) {
            return None;
        }
        let told: Vec<String> = others.iter().map(|gpu| self.what_is_done_to(*gpu)).collect();
        let made = self.waiting_starts.leave(domain);
        Some(made.ok_or_else(|| busy(domain, &told.join("; "))))
    }

    /// The GPUs under change whose end may let a start through that was refused: for room, those that make vGPUs.
    fn in_the_way(
        &self,
        error: &EngineError,
        mut others: BTreeSet<PciAddress>,
    ) -> Result<BTreeSet<PciAddress>, EngineError> {
        let EngineError::Refused(refusals) = error else { return Ok(BTreeSet::new()) };
        if others.is_empty() || !refusals.iter().all(by_a_change) {
            return Ok(BTreeSet::new());
        }
        if refusals.iter().all(is_about_room) {
            let (desired, _) = self.store.load()?;
            let makes =
                |entry: &DesiredGpu| entry.graphics_type.resolve(&desired.host) == GraphicsType::SharedDirect;
            others.retain(|gpu| desired.gpu(*gpu).is_some_and(makes));
        }
        Ok(others)
    }

    /// What a start that failed has got is given back.
    fn unmake_all(&self, domain: &Domain, turn: &Turn<'_>, made: Vec<VgpuId>) {
        self.give_back(turn);
        for id in made.into_iter().rev() {
            if let Err(error) = self.unmake_start(id, domain.uuid, turn, CREATION_DEADLINE) {
                tracing::warn!(%id, error = chain(&error), "a vGPU of a start that failed is left");
                self.starts.expire(domain.uuid);
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
        let mut read = Read::until(end);
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
            let writes = !judgement.lent.is_empty() || !judgement.missing.is_empty();
            if writes && left < WRITE_AT_LEAST {
                return Err(too_late(domain));
            }
            if let Some(card) = judgement.lent.first() {
                self.lend(*card, GraphicsType::Direct, (turn, &view), left)?;
                continue;
            }
            let Some(missing) = judgement.missing.first() else {
                let gpus = gpus_of(domain, &view);
                // Whose change waits for the kernel waits for the host then: this must not wait for it.
                match self.starts.claim(&Wanted { domain, gpus: &gpus, seen, end: Instant::now() }) {
                    Ok(()) => return Ok(()),
                    Err(Unclaimed::Changing(gpu)) => return Err(busy(domain, &self.what_is_done_to(gpu))),
                    Err(Unclaimed::LookAgain | Unclaimed::Taken) => continue,
                }
            };
            if missing.replaces {
                self.unmake_start(missing.id, domain.uuid, turn, left)?;
                continue;
            }
            if self.make_start(domain, missing, (turn, &view), &mut read)? {
                made.push(missing.id);
            }
        }
    }

    /// Makes one vGPU for a domain's start: recorded as such, and not part of the desired document. Whether it was made, and
    /// is not first to be judged again: others had the host while it was found out where there is room.
    fn make_start(
        &self,
        domain: &Domain,
        missing: &Missing,
        (turn, view): (&Turn<'_>, &View),
        read: &mut Read,
    ) -> Result<bool, EngineError> {
        let wish = wish(domain, missing);
        let of_vf = |vf| view.observed.gpu_of(vf).map(|gpu| gpu.address);
        let gpu = match missing.id.vf().and_then(of_vf) {
            Some(gpu) => gpu,
            None if self.read_rooms(view, &wish.profile, read) => return Ok(false),
            None => {
                let wishes = vec![wish.clone()];
                self.place(&CreateRequest { gpu: None, wishes, dry_run: false }, view, read)?.gpu
            }
        };
        let gpu = self.changeable(view, gpu)?;
        // The choice may have asked a program.
        let left = read.end.saturating_duration_since(Instant::now());
        if left < WRITE_AT_LEAST {
            return Err(too_late(domain));
        }
        self.make_together(wish, gpu, view, turn, read.end)?;
        tracing::info!(vm = domain.name, id = %missing.id, profile = %missing.profile, gpu = %gpu.address, "made for a start");
        Ok(true)
    }
}

/// What the end of a change that is under way may put right.
fn by_a_change(refusal: &Refusal) -> bool {
    let of_its_card =
        matches!(refusal.code, RefusalCode::Busy | RefusalCode::HandsOff | RefusalCode::DeviceLocked);
    of_its_card || is_about_room(refusal)
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

fn refused(domain: &Domain, code: RefusalCode, because: String, remedy: &str) -> EngineError {
    EngineError::Refused(vec![Refusal {
        code,
        summary: format!("VM {} cannot start", domain.name),
        because,
        remedy: vec![remedy.to_owned(), format!("gpuvirt explain {code}")],
    }])
}

/// A start whose answer is due before what it waits for has come.
pub fn took_too_long(domain: &Domain) -> EngineError {
    busy(domain, "what it waited for took too long")
}

fn too_late(domain: &Domain) -> EngineError {
    busy(domain, "making its vGPUs takes too long")
}

fn busy(domain: &Domain, why: &str) -> EngineError {
    refused(domain, RefusalCode::Busy, why.to_owned(), "start it again when that has ended: gpuvirt status")
}
