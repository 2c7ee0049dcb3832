//! A plan carried out: journal, steps, verification, and the way back when one of them fails.

use std::error::Error;
use std::time::{Duration, Instant};

use gpuvirt_model::{
    Desired, Gpu, Holder, Hostdev, Observed, PciAddress, Records, Refusal, RefusalCode, VgpuId, chain,
};
use gpuvirt_plan::{
    Marks, Plan, Step, UnbindLock, audit, explain, power_control, sriov, undo, vendor, verify,
};

use crate::ports::{PortError, StepError};
use crate::progress::Working;
use crate::records::renumbered;
use crate::under_change::busy;
use crate::{Engine, EngineError, View};

/// So many steps of a plan are told in its line in the log, the others for debugging only; what failed is told always.
const STEPS_LOGGED: usize = 16;

/// One line, before the disk is waited for: each wakes the journal's daemon, which takes about as long as a step.
fn tell(purpose: &str, gpu: PciAddress, steps: &[Step]) {
    let count = steps.len();
    let told: Vec<String> = steps.iter().take(STEPS_LOGGED).map(explain::sentence).collect();
    let what = if count <= STEPS_LOGGED { told.join("; ") } else { format!("{}; ...", told.join("; ")) };
    tracing::info!(%gpu, purpose, steps = count, what, "plan");
}

impl Engine {
    /// Carries out a plan whose checks have passed.
    ///
    /// The journal stays open: the caller closes it with [`Engine::settle`] once the documents are durable. `expected`: what
    /// they will say if all goes as planned, where that is known before.
    ///
    /// # Errors
    /// [`EngineError::Failed`] when it was undone, or when it could not be and the GPU is hands-off now.
    pub(crate) fn apply(
        &self,
        plan: &Plan,
        gpu: &Gpu,
        expected: Option<(&Desired, &Records)>,
        deadline: Duration,
    ) -> Result<Applied, EngineError> {
        let parents: Vec<PciAddress> = gpu.profiles.iter().map(|profile| profile.parent).collect();
        if let Some(violation) = audit::violations(plan, gpu, &parents).into_iter().next() {
            return Err(EngineError::Bug(violation));
        }
        let taken = taken(plan, gpu);
        // From here on no start gets what this takes; one that was faster keeps it.
        let _changing =
            self.starts.begin_change(plan.gpu, &taken).map_err(|vm| started_meanwhile(plan, &vm))?;
        if let Some(other) = self.services_of_another(plan) {
            let because =
                format!("{}, and has stopped services that hold this card too", self.what_is_done_to(other));
            return Err(EngineError::Refused(vec![busy(plan.gpu, because)]));
        }
        tell(&plan.purpose, plan.gpu, &plan.steps);
        match expected.filter(|_| self.lent() == 0) {
            Some((desired, records)) => self.store.open_journal_expecting(plan, desired, records)?,
            // Others may have stored something meanwhile, which these don't say.
            None => self.store.open_journal(plan)?,
        }
        self.carry_on(plan, &plan.steps, deadline)
    }

    /// Carries out a plan of which it is known what it leads to, and settles it.
    ///
    /// # Errors
    /// As [`Engine::apply`] and [`Engine::settle`].
    pub(crate) fn apply_and_settle(
        &self,
        plan: &Plan,
        before: &View,
        (desired, records): (&Desired, &Records),
        deadline: Duration,
    ) -> Result<(), EngineError> {
        self.apply(plan, before.gpu(plan.gpu)?, Some((desired, records)), deadline)?;
        self.settle(plan, before, desired, records, deadline)
    }

    /// Carries out the second part of a plan whose first part is done and in the journal. What fails undoes the whole.
    ///
    /// # Errors
    /// As [`Engine::apply`].
    pub(crate) fn apply_more(
        &self,
        whole: &Plan,
        more: &Plan,
        gpu: &Gpu,
        deadline: Duration,
    ) -> Result<Applied, EngineError> {
        let parents: Vec<PciAddress> = gpu.profiles.iter().map(|profile| profile.parent).collect();
        let violation = audit::violations(whole, gpu, &parents).into_iter().next();
        let noted = match violation {
            Some(violation) => Err(Failure { what: format!("bug: {violation}"), still_waiting: false }),
            None => {
                tell(&whole.purpose, whole.gpu, &more.steps);
                self.store.open_journal(whole).map_err(|error| Failure::of("noting the rest", &error))
            }
        };
        let taken = taken(more, gpu);
        let begun = noted.and_then(|()| {
            let what = |vm: String| format!("VM {vm} has just started with what the rest would take");
            let begun = self.starts.begin_change(whole.gpu, &taken);
            let begun = begun.map_err(|vm| Failure { what: what(vm), still_waiting: false })?;
            match self.services_of_another(more) {
                Some(other) => Err(Failure { what: self.what_is_done_to(other), still_waiting: false }),
                None => Ok(begun),
            }
        });
        match begun {
            Ok(_changing) => self.carry_on(whole, &more.steps, deadline),
            Err(failure) => Err(self.take_back(whole, &failure, deadline)),
        }
    }

