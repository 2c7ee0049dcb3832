//! `config apply`: a whole document made so. Everything that is in the way of any GPU is found before the first write;
//! then each GPU is a change of its own, and one that fails stops no other.

use std::collections::BTreeSet;
use std::time::Duration;

use gpuvirt_model::{
    Configuration, ConfiguredType, Desired, DesiredGpu, DesiredHost, DesiredVgpu, Outcome, PciAddress,
    Refusal, VgpuId, VgpuRecord, When,
};
use gpuvirt_plan::config::{Difference, Unnamed, Wanted, export, gpu_differences, host_differences, wanted};
use gpuvirt_plan::pending_reason;

use crate::host::{affects_others, followers};
use crate::{Engine, EngineError, Preparation, Removal, RemoveRequest, Report, SwitchRequest, View, Wish};

/// `config apply` and `config diff`.
#[derive(Debug, Clone)]
pub struct ConfigRequest {
    /// The document.
    pub config: Configuration,
    /// What becomes of managed GPUs that it does not name.
    pub unnamed: Unnamed,
    /// How far to go.
    pub until: Until,
    /// GPUs that follow the default type are changed with it.
    pub yes: bool,
    /// vGPUs of the document that live already and that somebody else made.
    pub strangers: Strangers,
    /// Longest wait for one write that can block.
    pub deadline: Duration,
}

/// How far a document is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// What it would change of what is stored.
    Differences,
    /// The plans too, and whatever is in their way.
    Plans,
    /// All of it.
    Done,
}

/// What becomes of vGPUs that the document names and that others made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strangers {
    /// They are in the way: what we did not make we don't take.
    Left,
    /// From now on they are ours, where GPU and profile are those of the document. The host is not changed for it.
    Adopted,
}

/// What a document changed, or would change.
#[derive(Debug)]
pub struct ConfigReport {
    /// Of the host's defaults.
    pub host: Vec<Difference>,
    /// Of each GPU that it means or affects, by address.
    pub gpus: Vec<GpuReport>,
}

/// What a document changed of one GPU.
#[derive(Debug)]
pub struct GpuReport {
    /// The GPU.
    pub address: PciAddress,
    /// What is stored differently.
    pub differences: Vec<Difference>,
    /// What was done, or why not.
    pub result: Result<Report, EngineError>,
}

impl Engine {
    /// What is configured, as a document.
    ///
    /// # Errors
    /// [`EngineError::Port`].
    pub fn export_config(&self) -> Result<Configuration, EngineError> {
        Ok(export(&self.store.load()?.0))
    }

    /// Makes the host what a document says. GPUs that it doesn't name are left alone, or forgotten if that was asked.
    ///
    /// # Errors
    /// [`EngineError::Refused`] with every reason of every GPU, nothing written. What fails later is in the report.
    pub fn apply_config(&self, request: &ConfigRequest) -> Result<ConfigReport, EngineError> {
        let view = self.view()?;
        let wanted = wanted(&request.config, &view.observed, &view.desired, request.unnamed)
            .map_err(EngineError::Refused)?;
        let host = host_differences(&wanted.host, &view.desired.host);
        let plans = match request.until {
            Until::Differences => return Ok(ConfigReport { host, gpus: compared(&wanted, &view.desired) }),
            Until::Plans | Until::Done => self.plans(&wanted, &view, request)?,
        };
        if request.until == Until::Plans {
            return Ok(ConfigReport { host, gpus: plans });
        }
        if !host.is_empty() {
            self.store_host(&wanted.host)?;
        }
        let differences = plans.into_iter().map(|plan| (plan.address, plan.differences));
        let done = differences.map(|(address, differences)| {
            let result = match wanted.gpus.get(&address) {
                Some(entry) => self.lead(entry, Goal { dry_run: false, ..goal_of(request) }),
                None => self.unset(address),
            };
            GpuReport { address, differences, result }
        });
        Ok(ConfigReport { host, gpus: done.collect() })
    }

    /// A dry run of each GPU; all refusals of all of them, if there is any.
    fn plans(
        &self,
        wanted: &Wanted,
        view: &View,
        request: &ConfigRequest,
    ) -> Result<Vec<GpuReport>, EngineError> {
        let goal = Goal { dry_run: true, ..goal_of(request) };
        let named = wanted.gpus.iter().map(|(address, entry)| {
            let result = self.hands_on(*address).and_then(|()| {
                let mut view = view.clone();
                view.desired.host = wanted.host.clone();
                self.lead_from(view, entry, goal)
            });
            GpuReport {
                address: *address,
                differences: gpu_differences(entry, view.desired.gpu(*address)),
                result,
            }
        });
        let forgotten = wanted.forgotten.iter().map(|address| GpuReport {
            address: *address,
            differences: unmanaged(),
            result: self.forgettable(*address, view),
        });
        let (mut gpus, mut refusals) = (Vec::new(), Vec::new());
        refusals.extend((!request.yes).then(|| follows(wanted, view)).flatten());
        for gpu in named.chain(forgotten) {
            match gpu.result {
                Err(EngineError::Refused(more)) => refusals.extend(more),
                Err(error) => return Err(error),
                Ok(_) => gpus.push(gpu),
            }
        }
        gpus.sort_by_key(|gpu| gpu.address);
        if refusals.is_empty() { Ok(gpus) } else { Err(EngineError::Refused(refusals)) }
    }

