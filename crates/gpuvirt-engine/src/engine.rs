//! The engine: requests in, reports out. One change at a time, but for those that wait for a write.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use gpuvirt_model::{
    ConfiguredType, Desired, Gpu, Observed, Outcome, PciAddress, ProfileName, Records, Refusal, RefusalCode,
    VgpuId, VgpuMode, Warning, When,
};
use gpuvirt_plan::Plan;
use gpuvirt_plan::placement::{Assignment, Choice};
use gpuvirt_plan::profile::remember_names;
use gpuvirt_plan::running::RunningVm;
use gpuvirt_plan::wish::Wish;
use uuid::Uuid;

use crate::lock::Lock;
use crate::pace::Pace;
use crate::ports::{Asker, Domains, Host, PortError, Store};
use crate::progress::{Progress, Working};
use crate::starts::Starts;
use crate::together::Waiting;
use crate::turn::LENT_AFTER;
use crate::under_change::PATIENCE;

/// The engine over its three outside worlds.
pub struct Engine {
    pub(crate) host: Box<dyn Host>,
    pub(crate) domains: Box<dyn Domains>,
    pub(crate) store: Box<dyn Store>,
    /// One admin's change at a time: may be held while libvirt is asked.
    pub(crate) orders: Lock,
    /// One change of the host and of our documents at a time: never held while libvirt is asked.
    pub(crate) host_lock: Lock,
    /// Which VMs start and run, as hooks tell it.
    pub(crate) starts: Starts,
    /// Starts that wait for the host.
    pub(crate) waiting_starts: Waiting,
    /// How long a vGPU takes to be made.
    pub(crate) creations: Pace,
    /// And to be removed.
    pub(crate) removals: Pace,
    /// The steps that are under way.
    pub(crate) progress: Progress,
    /// How long a step may take before another change of its card is refused instead of waiting.
    pub(crate) patience: Duration,
    /// How long a change may take before others have their turn in the midst of it.
    pub(crate) lent_after: Duration,
    /// GPUs with a write that was given up and has not been asked for since.
    pub(crate) given_up: Mutex<BTreeSet<PciAddress>>,
    /// Cards that were lent to VMs and could not be given back, with the reason.
    pub(crate) kept_cards: Mutex<BTreeMap<PciAddress, String>>,
}

/// Everything that a listing is made from.
#[derive(Debug, Clone)]
pub struct View {
    /// The host, domains joined.
    pub observed: Observed,
    /// What the admin asked for.
    pub desired: Desired,
    /// What we made.
    pub records: Records,
}

impl View {
    /// A GPU that was found in it.
    pub(crate) fn gpu(&self, address: PciAddress) -> Result<&Gpu, EngineError> {
        let gone = || EngineError::Bug(format!("{address} is gone from its own picture"));
        self.observed.gpus.get(&address).ok_or_else(gone)
    }
}

/// `gpu set`.
#[derive(Debug, Clone)]
pub struct SwitchRequest {
    /// The GPU.
    pub gpu: PciAddress,
    /// The type to become.
    pub to: ConfiguredType,
    /// How a card that becomes shared-direct is prepared.
    pub prepare: Preparation,
    /// A new label; none leaves the present one, an empty one takes it away.
    pub label: Option<String>,
    /// Refusals that the admin accepts.
    pub accept: Vec<RefusalCode>,
    /// When it comes into force; none: as stored.
    pub when: Option<When>,
    /// Plan only.
    pub dry_run: bool,
    /// Longest wait for one write that can block.
    pub deadline: Duration,
}

/// How a card is prepared for vGPUs; what is left open stays as it was asked for before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Preparation {
    /// Which profiles may live together on it.
    pub vgpu_mode: Option<VgpuMode>,
    /// How many virtual functions it gets.
    pub vf_count: Option<u16>,
}