    /// The last steps of a plan that is in the journal, and whether it has kept its promises then.
    fn carry_on(&self, plan: &Plan, steps: &[Step], deadline: Duration) -> Result<Applied, EngineError> {
        let mut intent = plan.clone();
        if let Err((begun, failure)) = self.run(&mut intent, (&plan.purpose, steps), deadline) {
            let done = plan.steps.len().saturating_sub(steps.len());
            return Err(self.take_back(&undo::begun(&intent, done + begun), &failure, deadline));
        }
        let plan = &intent;
        let now = match self.observe_for(plan, deadline) {
            Ok(now) => now,
            Err(error) => {
                return Err(self.take_back(plan, &Failure::of("reading the host again", &error), deadline));
            }
        };
        match verify::broken_promises(plan, &now).as_slice() {
            [] => Ok(Applied { now, marks: intent.marks }),
            broken => {
                let failure = Failure { what: broken.join("; "), still_waiting: false };
                Err(self.take_back(plan, &failure, deadline))
            }
        }
    }

    /// The steps, in order, to the first that fails: how many were begun, and how the last of them failed. `intent` is
    /// what the journal holds: what they take or make is noted there.
    fn run(
        &self,
        intent: &mut Plan,
        (purpose, steps): (&str, &[Step]),
        deadline: Duration,
    ) -> Result<(), (usize, Failure)> {
        let (gpu, count) = (intent.gpu, steps.len());
        for (index, step) in steps.iter().enumerate() {
            tracing::debug!(%gpu, step = explain::sentence(step), "step");
            self.mark_before(intent, step).map_err(|failure| (index, failure))?;
            let under_way = self.progress.begin(Working {
                gpu,
                purpose: purpose.to_owned(),
                step: explain::sentence(step),
                number: index + 1,
                count,
                since: Instant::now(),
            });
            let (done, took) = self.lending(|| {
                let began = Instant::now();
                let done = self.host.perform(step, deadline);
                drop(under_way);
                (done, began.elapsed())
            });
            self.note_pace(step, took);
            self.mark_after(intent, step, &done).map_err(|failure| (index + 1, failure))?;
            match (step, done) {
                (_, Ok(_)) => {}
                // The card is as wanted: that somebody else's service is down is told, and no reason to undo it.
                (Step::StartService { unit, .. }, Err(error @ StepError::Refused { .. })) => {
                    tracing::warn!(%gpu, %unit, error = chain(&error), "a service did not start again");
                }
                (_, Err(error)) => {
                    let what = format!("cannot {}: {}", explain::sentence(step), chain(&error));
                    let still_waiting = matches!(error, StepError::StillWaiting { .. });
                    if still_waiting {
                        self.give_up(gpu);
                    }
                    // What was not written is not to be taken back: what is there is somebody else's.
                    let begun =
                        if matches!(error, StepError::NotAsPlanned { .. }) { index } else { index + 1 };
                    return Err((begun, Failure { what, still_waiting }));
                }
            }
        }
        Ok(())
    }

    /// How long drivers take is what waiting starts are put together by.
    fn note_pace(&self, step: &Step, took: Duration) {
        match step {
            Step::CreateMdev { .. } => self.creations.note(took),
            Step::SetVgpuType { to, .. } if *to != 0 => self.creations.note(took),
            Step::RemoveMdev { .. } | Step::SetVgpuType { .. } => self.removals.note(took),
            _ => {}
        }
    }

    /// Undoes what a failed plan did, by a plan from what is now to how things were.
    pub(crate) fn take_back(&self, plan: &Plan, failure: &Failure, deadline: Duration) -> EngineError {
        let what = format!("{} failed: {}", plan.purpose, failure.what);
        let now = if failure.still_waiting {
            // The kernel holds the device's lock for as long as that write waits: any further write would hang too.
            hands_off(plan, "a write still waits in the kernel")
        } else {
            match self.undo(plan, deadline) {
                Ok(lost) if lost.is_empty() => "everything is as it was before".to_owned(),
                Ok(lost) => format!("everything is as it was before, but {}", lost.join("; ")),
                Err(why) => hands_off(plan, &why),
            }
        };
        tracing::warn!(gpu = %plan.gpu, what, now, "change failed");
        EngineError::Failed { what, now }
    }

