//! One GPU's entry of a document carried out, as a change of its own.

use std::collections::BTreeSet;
use std::time::Duration;

use gpuvirt_model::{DesiredGpu, DesiredVgpu, Outcome, PciAddress, VgpuId, VgpuRecord, When};
use gpuvirt_plan::pending_reason;

use super::request::{ConfigRequest, Strangers};
use crate::{Engine, EngineError, Preparation, Removal, RemoveRequest, Report, SwitchRequest, View, Wish};

/// How one GPU's entry is carried out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Goal {
    /// Only what would be done.
    pub(super) dry_run: bool,
    /// Longest wait for one write that can block.
    pub(super) deadline: Duration,
    /// vGPUs that others made.
    pub(super) strangers: Strangers,
}

pub(super) fn goal_of(request: &ConfigRequest) -> Goal {
    Goal { dry_run: false, deadline: request.deadline, strangers: request.strangers }
}

impl Engine {
    /// One GPU, in a turn of its own and on a fresh picture: the checks are made again.
    pub(super) fn lead(&self, entry: &DesiredGpu, goal: Goal) -> Result<Report, EngineError> {
        let turn = self.turn_at(entry.address, false);
        self.hands_on(entry.address)?;
        let view = turn.view()?;
        // Whether it is cordoned is not the document's affair, and may have changed since it was compared.
        let stored = view.desired.gpu(entry.address);
        let entry = DesiredGpu { cordoned: stored.is_some_and(|stored| stored.cordoned), ..entry.clone() };
        self.lead_from(view, &entry, goal)
    }

    /// vGPUs that are no longer wanted go, then the GPU becomes what it is to be, then new vGPUs are made: each a change
    /// of its own.
    pub(super) fn lead_from(
        &self,
        mut view: View,
        entry: &DesiredGpu,
        goal: Goal,
    ) -> Result<Report, EngineError> {
        let entry = &asked_in(entry, &view);
        let address = entry.address;
        let stored = view.desired.gpu(address).map(|stored| stored.vgpus.clone()).unwrap_or_default();
        let is_wanted = |vgpu: &DesiredVgpu| entry.vgpus.iter().any(|wanted| wanted.id == vgpu.id);
        let (kept, gone): (Vec<DesiredVgpu>, Vec<DesiredVgpu>) = stored.into_iter().partition(is_wanted);
        let mut before = None;
        if !gone.is_empty() {
            let ids: BTreeSet<VgpuId> = gone.iter().map(|vgpu| vgpu.id).collect();
            let which = Removal::These(ids.iter().copied().collect());
            let removal = RemoveRequest { which, dry_run: goal.dry_run, deadline: goal.deadline };
            before = Some(self.unmake(&view, &ids, Vec::new(), &removal)?);
            view = match goal.dry_run {
                true => without(view, &ids),
                false => self.view_of(view.observed.domains.clone())?,
            };
        }
        let without_new = DesiredGpu { vgpus: kept, ..entry.clone() };
        let reached = self.reach(&without_new, &view, goal)?;
        let wishes: Vec<Wish> = entry.vgpus.iter().map(Wish::lasting).collect();
        let made = self.make_if_ready(&without_new, &wishes, (&view, &reached), goal)?;
        let all = [before, Some(reached), made].into_iter().flatten().reduce(Report::and);
        all.ok_or_else(|| EngineError::Bug(format!("nothing was done to {address}")))
    }

    /// New vGPUs, where the GPU is ready for them. In a dry run it may not be yet: then nobody can tell what will fit.
    fn make_if_ready(
        &self,
        entry: &DesiredGpu,
        wishes: &[Wish],
        (view, reached): (&View, &Report),
        goal: Goal,
    ) -> Result<Option<Report>, EngineError> {
        let switches = reached.plan.as_ref().is_some_and(|plan| !plan.is_empty());
        let later = entry.when != When::Now || reached.pending.is_some() || (goal.dry_run && switches);
        if wishes.is_empty() || later {
            return Ok(None);
        }
        let domains = || view.observed.domains.clone();
        let mut view = if goal.dry_run { staged(view, entry) } else { self.view_of(domains())? };
        if goal.strangers == Strangers::Adopted {
            self.adopt(&mut view, entry.address, wishes, goal.dry_run)?;
        }
        let gpu = self.changeable(&view, entry.address)?;
        self.make(&view, gpu, wishes, goal.dry_run).map(Some)
    }

