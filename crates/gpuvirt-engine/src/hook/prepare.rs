//! A domain is about to start: judged, and given what its requests ask for.

use std::collections::BTreeSet;
use std::time::Instant;

use gpuvirt_model::{Domain, GraphicsType, Hostdev, Refusal, RefusalCode, VgpuId, chain};
use gpuvirt_plan::checks::start::{Judgement, Missing};

use super::deadline::{CREATION_DEADLINE, VALIDATION_DEADLINE};
use super::judge::never_made;
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

    /// Judges again when nobody else changes anything, which made the first look an unsure one, and makes what is
    /// missing.
    fn in_turn(&self, domain: &Domain, first: Judgement, began: Instant) -> Result<Vec<VgpuId>, EngineError> {
        let passes = |refusal: &Refusal| is_about_room(refusal) || refusal.code == RefusalCode::Busy;
        let makes = !first.missing.is_empty() || !first.lent.is_empty() || first.refusals.iter().any(passes);
        let end = began + if makes { CREATION_DEADLINE } else { VALIDATION_DEADLINE };
        self.waiting_starts.enter(domain);
        let turn = self.hook_turn(end);
        if let Some(made) = self.waiting_starts.leave(domain) {
            return Ok(made);
        }
        let Some(turn) = turn else {
            // What a change under way can't explain holds all the same.
            let explained = |refusal: &Refusal| passes(refusal) || refusal.code == RefusalCode::HandsOff;
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

fn busy(domain: &Domain, why: &str) -> EngineError {
    refused(domain, RefusalCode::Busy, why.to_owned(), "start it again when that has ended: gpuvirt status")
}