    /// The way back, verified; the journal is closed when it succeeded. What somebody has set otherwise since is returned.
    ///
    /// # Errors
    /// Why it did not succeed, in words. The journal is open still.
    pub(crate) fn undo(&self, plan: &Plan, deadline: Duration) -> Result<Vec<String>, String> {
        let plan = &self.with_marks(plan).map_err(|error| chain(&error))?;
        // Holders too: the way back must not be taken from under anybody.
        // Starts wait from here on: what nobody has when it is looked at, nobody has when it is written to.
        let _changing = self.starts.begin_change(plan.gpu, &[]).map_err(|vm| format!("VM {vm} has it"))?;
        let now = self.observe_with_instances(plan, deadline, || self.host.observe());
        let now = now.map_err(|error| chain(&error))?;
        let back = undo::plan(plan, &now);
        if let Some(holder) = held(&back, &now) {
            return Err(format!("it is held by {holder}"));
        }
        let taken = now.gpus.get(&plan.gpu).map(|gpu| taken(&back, gpu)).unwrap_or_default();
        if let Some(vm) = self.starts.who_has(&taken) {
            return Err(format!("it is held by VM {vm}, which has just started"));
        }
        if let Some(violation) = self.not_undoable(plan, &back, &now) {
            return Err(violation);
        }
        if let Some(other) = self.services_of_another(&back) {
            return Err(format!("{}, and has stopped services", self.what_is_done_to(other)));
        }
        let mut intent = plan.clone();
        tell(&back.purpose, back.gpu, &back.steps);
        self.mark_stopped(&mut intent, &back).map_err(|failure| failure.what)?;
        if let Err((_, failure)) = self.run(&mut intent, (&back.purpose, &back.steps), deadline) {
            self.lasting_overrides(&back, &failure, deadline);
            return Err(failure.what);
        }
        let after = self.observe_for(plan, deadline).map_err(|error| chain(&error))?;
        match verify::broken_promises(&back, &after).as_slice() {
            [] => {
                let noted = Plan { marks: intent.marks.and(&plan.marks), ..intent };
                self.settle_undone(&noted, &now, &after).map_err(|error| chain(&error))?;
                Ok(power_control::not_kept(&back, &after))
            }
            broken => Err(broken.join("; ")),
        }
    }
}

impl Engine {
    /// Another GPU under change for which services are stopped that this plan counts on not to run, or stops too: the
    /// other's end would start them below it. Where there is none, what this one stops is noted.
    fn services_of_another(&self, plan: &Plan) -> Option<PciAddress> {
        let stops = |step: &Step| matches!(step, Step::StopService { .. });
        let alone = |step: &Step| {
            let locks = matches!(step, Step::SetUnbindLock { to: UnbindLock::Taken, .. });
            locks || matches!(step, Step::CycleVfs { .. } | Step::SetMigMode { .. })
        };
        let stops = plan.steps.iter().any(stops);
        let counts = stops || plan.steps.iter().any(alone);
        let other = self.starts.stopped_for_another(plan.gpu).filter(|_| counts);
        if other.is_none() && stops {
            self.starts.stop_services(plan.gpu);
        }
        other
    }

    /// Forgets the journal of what was taken back; what was made again may have another number.
    fn settle_undone(&self, plan: &Plan, before: &Observed, after: &Observed) -> Result<(), PortError> {
        if !plan.before.mig.is_empty() {
            let (desired, records) = self.store.load()?;
            if let Some(records) = renumbered(&records, (before, after), &plan.marks) {
                self.store.commit(&desired, &records)?;
            }
        }
        self.store.close_journal(plan)
    }

    /// Why the way back can't be taken: it breaks an invariant, or would leave out what is there and no part of a GPU
    /// any more.
    fn not_undoable(&self, plan: &Plan, back: &Plan, now: &Observed) -> Option<String> {
        let unseen = plan.before.bindings.keys().find(|function| !now.functions.contains_key(function));
        if let Some(function) = unseen.filter(|function| self.host.is_present(**function)) {
            return Some(format!(
                "{function} is there, and no part of a GPU any more (gpu.extra in gpuvirtd.toml?)"
            ));
        }
        let parents: Vec<PciAddress> = plan.steps.iter().filter_map(Step::function).collect();
        let gpu = now.gpus.get(&plan.gpu)?;
        audit::violations(back, gpu, &parents).into_iter().next()
    }

    /// After a way back that failed half-way, no override that only a probe needed stays behind.
    fn lasting_overrides(&self, back: &Plan, failure: &Failure, deadline: Duration) {
        if failure.still_waiting {
            return;
        }
        let lasting = |step: &Step| matches!(step, Step::SetOverride { .. } | Step::SetPowerControl { .. });
        let last = back.steps.iter().rposition(|step| !lasting(step));
        for step in back.steps.iter().skip(last.map_or(0, |last| last + 1)) {
            if let Err(error) = self.lending(|| self.host.perform(step, deadline)) {
                tracing::warn!(gpu = %back.gpu, error = chain(&error), step = explain::sentence(step), "not done");
            }
        }
    }
}