    /// vGPUs that others made and that are as the document has them become ours: a record of each, and nothing else.
    fn adopt(
        &self,
        view: &mut View,
        gpu: PciAddress,
        wishes: &[Wish],
        dry_run: bool,
    ) -> Result<(), EngineError> {
        let boot = view.observed.host.boot_id;
        let strangers =
            wishes.iter().filter_map(|wish| view.observed.vgpus.get(&wish.id).map(|found| (wish, found)));
        let adopted: Vec<(VgpuId, VgpuRecord)> = strangers
            .filter(|(wish, found)| {
                found.gpu == gpu
                    && found.profile == wish.profile
                    && !found.removing
                    && !view.records.vgpus.contains_key(&found.id)
            })
            .map(|(_, found)| {
                let record = VgpuRecord {
                    parent: found.parent,
                    type_id: found.type_id.clone(),
                    profile: found.profile.clone(),
                    framework: found.framework,
                    boot: found.id.vf().and(boot),
                    domain: None,
                    asked_as: None,
                };
                (found.id, record)
            })
            .collect();
        if adopted.is_empty() {
            return Ok(());
        }
        view.records.vgpus.extend(adopted);
        if dry_run { Ok(()) } else { Ok(self.store.commit(&view.desired, &view.records)?) }
    }

    /// The entry in force, decided on a picture in which it is stored already.
    fn reach(&self, entry: &DesiredGpu, view: &View, goal: Goal) -> Result<Report, EngineError> {
        let staged = staged(view, entry);
        let result = self.reach_staged(entry, view, &staged, goal);
        if goal.dry_run {
            return result;
        }
        if let (Err(EngineError::Failed { .. }), Ok((now, records))) = (&result, self.store.load()) {
            // The way back stores what the change began with: the staged document. What stood before it is meant.
            if now == staged.desired && now != view.desired {
                self.store.commit(&view.desired, &records)?;
            }
        }
        result
    }

    fn reach_staged(
        &self,
        entry: &DesiredGpu,
        view: &View,
        staged: &View,
        goal: Goal,
    ) -> Result<Report, EngineError> {
        let address = entry.address;
        let new = view.desired.gpu(address) != Some(entry);
        if entry.when != When::Now {
            return self.postpone(entry, staged, new, goal);
        }
        let request = SwitchRequest {
            gpu: address,
            to: entry.graphics_type,
            prepare: Preparation { vgpu_mode: entry.vgpu_mode, vf_count: entry.vf_count },
            label: None,
            accept: entry.accepted.clone(),
            when: None,
            dry_run: goal.dry_run,
            deadline: goal.deadline,
        };
        let again = || {
            let mut now = self.view_of(view.observed.domains.clone())?;
            if goal.dry_run {
                // Those that the document wants, which are not stored yet.
                now.desired.host = view.desired.host.clone();
            }
            Ok(self::staged(&now, entry))
        };
        let report = self.set_type_in(&request, staged.clone(), again)?;
        if report.outcome.is_changed() || !new {
            return Ok(report);
        }
        if !goal.dry_run {
            self.store_more(address, view, &staged.desired, &view.records)?;
        }
        let text = format!("{address} is configured as {}; the host needs no change", entry.graphics_type);
        Ok(Report { outcome: Outcome::Changed(text), ..report })
    }

    /// Stores an entry that comes into force later.
    fn postpone(
        &self,
        entry: &DesiredGpu,
        staged: &View,
        new: bool,
        goal: Goal,
    ) -> Result<Report, EngineError> {
        let gpu = self.changeable(staged, entry.address)?;
        let waits = pending_reason(gpu, &staged.observed, &staged.desired).is_some();
        let later = match entry.when {
            When::Now => None,
            When::Idle => Some("it comes into force when nothing is in the way"),
            When::Boot => Some("it comes into force at the next boot"),
            When::Vm => Some("it comes into force when a VM that asks for the card starts"),
        };
        let pending = later.filter(|_| waits).map(str::to_owned);
        let text =
            format!("{} is configured as {} (when: {})", entry.address, entry.graphics_type, entry.when);
        if new && !goal.dry_run {
            self.store.commit(&staged.desired, &staged.records)?;
        }
        let report = if new { Report::changed(text) } else { Report::unchanged(text) };
        Ok(Report { pending, ..report })
    }
}

/// The entry with the boot in which `boot` was asked for first: a later one is meant.
fn asked_in(entry: &DesiredGpu, view: &View) -> DesiredGpu {
    let stored = view.desired.gpu(entry.address);
    let same =
        stored.filter(|stored| stored.when == When::Boot && stored.graphics_type == entry.graphics_type);
    let asked_in = match entry.when {
        When::Boot => same.map_or(view.observed.host.boot_id, |stored| stored.asked_in),
        When::Now | When::Idle | When::Vm => None,
    };
    DesiredGpu { asked_in, ..entry.clone() }
}

/// The picture with the entry stored, so that a switch finds label, counts and modes as they are to be.
fn staged(view: &View, entry: &DesiredGpu) -> View {
    let mut view = view.clone();
    if view.desired.gpu(entry.address) != Some(entry) {
        view.desired = view.desired.with_gpu(entry.clone());
    }
    view
}

/// The picture without vGPUs that would be gone by then, so that what comes after their removal is judged without them.
fn without(mut view: View, ids: &BTreeSet<VgpuId>) -> View {
    view.observed.vgpus.retain(|id, _| !ids.contains(id));
    view.records.vgpus.retain(|id, _| !ids.contains(id));
    view
}