    /// Stores the host's defaults as they are wanted, whatever else has changed meanwhile.
    fn store_host(&self, wanted: &DesiredHost) -> Result<(), EngineError> {
        let _turn = self.begin();
        let (stored, records) = self.store.load()?;
        let host = DesiredHost { maintenance: stored.host.maintenance, ..wanted.clone() };
        let next = Desired { host, generation: stored.generation.saturating_add(1), ..stored };
        Ok(self.store.commit(&next, &records)?)
    }

    /// One GPU, in a turn of its own and on a fresh picture: the checks are made again.
    fn lead(&self, entry: &DesiredGpu, goal: Goal) -> Result<Report, EngineError> {
        let turn = self.begin();
        self.hands_on(entry.address)?;
        let view = turn.view()?;
        // Whether it is cordoned is not the document's affair, and may have changed since it was compared.
        let stored = view.desired.gpu(entry.address);
        let entry = DesiredGpu { cordoned: stored.is_some_and(|stored| stored.cordoned), ..entry.clone() };
        self.lead_from(view, &entry, goal)
    }

    /// vGPUs that are no longer wanted go, then the GPU becomes what it is to be, then new vGPUs are made: each a change
    /// of its own.
    fn lead_from(&self, mut view: View, entry: &DesiredGpu, goal: Goal) -> Result<Report, EngineError> {
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
            if !goal.dry_run {
                view = self.view_of(view.observed.domains.clone())?;
            }
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
        let report = self.set_type_in(&request, staged.clone())?;
        if report.outcome.is_changed() || !new {
            return Ok(report);
        }
        if !goal.dry_run {
            self.store.commit(&staged.desired, &view.records)?;
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

    /// Whether a GPU can become unmanaged, as [`Engine::unset`] would find.
    fn forgettable(&self, address: PciAddress, view: &View) -> Result<Report, EngineError> {
        self.hands_on(address)?;
        match crate::unset::vgpus_of_ours(view, address) {
            Some(refusal) => Err(EngineError::Refused(vec![refusal])),
            None => Ok(Report::changed(format!("{address} would become unmanaged"))),
        }
    }
}

/// How one GPU's entry is carried out.
#[derive(Debug, Clone, Copy)]
struct Goal {
    dry_run: bool,
    deadline: Duration,
    strangers: Strangers,
}

fn goal_of(request: &ConfigRequest) -> Goal {
    Goal { dry_run: false, deadline: request.deadline, strangers: request.strangers }
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

/// The refusal that lists those who follow the default type to another one: stored as followers, and not meant to be
/// anything else by the document.
fn follows(wanted: &Wanted, view: &View) -> Option<Refusal> {
    let stays = |gpu: &&DesiredGpu| {
        let said = wanted.gpus.get(&gpu.address);
        !wanted.forgotten.contains(&gpu.address)
            && said.is_none_or(|said| said.graphics_type == ConfiguredType::Default)
    };
    let after = view.desired.with_host(wanted.host.clone());
    let followers: Vec<DesiredGpu> = followers(&view.desired, &after).filter(stays).cloned().collect();
    affects_others(&wanted.host, &followers)
}

/// The picture with the entry stored, so that a switch finds label, counts and modes as they are to be.
fn staged(view: &View, entry: &DesiredGpu) -> View {
    let mut view = view.clone();
    if view.desired.gpu(entry.address) != Some(entry) {
        view.desired = view.desired.with_gpu(entry.clone());
    }
    view
}

/// What a document would store, the host not looked at.
fn compared(wanted: &Wanted, stored: &Desired) -> Vec<GpuReport> {
    let named = wanted.gpus.iter().map(|(address, entry)| {
        let differences = gpu_differences(entry, stored.gpu(*address));
        let report = match differences.is_empty() {
            true => Report::unchanged(format!("{address} is configured so")),
            false => Report::changed(format!("{address} would be configured so")),
        };
        GpuReport { address: *address, differences, result: Ok(report) }
    });
    let forgotten = wanted.forgotten.iter().map(|address| GpuReport {
        address: *address,
        differences: unmanaged(),
        result: Ok(Report::changed(format!("{address} would become unmanaged"))),
    });
    let mut all: Vec<GpuReport> = named.chain(forgotten).collect();
    all.sort_by_key(|gpu| gpu.address);
    all
}

fn unmanaged() -> Vec<Difference> {
    vec![Difference { field: "managed".to_owned(), from: "true".to_owned(), to: "false".to_owned() }]
}