/// `vgpu create`: one change, however many.
#[derive(Debug, Clone)]
pub struct CreateRequest {
    /// The GPU; none: the one that placement chooses.
    pub gpu: Option<PciAddress>,
    /// The vGPUs, with the uuids of those that are mediated devices: chosen by whoever asks, so that decisions stay
    /// reproducible.
    pub wishes: Vec<Wish>,
    /// Plan only.
    pub dry_run: bool,
}

/// `vgpu remove`: one change, however many.
#[derive(Debug, Clone)]
pub struct RemoveRequest {
    /// Which.
    pub which: Removal,
    /// Plan only.
    pub dry_run: bool,
    /// Longest wait for one write that can block.
    pub deadline: Duration,
}

/// The vGPUs that are to be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    /// These, all of one GPU.
    These(Vec<VgpuId>),
    /// Every one that we made on this GPU.
    AllOf(PciAddress),
}

impl CreateRequest {
    /// One vGPU that the admin wants.
    pub fn one(gpu: PciAddress, profile: ProfileName, uuid: Uuid) -> Self {
        Self { gpu: Some(gpu), wishes: vec![Wish::new(uuid.into(), profile)], dry_run: false }
    }
}

/// `mig create`.
#[derive(Debug, Clone)]
pub struct CreateGpuInstances {
    /// The GPU.
    pub gpu: PciAddress,
    /// The profile of GPU instances.
    pub profile: String,
    /// How many.
    pub count: u32,
    /// Plan only.
    pub dry_run: bool,
    /// What whoever asks comes back with, where the answer was lost.
    pub key: Option<Uuid>,
}

/// `mig remove`.
#[derive(Debug, Clone)]
pub struct RemoveGpuInstances {
    /// The GPU.
    pub gpu: PciAddress,
    /// Which one; none: all that are ours.
    pub id: Option<u32>,
    /// Plan only.
    pub dry_run: bool,
    /// Longest wait for each removal.
    pub deadline: Duration,
}

/// A device of a domain, as an edit names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceRequest {
    /// A whole GPU.
    Gpu(PciAddress),
    /// A vGPU.
    Vgpu(VgpuId),
}

impl std::fmt::Display for DeviceRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Gpu(address) => write!(f, "the GPU {address}"),
            Self::Vgpu(id) => write!(f, "the vGPU {id}"),
        }
    }
}

/// What a request did, or would do.
#[derive(Debug, Clone)]
pub struct Report {
    /// Changed or found as asked, with the sentence that says so.
    pub outcome: Outcome<String>,
    /// The plan; none when nothing had to be written to the host.
    pub plan: Option<Plan>,
    /// What must be known besides.
    pub warnings: Vec<Warning>,
    /// Accepted and not in force yet, with the reason.
    pub pending: Option<String>,
    /// The vGPUs that were or would be made or removed.
    pub vgpus: Vec<VgpuId>,
    /// The XML that an edit added or removed.
    pub xml: Option<String>,
    /// Where a vGPU was or would be placed, and why there.
    pub placement: Option<Choice>,
    /// What each request of a VM got or would get.
    pub assignments: Vec<Assignment>,
    /// The VMs that still run where nothing more is placed.
    pub still_running: Vec<RunningVm>,
}

/// Why a request did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// We will not; nothing was written.
    #[error("refused")]
    Refused(Vec<Refusal>),
    /// We tried; `now` says what is true now.
    #[error("{what}; {now}")]
    Failed {
        /// What failed, with object and cause.
        what: String,
        /// What is true now: undone, or left how.
        now: String,
    },
    /// An outside world failed before anything was written.
    #[error(transparent)]
    Port(#[from] PortError),
    /// A plan broke an invariant: our fault, nothing was written.
    #[error("the plan breaks an invariant: {0}")]
    Bug(String),
}

impl Report {
    /// Something was or would be changed.
    pub fn changed(sentence: String) -> Self {
        Self::of(Outcome::Changed(sentence))
    }

