//! What was made for VMs that have ended, removed some at a time: as many in one change as nobody who starts meanwhile
//! has to wait long for.
//!
//! What is held, or was claimed by another start, stays, and so does its ticket.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use gpuvirt_model::{PciAddress, Vgpu, VgpuId, chain};
use gpuvirt_plan::vgpu;
use uuid::Uuid;

use crate::hook::WRITE_AT_LEAST;
use crate::turn::Turn;
use crate::vgpu::no_plan;
use crate::{Engine, EngineError, View};

/// How long removals may keep the host from a start that comes meanwhile.
const AT_ONCE: Duration = Duration::from_secs(1);

/// What of one domain can go now.
struct Going<'a> {
    domain: Uuid,
    /// The ticket on which this was decided.
    ticket: Option<u64>,
    /// On the host.
    alive: Vec<&'a Vgpu>,
    /// Only our record is left.
    gone: Vec<VgpuId>,
    /// Nobody has anything of it: with these all of it is gone.
    all: bool,
}

impl Engine {
    /// Removes what was made for some of these domains; the domains that this turn is done with, whether all of theirs
    /// could go or not.
    ///
    /// # Errors
    /// [`EngineError`]: these domains' devices go one by one then, each with its own error.
    pub(crate) fn remove_some(
        &self,
        turn: &Turn<'_>,
        domains: &BTreeSet<Uuid>,
        deadline: Duration,
    ) -> Result<BTreeSet<Uuid>, EngineError> {
        let view = turn.view()?;
        let unsettled = self.hands_off()?;
        let mut room = self.removals.fit(AT_ONCE);
        let (mut seen, mut going) = (BTreeSet::new(), Vec::new());
        for domain in domains {
            if room == 0 {
                break;
            }
            let of_domain = self.going(*domain, &view, &unsettled);
            room = room.saturating_sub(of_domain.alive.len());
            seen.insert(*domain);
            going.push(of_domain);
        }
        let later = self.remove_all(&view, &going, deadline)?;
        let is_later = |going: &Going<'_>| going.alive.iter().any(|vgpu| later.contains(&vgpu.gpu));
        for going in &going {
            match (is_later(going), going.all) {
                (true, _) => drop(seen.remove(&going.domain)),
                (false, true) => self.starts.spent(going.domain, going.ticket),
                (false, false) => {}
            }
        }
        Ok(seen)
    }

    /// VMs that have ended leave room, which is theirs to give as soon as a start needs it: what was made for some that
    /// were not asked yet goes. Whether there is room to be hoped for.
    pub(crate) fn make_room(&self, turn: &Turn<'_>, asked: &mut BTreeSet<Uuid>, left: Duration) -> bool {
        let ended = &self.starts.tickets() - asked;
        if ended.is_empty() || left < WRITE_AT_LEAST {
            return false;
        }
        match self.remove_some(turn, &ended, left) {
            Ok(seen) => asked.extend(seen),
            Err(error) => {
                tracing::warn!(error = chain(&error), "what was made for VMs that ended leaves no room");
                asked.extend(ended);
            }
        }
        true
    }

    /// What of this domain nobody has. What is on a card that must be left alone now is due when that may end.
    fn going<'a>(&self, domain: Uuid, view: &'a View, unsettled: &BTreeSet<PciAddress>) -> Going<'a> {
        let ticket = self.starts.ticket(domain);
        let mut going = Going { domain, ticket, alive: Vec::new(), gone: Vec::new(), all: true };
        for (id, record) in view.records.vgpus.iter().filter(|(_, record)| record.domain == Some(domain)) {
            let found = view.observed.vgpus.get(id).filter(|found| view.records.made(found));
            let recorded = || view.observed.gpu_of(record.parent).map(|gpu| gpu.address);
            // A change that is under way may be about to make again what is gone.
            let gpu = found.map(|found| found.gpu).or_else(recorded);
            if gpu.is_some_and(|gpu| self.is_kept(gpu, unsettled)) {
                going.all = false;
                continue;
            }
            match found {
                // Gone already, or another one by that name.
                None => going.gone.push(*id),
                Some(found) if is_held(found) || self.starts.has(&id.hostdev()) => going.all = false,
                Some(found) => going.alive.push(found),
            }
        }
        going
    }

    /// Whether nothing may go from this card now: a change of it is under way, or was not settled. The end of the one, and
    /// of the other's way back, is when it is due.
    fn is_kept(&self, gpu: PciAddress, unsettled: &BTreeSet<PciAddress>) -> bool {
        if self.starts.keeps(gpu) {
            return true;
        }
        let unsettled = unsettled.contains(&gpu);
        if unsettled {
            self.starts.keep(gpu);
        }
        unsettled
    }

    /// One change for each GPU, and one for what is only remembered. The GPUs that were left, since others had the host
    /// meanwhile: the picture may be old, and they go on a fresh one.
    fn remove_all(
        &self,
        view: &View,
        going: &[Going<'_>],
        deadline: Duration,
    ) -> Result<BTreeSet<PciAddress>, EngineError> {
        let mut of_gpu: BTreeMap<PciAddress, Vec<&Vgpu>> = BTreeMap::new();
        for vgpu in going.iter().flat_map(|going| &going.alive) {
            of_gpu.entry(vgpu.gpu).or_default().push(*vgpu);
        }
        let mut records = view.records.clone();
        let gone: Vec<VgpuId> = going.iter().flat_map(|going| going.gone.iter().copied()).collect();
        if !gone.is_empty() {
            records.vgpus.retain(|id, _| !gone.contains(id));
            self.store.commit(&view.desired, &records)?;
        }
        let lent = self.lent();
        let mut of_gpu = of_gpu.into_iter();
        for (address, vgpus) in of_gpu.by_ref() {
            self.changeable(view, address)?;
            let plan = vgpu::remove(address, &vgpus, &view.observed).ok_or_else(|| no_plan(address))?;
            let before = View { records: records.clone(), ..view.clone() };
            records.vgpus.retain(|id, _| !vgpus.iter().any(|vgpu| vgpu.id == *id));
            self.apply_and_settle(&plan, &before, (&view.desired, &records), deadline)?;
            tracing::info!(gpu = %address, vgpus = vgpus.len(), "removed after their VMs ended");
            if self.lent() != lent {
                break;
            }
        }
        Ok(of_gpu.map(|(address, _)| address).collect())
    }
}

fn is_held(vgpu: &Vgpu) -> bool {
    vgpu.removing || !vgpu.holders.seen.is_empty()
}
