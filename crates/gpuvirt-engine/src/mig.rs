//! `mig list`, `mig create` and `mig remove`: a card's GPU instances.
//!
//! They are read only here, and only for the card that is asked about, in the turn of a change: while the vendor's
//! command runs it is a client of the card, and the tool that makes virtual functions would not get it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use gpuvirt_model::{
    Desired, DesiredGpu, GpuInstance, GpuInstanceRecord, MigState, Observed, PciAddress, ProgramPath,
    Records, VgpuMode, chain,
};
use gpuvirt_plan::checks::mig::{Request, command_for};
use gpuvirt_plan::mig_room;
use gpuvirt_plan::placement::mig::Instances;
use gpuvirt_plan::{Marks, Plan, Wanted, mig, sriov, switch};

use crate::apply::Applied;
use crate::engine::{CreateGpuInstances, RemoveGpuInstances};
use crate::ports::PortError;
use crate::{Engine, EngineError, Report, SwitchRequest, View};

/// How long the vendor's command may take to answer: it starts its library and wakes the card each time.
pub(crate) const READ_DEADLINE: Duration = Duration::from_secs(60);
/// How long making a GPU instance may take.
const CREATE_DEADLINE: Duration = Duration::from_secs(120);

/// The GPU instances of one card, as far as they can be told.
#[derive(Debug, Clone)]
pub struct MigView {
    /// The GPU.
    pub gpu: PciAddress,
    /// What it has; else why that can't be told.
    pub state: Result<MigState, String>,
}

impl Engine {
    /// The GPU instances of one GPU, or of every managed one whose driver has a vendor's command.
    ///
    /// # Errors
    /// [`EngineError::Refused`] for a GPU that is not there, and one that nothing can be told about.
    pub fn mig(&self, only: Option<PciAddress>) -> Result<(View, Vec<MigView>), EngineError> {
        let turn = self.begin();
        let view = turn.view()?;
        let cards: Vec<PciAddress> = match only {
            Some(address) => {
                let gpu = self.changeable(&view, address)?;
                let request = Request { gpu, observed: &view.observed, desired: &view.desired };
                let none = || EngineError::Refused(vec![request.no_command("has no GPU instances to show")]);
                command_for(gpu, &view.observed).ok_or_else(none)?;
                vec![address]
            }
            None => self.cards(&view),
        };
        let read = |gpu| MigView { gpu, state: self.mig_state(gpu, &view.observed, READ_DEADLINE) };
        let found = cards.into_iter().map(read).collect();
        Ok((view, found))
    }

    /// How many more vGPUs find a GPU instance on each GPU in vGPU mode `mig`: what placement counts there. In the turn of
    /// a change only. A card that can't be read now, or not before `end`, is left out: its driver has the last word anyway.
    pub(crate) fn instance_room(&self, view: &View, end: Instant) -> BTreeMap<PciAddress, Instances> {
        let in_mode = |gpu: &PciAddress| {
            view.desired.gpu(*gpu).is_some_and(|entry| entry.vgpu_mode == Some(VgpuMode::Mig))
        };
        let room = |address| {
            let gpu = view.observed.gpus.get(&address)?;
            let left = end.saturating_duration_since(Instant::now());
            let state = self.mig_state(address, &view.observed, left).ok()?;
            Some((address, Instances(mig_room::room(gpu, &view.observed, &state))))
        };
        self.cards(view).into_iter().filter(in_mode).filter_map(room).collect()
    }

    /// The managed GPUs that have a vendor's command and may be touched now.
    fn cards(&self, view: &View) -> Vec<PciAddress> {
        let managed = view.observed.gpus.values().filter(|gpu| view.desired.gpu(gpu.address).is_some());
        let asked = managed.filter(|gpu| command_for(gpu, &view.observed).is_some());
        asked.map(|gpu| gpu.address).filter(|gpu| self.changeable(view, *gpu).is_ok()).collect()
    }

    fn mig_state(
        &self,
        address: PciAddress,
        observed: &Observed,
        within: Duration,
    ) -> Result<MigState, String> {
        let gpu = observed.gpus.get(&address);
        let command = gpu.and_then(|gpu| command_for(gpu, observed));
        let command = command.ok_or_else(|| format!("no command of a vendor is known for {address}"))?;
        self.read_mig(address, command, within).map_err(|error| chain(&error))
    }

