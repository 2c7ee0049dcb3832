//! `recover`: changes that ended neither way are taken back.

use std::collections::BTreeSet;
use std::time::Duration;

use gpuvirt_model::{Outcome, PciAddress, UnitName, VgpuId};
use gpuvirt_plan::{Plan, Step, Wanted, explain, sriov, switch, verify};
use uuid::Uuid;

use crate::lend::is_lent;
use crate::mig_read::READ_DEADLINE;
use crate::ports::{PortError, WaitingWrite};
use crate::records::instances_agree;
use crate::turn::Turn;
use crate::{Engine, EngineError, Report, View};
use gpuvirt_model::chain;

impl Engine {
    /// Takes back every change whose journal is open: observes, plans the way back, and runs it.
    ///
    /// # Errors
    /// [`EngineError::Failed`] names each GPU that stays hands-off, and why.
    pub fn recover(&self, deadline: Duration) -> Result<Report, EngineError> {
        self.recover_where(deadline, |_| true)
    }

    /// The same for some GPUs: those whose write has ended. Another's way back failed, and is not tried again unasked.
    ///
    /// # Errors
    /// As [`Engine::recover`].
    pub fn recover_these(
        &self,
        gpus: &BTreeSet<PciAddress>,
        deadline: Duration,
    ) -> Result<Report, EngineError> {
        self.recover_where(deadline, |gpu| gpus.contains(&gpu))
    }

    fn recover_where(
        &self,
        deadline: Duration,
        meant: impl Fn(PciAddress) -> bool,
    ) -> Result<Report, EngineError> {
        let open = self.store.open_intents()?.into_iter().map(|plan| plan.gpu).filter(|gpu| meant(*gpu));
        let (mut recovered, mut stuck) = (Vec::new(), Vec::new());
        for (gpu, ended) in beside_each_other(open.collect(), |gpu| self.recover_in_turn(gpu, deadline)) {
            match ended {
                Ok(Some(purpose)) => recovered.push(format!("{gpu} is settled again ({purpose})")),
                Ok(None) => {}
                Err(why) => stuck.push(format!("{gpu}: {why}")),
            }
        }
        if !stuck.is_empty() {
            let now = match recovered.as_slice() {
                [] => "these GPUs stay hands-off".to_owned(),
                done => format!("these GPUs stay hands-off; {}", done.join("; ")),
            };
            return Err(EngineError::Failed { what: stuck.join("; "), now });
        }
        let nothing = recovered.is_empty();
        let text = if nothing { "nothing to recover".to_owned() } else { recovered.join("; ") };
        let outcome = if nothing { Outcome::Unchanged(text) } else { Outcome::Changed(text) };
        Ok(Report { outcome, ..Report::unchanged(String::new()) })
    }

    /// One GPU, in a turn of its own: the others have theirs while a write to this one waits. What the change was for; none
    /// where it is under way still, or was settled before it was our turn.
    fn recover_in_turn(&self, gpu: PciAddress, deadline: Duration) -> Result<Option<String>, String> {
        let turn = self.kernel_turn();
        let open = self.store.open_intents().map_err(|error| chain(&error))?;
        let Some(plan) = open.into_iter().find(|plan| plan.gpu == gpu && !self.starts.is_changing(gpu))
        else {
            return Ok(None);
        };
        self.recover_one(&turn, &plan, deadline).map(|()| Some(plan.purpose))
    }