/// Who holds a device that the way back would take: a write there would hang, or harm a running VM.
fn held(back: &Plan, now: &Observed) -> Option<String> {
    let stopped = vendor::stopped_processes(back, now);
    let matters = |holder: &&Holder| match holder {
        Holder::Process { pid, .. } => !stopped.contains(pid),
        Holder::Console { .. } => false,
        Holder::DrmClient { .. }
        | Holder::Sound { .. }
        | Holder::UsbDevice { .. }
        | Holder::Domain { .. } => true,
    };
    if let Some(lost) = lost_with_vfs(back, now) {
        return Some(lost);
    }
    let of_gpu = || now.gpus.get(&back.gpu).into_iter().flat_map(|gpu| &gpu.holders.seen);
    let removed = back.steps.iter().filter_map(|step| match step {
        Step::RemoveMdev { uuid, .. } => now.vgpus.get(&VgpuId::Mdev(*uuid)),
        Step::SetVgpuType { vf, to: 0, .. } | Step::Unbind { function: vf, .. } => {
            now.vgpus.get(&VgpuId::Vf(*vf))
        }
        _ => None,
    });
    let unbound = back.unbinds().next().is_some().then(of_gpu).into_iter().flatten();
    let holder = unbound.chain(removed.flat_map(|vgpu| &vgpu.holders.seen)).find(matters);
    holder.map(ToString::to_string)
}

/// What uses virtual functions that the way back would take: a vGPU that it does not itself remove, which somebody made
/// there, or a driver that somebody bound one to.
fn lost_with_vfs(back: &Plan, now: &Observed) -> Option<String> {
    let gpu = now.gpus.get(&back.gpu).filter(|_| sriov::takes_vfs(back))?;
    let removes = |id: VgpuId| {
        back.steps.iter().any(|step| match step {
            Step::RemoveMdev { uuid, .. } => id == VgpuId::Mdev(*uuid),
            Step::SetVgpuType { vf, to: 0, .. } => id == VgpuId::Vf(*vf),
            _ => false,
        })
    };
    let is_vf = |address| now.functions.get(address).is_some_and(|function| function.physfn.is_some());
    let vgpu = now.vgpus_of(gpu).find(|vgpu| is_vf(&vgpu.parent) && !removes(vgpu.id));
    let vgpu = vgpu.map(|vgpu| format!("the vGPU {}", vgpu.id));
    vgpu.or_else(|| {
        let vf = sriov::bound_by_others(gpu, now).next()?;
        Some(format!("the driver {}, to which somebody bound {}", vf.binding.driver.as_ref()?, vf.address))
    })
}

/// The devices that a plan takes from whoever has them.
fn taken(plan: &Plan, gpu: &Gpu) -> Vec<Hostdev> {
    let pci = |address: PciAddress| Hostdev::Pci { address, managed: false };
    let of_step = |step: &Step| match step {
        Step::Unbind { function, .. } | Step::SetVgpuType { vf: function, to: 0, .. } => vec![pci(*function)],
        Step::RemoveMdev { uuid, .. } => vec![Hostdev::Mdev { uuid: *uuid }],
        // Every virtual function goes, and what lives on them.
        Step::SetVfCount { .. } | Step::CycleVfs { .. } => {
            gpu.profiles.iter().map(|offer| pci(offer.parent)).collect()
        }
        _ => Vec::new(),
    };
    plan.steps.iter().flat_map(of_step).collect()
}

/// A VM began to start with it after the checks.
fn started_meanwhile(plan: &Plan, vm: &str) -> EngineError {
    EngineError::Refused(vec![Refusal {
        code: RefusalCode::DomainRunning,
        summary: format!("{} cannot be changed", plan.gpu),
        because: format!("VM {vm} has just started with it ({})", plan.purpose),
        remedy: vec!["shut that VM down first".to_owned()],
    }])
}

/// A plan that was carried out and kept its promises.
pub(crate) struct Applied {
    /// The host as it is now.
    pub(crate) now: Observed,
    /// What it took and made.
    pub(crate) marks: Marks,
}

/// A step or its verification failed.
pub(crate) struct Failure {
    pub(crate) what: String,
    /// A write has not ended: the device must be left alone.
    pub(crate) still_waiting: bool,
}

impl Failure {
    pub(crate) fn of(doing: &str, error: &dyn Error) -> Self {
        Self { what: format!("{doing}: {}", chain(error)), still_waiting: false }
    }
}

fn hands_off(plan: &Plan, why: &str) -> String {
    format!("it could not be undone ({why}), so {} is hands-off until `gpuvirt recover`", plan.gpu)
}