    /// One read, within what its caller has left: a start has seconds.
    fn read_mig(
        &self,
        gpu: PciAddress,
        command: &ProgramPath,
        within: Duration,
    ) -> Result<MigState, PortError> {
        self.host.mig(gpu, command, within.min(READ_DEADLINE))
    }

    /// Makes GPU instances of one profile.
    ///
    /// # Errors
    /// [`EngineError::Refused`] with every reason, nothing written; [`EngineError::Failed`] with what is true now.
    pub fn create_gpu_instances(&self, request: &CreateGpuInstances) -> Result<Report, EngineError> {
        let turn = self.begin();
        let (address, profile, count) = (request.gpu, request.profile.as_str(), request.count);
        self.hands_on(address)?;
        let view = turn.view()?;
        let gpu = self.changeable(&view, address)?;
        let asked = Request { gpu, observed: &view.observed, desired: &view.desired };
        let what = format!("cannot get GPU instances: {count} of {profile:?}");
        let command = asked.command(&what).map_err(|refusal| EngineError::Refused(vec![refusal]))?;
        let state = self.host.mig(address, command, READ_DEADLINE)?;
        let found = asked.creatable(&state, profile, count).map_err(EngineError::Refused)?;
        let card = mig::Card { gpu: address, command, state: &state };
        let plan = mig::create(&card, found, count);
        let made = format!("{address}: {count} GPU instances of {profile}");
        let report = |text| Report { plan: Some(plan.clone()), ..Report::changed(text) };
        if request.dry_run {
            return Ok(report(format!("{made} would be made")));
        }
        if plan.is_empty() {
            return Ok(Report::unchanged(format!("{made}; nothing to do")));
        }
        let Applied { now, marks } = self.apply(&plan, gpu, CREATE_DEADLINE)?;
        let new = new_instances(address, &marks, &now);
        let mut records = view.records.clone();
        records.gpu_instances.extend(new.iter().map(|instance| record(address, instance, &now)));
        let desired = with_instances(&view.desired, address, |names| {
            names.extend(new.iter().map(|instance| instance.profile.clone()));
            names.sort();
        });
        self.settle(&plan, &view, &desired, &records, CREATE_DEADLINE)?;
        let ids: Vec<String> = new.iter().map(|instance| instance.id.to_string()).collect();
        Ok(report(format!("{made} were made: {}", ids.join(", "))))
    }

    /// Removes one GPU instance, or all that are ours.
    ///
    /// # Errors
    /// As [`Engine::create_gpu_instances`].
    pub fn remove_gpu_instances(&self, request: &RemoveGpuInstances) -> Result<Report, EngineError> {
        let turn = self.begin();
        let address = request.gpu;
        self.hands_on(address)?;
        let view = turn.view()?;
        let gpu = self.changeable(&view, address)?;
        let asked = Request { gpu, observed: &view.observed, desired: &view.desired };
        let command = asked
            .command("cannot lose GPU instances")
            .map_err(|refusal| EngineError::Refused(vec![refusal]))?;
        let state = self.host.mig(address, command, READ_DEADLINE)?;
        let gone = removed(request, &asked, &state, &view.records)?;
        if gone.is_empty() {
            return Ok(self.forget_instances(&view, address, request.dry_run)?);
        }
        let card = mig::Card { gpu: address, command, state: &state };
        let plan = mig::remove(&card, &gone);
        let names: Vec<String> =
            gone.iter().map(|instance| format!("{} ({})", instance.id, instance.profile)).collect();
        let what = format!("{address}: GPU instances {}", names.join(", "));
        let report = |text| Report { plan: Some(plan.clone()), ..Report::changed(text) };
        if request.dry_run {
            return Ok(report(format!("{what} would be removed")));
        }
        self.apply(&plan, gpu, request.deadline)?;
        let mut records = view.records.clone();
        records.gpu_instances.retain(|record| !gone.iter().any(|instance| record.is_of(address, instance)));
        let desired = with_instances(&view.desired, address, |names| {
            for instance in &gone {
                if let Some(at) = names.iter().position(|name| *name == instance.profile) {
                    names.remove(at);
                }
            }
        });
        self.settle(&plan, &view, &desired, &records, request.deadline)?;
        Ok(report(format!("{what} were removed")))
    }