    /// A change that was stored before its journal could be closed is done; any other is taken back.
    fn recover_one(&self, turn: &Turn<'_>, plan: &Plan, deadline: Duration) -> Result<(), String> {
        if let Some(waiting) = self.waiting_for(plan).map_err(|error| chain(&error))? {
            self.give_up(plan.gpu);
            return Err(format!(
                "process {} still waits in the kernel for it; it ends by itself",
                waiting.writer
            ));
        }
        let mut view = turn.view().map_err(|error| chain(&error))?;
        if let Some(locked) = locked(plan, &view) {
            self.give_up(plan.gpu);
            return Err(format!("the kernel holds {locked} for a write that waits; it ends by itself"));
        }
        // From here on others leave it alone, and see that it is under way.
        let _changing = self.starts.begin_change(plan.gpu, &[]).map_err(|vm| format!("VM {vm} has it"))?;
        let lent = self.lent();
        let read = self.instances_for(plan, &view.observed, READ_DEADLINE).map_err(|error| chain(&error))?;
        if self.lent() != lent {
            view = turn.view().map_err(|error| chain(&error))?;
        }
        view.observed.mig = read;
        if is_settled(plan, &view) {
            self.finish(plan, &view, deadline);
            return self.store.close_journal(plan).map_err(|error| chain(&error));
        }
        self.undo(plan, deadline).map(drop)
    }

    /// A change that is done may have died before its last steps: what the host had set is put back, and services that it
    /// stopped run again, as far as they can.
    fn finish(&self, plan: &Plan, view: &View, deadline: Duration) {
        let runs = |unit: &&UnitName| view.observed.host.running_services.contains_key(*unit);
        let puts_back = |step: &&Step| matches!(step, Step::SetPowerControl { .. });
        let stopped = plan.before.services.iter().filter(|unit| !runs(unit));
        let starts = stopped.map(|unit| Step::StartService { gpu: plan.gpu, unit: unit.clone() });
        for step in plan.steps.iter().filter(puts_back).cloned().chain(starts) {
            if let Err(error) = self.lending(|| self.host.perform(&step, deadline)) {
                let step = explain::sentence(&step);
                tracing::warn!(gpu = %plan.gpu, step, error = chain(&error), "not done");
            }
        }
    }

    /// The GPUs with an open change that a write still waits for in the kernel. A change that is under way tells itself of its
    /// writes when it gives one up ([`Engine::take_given_up`]): it is none of these.
    ///
    /// # Errors
    /// [`EngineError::Port`] when the journal or the host can't be read.
    pub fn gpus_that_wait(&self) -> Result<BTreeSet<PciAddress>, EngineError> {
        let mut waiting = BTreeSet::new();
        for plan in self.store.open_intents()? {
            if !self.starts.is_changing(plan.gpu) && self.waiting_for(&plan)?.is_some() {
                waiting.insert(plan.gpu);
            }
        }
        Ok(waiting)
    }

    /// A write of the plan that has not ended: until it has, not even a look at some of the device's files is safe.
    ///
    /// # Errors
    /// When the host's processes can't be read.
    pub fn waiting_for(&self, plan: &Plan) -> Result<Option<WaitingWrite>, PortError> {
        let waiting = self.host.waiting_writes()?;
        Ok(waiting.into_iter().find(|waiting| concerns(waiting, plan)))
    }
}

/// Does this for each, all at once, each on a thread of its own; what came of each, in their order.
fn beside_each_other<T: Send>(
    gpus: Vec<PciAddress>,
    work: impl Fn(PciAddress) -> T + Sync,
) -> Vec<(PciAddress, T)> {
    if let [gpu] = gpus.as_slice() {
        return vec![(*gpu, work(*gpu))];
    }
    let (work, about) = (&work, &tracing::Span::current());
    std::thread::scope(|scope| {
        let begin = |gpu: PciAddress| {
            let thread = std::thread::Builder::new().name(format!("recover {gpu}"));
            (gpu, thread.spawn_scoped(scope, move || about.in_scope(|| work(gpu))))
        };
        let begun: Vec<_> = gpus.into_iter().map(begin).collect();
        let ended = begun.into_iter().map(|(gpu, thread)| match thread {
            Ok(thread) => (gpu, thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))),
            // No thread is to be had: then it is this one's.
            Err(_) => (gpu, work(gpu)),
        });
        ended.collect()
    })
}

