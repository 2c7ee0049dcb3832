//! A domain ended: what was made for its start goes, later and on nobody's time.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use gpuvirt_model::{Records, RefusalCode, VgpuId, When, chain};
use gpuvirt_plan::vgpu;
use uuid::Uuid;

use super::deadline::{CREATION_DEADLINE, REMOVAL_TURN};
use crate::ports::Asker;
use crate::turn::Turn;
use crate::vgpu::no_plan;
use crate::{Engine, EngineError};

impl Engine {
    /// Whether something of a domain that ended may be left for [`Engine::remove_released`].
    pub fn has_released(&self) -> bool {
        !self.starts.tickets().is_empty()
    }

    /// A domain ended, or did not start after all. What was made for it goes later: [`Engine::remove_released`].
    pub fn hook_release(&self, domain: Uuid) {
        self.starts.release(domain);
    }

    /// The same engine, which calls this when a change ends that kept something of domains that had ended: from then on
    /// [`Engine::remove_released`] may remove that. It is called in the middle of a change, and must not wait for anything.
    #[must_use]
    pub fn telling_of_releases(mut self, due: impl Fn() + Send + Sync + 'static) -> Self {
        self.starts.due = Some(Box::new(due));
        self
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
            let ticket = self.starts.ticket(*domain);
            match self.remove_of(*domain, deadline) {
                Ok(true) => self.starts.spent(*domain, ticket),
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
    pub(super) fn give_back(&self, turn: &Turn<'_>) {
        if let Err(error) = self.take_cards_back(turn, CREATION_DEADLINE) {
            tracing::warn!(error = chain(&error), "a card that was lent to a VM stays with VFIO");
        }
    }

    /// Whether a domain that has ended still has something here, so that nobody told us: what it had is not to be had by
    /// others, and what was made for it is there. Files that can't be read are no answer: then libvirt is to be asked.
    pub fn end_is_untold(&self, domain: Uuid) -> bool {
        if self.starts.runs_now(domain) {
            return true;
        }
        let made = |records: &Records| records.vgpus.values().any(|record| record.domain == Some(domain));
        !self.starts.tickets().contains(&domain)
            && self.store.load().map_or(true, |(_, records)| made(&records))
    }

    /// Finds out which VMs ended while nobody told us, removes what was made for them, and gives the host back the cards that
    /// they had; whether that is known. Where libvirt does not run it is not: nobody asked for this, and a libvirt that the
    /// admin stopped stays so.
    ///
    /// # Errors
    /// As [`Engine::remove_released`].
    pub fn remove_forgotten(&self, deadline: Duration) -> Result<bool, EngineError> {
        if !self.may_have_forgotten()? {
            // Who is to start with the host is asked all the same.
            return self.learn_awaited();
        }
        // The listing itself ends the claims of those that are off.
        let domains = self.listed_for(Asker::Nobody);
        let Some(domains) = domains.known() else { return Ok(false) };
        let off = |uuid: &Uuid| {
            !domains.iter().any(|d| d.uuid == *uuid && d.state == gpuvirt_model::DomainState::Active)
        };
        let (_, records) = self.store.load()?;
        let owners: BTreeSet<Uuid> = records.vgpus.values().filter_map(|record| record.domain).collect();
        owners.into_iter().filter(off).for_each(|owner| self.starts.expire(owner));
        self.remove_released(deadline)?;
        Ok(true)
    }

    /// Whether VMs that ended while nobody told us could have left anything.
    ///
    /// # Errors
    /// [`EngineError`] where what is stored can't be read.
    pub fn may_have_forgotten(&self) -> Result<bool, EngineError> {
        let (desired, records) = self.store.load()?;
        let owned = records.vgpus.values().any(|record| record.domain.is_some());
        let lends = desired.gpus.iter().any(|entry| entry.when == When::Vm);
        Ok(owned || lends || self.starts.any_runs())
    }

    /// Removes what was made for a domain's start; whether all of it is gone.
    fn remove_of(&self, domain: Uuid, deadline: Duration) -> Result<bool, EngineError> {
        let Some(turn) = self.hook_turn(Instant::now() + REMOVAL_TURN) else { return Ok(false) };
        // Its VM may have started again while we waited.
        if !self.starts.tickets().contains(&domain) {
            return Ok(false);
        }
        let removed = self.remove_in(&turn, domain, deadline);
        if removed.as_ref().is_err_and(is_busy) {
            self.starts.keep_for_all();
        }
        removed
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
    pub(super) fn unmake_start(
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
        self.apply_and_settle(&plan, &view, (&view.desired, &records), deadline)?;
        tracing::info!(%id, %domain, "removed after its VM ended");
        Ok(true)
    }
}

/// Whether it was refused for the sake of another change.
fn is_busy(error: &EngineError) -> bool {
    let EngineError::Refused(refusals) = error else { return false };
    refusals.iter().any(|refusal| refusal.code == RefusalCode::Busy)
}