    /// None of ours is on the card any more: what is stored of them goes.
    fn forget_instances(&self, view: &View, gpu: PciAddress, dry_run: bool) -> Result<Report, PortError> {
        let mut records = view.records.clone();
        records.gpu_instances.retain(|record| record.gpu != gpu);
        let desired = with_instances(&view.desired, gpu, Vec::clear);
        if desired == view.desired && records == view.records {
            return Ok(Report::unchanged(format!("{gpu} has no GPU instance of ours; nothing to do")));
        }
        if !dry_run {
            self.store.commit(&desired, &records)?;
        }
        Ok(Report::changed(format!("{gpu} has no GPU instance of ours any more; their record was removed")))
    }

    /// A fresh picture for judging a plan: with the GPU instances of the cards whose it can change. No promise is about
    /// holders, or about another GPU.
    pub(crate) fn observe_for(&self, plan: &Plan, within: Duration) -> Result<Observed, PortError> {
        let now = self.host.observe_gpu(plan.gpu)?;
        self.with_gpu_instances(plan, now, within)
    }

    /// Whether even a dry run asks the vendor's command, which must not happen in the middle of a change.
    pub(crate) fn is_about_mig(&self, request: &SwitchRequest) -> Result<bool, PortError> {
        let (desired, _) = self.store.load()?;
        let stored = desired.gpu(request.gpu).and_then(|entry| entry.vgpu_mode);
        Ok([request.prepare.vgpu_mode, stored].contains(&Some(VgpuMode::Mig)))
    }

    /// Adds a card's GPU instances to a picture, where what is wanted of it, or what we did to it, concerns them.
    pub(crate) fn see_gpu_instances(
        &self,
        observed: &mut Observed,
        address: PciAddress,
        (wanted, records): (&Wanted, &Records),
        within: Duration,
    ) -> Result<(), PortError> {
        let turned = records.vgpu_modes.get(&address).is_some_and(|record| record.mode == VgpuMode::Mig);
        let made = records.gpu_instances.iter().any(|record| record.gpu == address);
        let command = observed.gpus.get(&address).and_then(|gpu| command_for(gpu, observed)).cloned();
        if let Some(command) = command.filter(|_| mig::wants_mig(wanted) || turned || made) {
            observed.mig.insert(address, self.read_mig(address, &command, within)?);
        }
        Ok(())
    }

    /// The same for a card whose virtual functions the vendor's tool is about to make or take: GPU instances that somebody
    /// else made would go with them. In the turn of a change only. What can't be read is not in the way.
    pub(crate) fn see_what_the_tool_wipes(
        &self,
        observed: &mut Observed,
        address: PciAddress,
        (wanted, records): (&Wanted, &Records),
        within: Duration,
    ) {
        let Some(gpu) = observed.gpus.get(&address).filter(|_| !observed.mig.contains_key(&address)) else {
            return;
        };
        if sriov::cycles_vfs(&switch::plan_for(gpu, observed, wanted, records)) {
            match self.mig_state(address, observed, within) {
                Ok(state) => drop(observed.mig.insert(address, state)),
                Err(error) => tracing::warn!(gpu = %address, error, "its GPU instances can't be read"),
            }
        }
    }

    /// A picture with the GPU instances that a plan can change.
    pub(crate) fn with_gpu_instances(
        &self,
        plan: &Plan,
        mut now: Observed,
        within: Duration,
    ) -> Result<Observed, PortError> {
        for (gpu, layout) in &plan.before.mig {
            // Another driver has it now, or none: nothing of the vendor's can be asked.
            if now.gpus.get(gpu).is_some_and(|gpu| command_for(gpu, &now).is_some()) {
                now.mig.insert(*gpu, self.read_mig(*gpu, &layout.command, within)?);
            }
        }
        Ok(now)
    }
}