/// Whether a waiting write concerns something that the plan can change.
fn concerns(waiting: &WaitingWrite, plan: &Plan) -> bool {
    let before = &plan.before;
    let bound = |function: &PciAddress| {
        *function == plan.gpu
            || before.bindings.contains_key(function)
            || before.vgpu_types.contains_key(function)
            || before.vfs.contains_key(function)
            || before.vgpu_params.contains_key(&VgpuId::Vf(*function))
    };
    let of_vgpu =
        |uuid: Uuid| before.mdevs.contains_key(&uuid) || before.vgpu_params.contains_key(&VgpuId::Mdev(uuid));
    waiting.function.as_ref().is_some_and(bound) || waiting.vgpu.is_some_and(of_vgpu)
}

/// A function of the plan that the kernel holds for somebody's write.
fn locked(plan: &Plan, view: &View) -> Option<PciAddress> {
    let before = &plan.before;
    let functions =
        before.bindings.keys().chain(before.vgpu_types.keys()).chain(before.vfs.keys()).chain([&plan.gpu]);
    functions.copied().find(|address| view.observed.functions.get(address).is_some_and(|f| f.locked))
}

/// Whether host and documents agree about everything that the plan could change.
fn is_settled(plan: &Plan, view: &View) -> bool {
    let alive = |id: VgpuId| (view.observed.vgpus.contains_key(&id), view.records.vgpus.contains_key(&id));
    let mdevs = plan.before.mdevs.keys().map(|uuid| VgpuId::Mdev(*uuid));
    let is_vf = |function: &&PciAddress| {
        view.observed.functions.get(function).is_some_and(|function| function.physfn.is_some())
    };
    let bound = plan.before.bindings.keys().filter(is_vf);
    let vfs = plan.before.vgpu_types.keys().chain(bound).map(|vf| VgpuId::Vf(*vf));
    let vgpus_agree = mdevs.chain(vfs).map(alive).all(|(lives, recorded)| lives == recorded);
    let enabled = |function: &PciAddress| {
        let found = view.observed.functions.get(function).and_then(sriov::setting);
        found.is_some_and(|found| (found.count != 0) == view.records.vfs.contains_key(function))
    };
    let vgpus_agree = vgpus_agree && plan.before.vfs.keys().all(enabled);
    let bindings_agree = plan.before.bindings.is_empty() || {
        let gpu = view.observed.gpus.get(&plan.gpu);
        let entry = view.desired.gpu(plan.gpu);
        gpu.zip(entry).is_some_and(|(gpu, entry)| {
            if is_lent(entry, view) {
                return knows_the_way_back(plan, view);
            }
            let wanted = Wanted::by(entry, &view.desired.host);
            switch::plan_for(gpu, &view.observed, &wanted, &view.records).is_empty()
        })
    };
    vgpus_agree
        && bindings_agree
        && params_agree(plan, view)
        && instances_agree(plan, view)
        && verify::broken_promises(plan, &view.observed).is_empty()
}

/// Of a card that is lent the desired document tells nothing: what is stored behind a change of it is how the host had its
/// functions, without which it could not be given back.
fn knows_the_way_back(plan: &Plan, view: &View) -> bool {
    plan.before.bindings.iter().all(|(function, before)| {
        let hosts = before.driver.as_ref().is_some_and(|driver| !driver.leaves_group_viable());
        let found = view.observed.functions.get(function);
        !hosts || found.is_none_or(|found| view.records.host_binding(found).is_some())
    })
}

/// Whether the vGPUs whose parameters a plan sets have those that are stored for them, where any are: those of a vGPU that
/// was made for a start are in its VM's request.
fn params_agree(plan: &Plan, view: &View) -> bool {
    let stored =
        |id: &VgpuId| view.desired.gpus.iter().flat_map(|gpu| &gpu.vgpus).find(|vgpu| vgpu.id == *id);
    let live = |id: &VgpuId| view.observed.vgpus.get(id).and_then(|vgpu| vgpu.known_params());
    let pairs = plan.before.vgpu_params.keys().filter_map(|id| Some((stored(id)?, live(id)?)));
    pairs.into_iter().all(|(stored, live)| stored.params == *live)
}