    /// Two changes of one GPU, this one first: what both did, and what is true after the second.
    pub(crate) fn and(self, next: Self) -> Self {
        let outcome = match (self.outcome.is_changed(), next.outcome.is_changed()) {
            (true, true) => Outcome::Changed(format!("{}; {}", self.outcome.value(), next.outcome.value())),
            (true, false) => self.outcome,
            (false, _) => next.outcome,
        };
        let plan = match (self.plan, next.plan) {
            (Some(mut plan), Some(more)) => {
                plan.steps.extend(more.steps);
                Some(plan)
            }
            (one, None) | (None, one) => one,
        };
        Self {
            outcome,
            plan,
            warnings: [self.warnings, next.warnings].concat(),
            pending: self.pending.or(next.pending),
            vgpus: [self.vgpus, next.vgpus].concat(),
            xml: self.xml.or(next.xml),
            placement: self.placement.or(next.placement),
            assignments: [self.assignments, next.assignments].concat(),
            still_running: [self.still_running, next.still_running].concat(),
        }
    }

    /// Nothing had to be changed.
    pub fn unchanged(sentence: String) -> Self {
        Self::of(Outcome::Unchanged(sentence))
    }

    fn of(outcome: Outcome<String>) -> Self {
        Self {
            outcome,
            plan: None,
            warnings: Vec::new(),
            pending: None,
            vgpus: Vec::new(),
            xml: None,
            placement: None,
            assignments: Vec::new(),
            still_running: Vec::new(),
        }
    }
}

impl Engine {
    /// An engine over its outside worlds.
    pub fn new(host: Box<dyn Host>, domains: Box<dyn Domains>, store: Box<dyn Store>) -> Self {
        let (orders, host_lock, starts) = (Lock::default(), Lock::default(), Starts::default());
        let waiting_starts = Waiting::default();
        let (creations, removals) = (Pace::default(), Pace::default());
        let progress = Progress::default();
        Self {
            host,
            domains,
            store,
            orders,
            host_lock,
            starts,
            waiting_starts,
            creations,
            removals,
            progress,
            patience: PATIENCE,
            lent_after: LENT_AFTER,
            given_up: Mutex::default(),
            kept_cards: Mutex::default(),
        }
    }

    pub(crate) fn give_up(&self, gpu: PciAddress) {
        self.given_up.lock().unwrap_or_else(PoisonError::into_inner).insert(gpu);
    }

    /// The steps that are under way, the oldest first, for whoever waits for one.
    pub fn working(&self) -> Vec<Working> {
        self.progress.now()
    }

    /// The GPUs of which a write was given up since this was asked last, because the kernel kept it waiting, or whose change
    /// could not be taken back for one. That it ends, nobody tells, and it may have ended since.
    pub fn take_given_up(&self) -> BTreeSet<PciAddress> {
        std::mem::take(&mut *self.given_up.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The GPUs that changes are at just now, their ways back included. A step is under way in most of that time, not all.
    pub fn changing(&self) -> BTreeSet<PciAddress> {
        self.starts.changing()
    }

    /// A fresh picture for listings. Within a change, the turn has its own.
    ///
    /// # Errors
    /// [`EngineError::Port`].
    pub fn view(&self) -> Result<View, EngineError> {
        self.view_for(Asker::Somebody)
    }

    /// The same for whoever asks; domains are unknown where libvirt does not tell them then.
    ///
    /// # Errors
    /// [`EngineError::Port`].
    pub fn view_for(&self, asker: Asker) -> Result<View, EngineError> {
        self.store.load()?;
        self.view_while(asker)
    }

    /// A fresh picture of what the kernel shows, domains unknown: libvirt is not asked.
    ///
    /// # Errors
    /// [`EngineError::Port`].
    pub(crate) fn kernel_view(&self) -> Result<View, EngineError> {
        self.view_by(|host| host.observe())
    }

    pub(crate) fn view_by(
        &self,
        observe: impl FnOnce(&dyn Host) -> Result<Observed, PortError>,
    ) -> Result<View, EngineError> {
        let (desired, records) = self.store.load()?;
        let mut observed = observe(&*self.host)?;
        let records = records.of_boot(observed.host.boot_id);
        remember_names(&mut observed, &records);
        Ok(View { observed, desired, records })
    }
}