/// Our records after a switch: what it made is ours, and what it wiped is nobody's. Others' would have been refused, and
/// what they made meanwhile is theirs.
pub(crate) fn with_instances_after(mut records: Records, plan: &Plan, now: &Observed) -> Records {
    for gpu in plan.before.mig.keys() {
        let found = now.mig.get(gpu).map(|state| state.instances.as_slice()).unwrap_or_default();
        records.gpu_instances.retain(|known| {
            known.gpu != *gpu || (!mig::wipes(plan) && found.iter().any(|one| known.is_of(*gpu, one)))
        });
        let new = new_instances(*gpu, &plan.marks, now);
        records.gpu_instances.extend(new.iter().map(|one| record(*gpu, one, now)));
    }
    records
}

/// Our records after a way back that made GPU instances again, which then have other numbers. None: they are right.
pub(crate) fn renumbered(records: &Records, before: &Observed, after: &Observed) -> Option<Records> {
    let mut next = records.clone();
    for record in &mut next.gpu_instances {
        let live = |now: &Observed| now.mig.get(&record.gpu).map(|state| state.instances.clone());
        let (Some(was), Some(is)) = (live(before), live(after)) else { continue };
        if is.iter().any(|instance| record.is_of(record.gpu, instance)) {
            continue;
        }
        let new = |one: &&GpuInstance| !was.iter().any(|known| known.is_same(one));
        let there = |one: &&GpuInstance| one.profile == record.profile && one.placement == record.placement;
        if let Some(instance) = is.iter().filter(new).find(there) {
            record.id = instance.id;
        }
    }
    (next != *records).then_some(next)
}

/// Whether our records are right about the GPU instances that a plan could make or remove.
pub(crate) fn instances_agree(plan: &Plan, view: &View) -> bool {
    plan.before.mig.iter().all(|(gpu, before)| {
        let found = view.observed.mig.get(gpu).map(|state| state.instances.as_slice()).unwrap_or_default();
        let mut recorded = view.records.gpu_instances.iter().filter(|record| record.gpu == *gpu);
        let lives = |record: &GpuInstanceRecord| found.iter().any(|instance| record.is_of(*gpu, instance));
        let new = view.observed.mig.get(gpu).map(|state| mig::made_by(plan, *gpu, before, state));
        recorded.all(lives)
            && new.into_iter().flatten().all(|instance| view.records.made_instance(*gpu, instance))
    })
}

/// The GPU instances that a request is about. All: those of ours that nothing lives on, or every reason against it.
fn removed<'s>(
    request: &RemoveGpuInstances,
    asked: &Request,
    state: &'s MigState,
    records: &Records,
) -> Result<Vec<&'s GpuInstance>, EngineError> {
    let ours = state.instances.iter().filter(|one| records.made_instance(request.gpu, one)).map(|one| one.id);
    let ids: Vec<u32> = request.id.map_or_else(|| ours.collect(), |id| vec![id]);
    let (mut gone, mut refusals) = (Vec::new(), Vec::new());
    for id in ids {
        match asked.removable(state, id, records) {
            Ok(instance) => gone.push(instance),
            Err(found) => refusals.extend(found),
        }
    }
    if refusals.is_empty() { Ok(gone) } else { Err(EngineError::Refused(refusals)) }
}

/// What the plan has made on a card. What else is new there is somebody else's.
fn new_instances(gpu: PciAddress, marks: &Marks, now: &Observed) -> Vec<GpuInstance> {
    let found = now.mig.get(&gpu).into_iter().flat_map(|state| &state.instances);
    found.filter(|instance| marks.made(gpu, instance.id)).cloned().collect()
}

fn record(gpu: PciAddress, instance: &GpuInstance, now: &Observed) -> GpuInstanceRecord {
    GpuInstanceRecord {
        gpu,
        id: instance.id,
        profile: instance.profile.clone(),
        placement: instance.placement,
        boot: now.host.boot_id,
    }
}

/// The document with another list of GPU instances for a managed GPU; unchanged where the list is the same.
fn with_instances(desired: &Desired, gpu: PciAddress, change: impl FnOnce(&mut Vec<String>)) -> Desired {
    let Some(entry) = desired.gpu(gpu) else { return desired.clone() };
    let mut names = entry.gpu_instances.clone();
    change(&mut names);
    if names == entry.gpu_instances {
        return desired.clone();
    }
    desired.with_gpu(DesiredGpu { gpu_instances: names, ..entry.clone() })
}
