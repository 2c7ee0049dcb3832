//! The engine: requests in, reports out. One change at a time.

use std::time::Duration;

use gpuvirt_model::{
    ConfiguredType, Desired, Observed, Outcome, PciAddress, ProfileName, Records, Refusal, RefusalCode,
    VgpuId, Warning,
};
use gpuvirt_plan::Plan;
use gpuvirt_plan::vgpu::Wish;
use uuid::Uuid;

use crate::ports::{Domains, Host, PortError, Store};

/// The engine over its three outside worlds.
pub struct Engine {
    pub(crate) host: Box<dyn Host>,
    pub(crate) domains: Box<dyn Domains>,
    pub(crate) store: Box<dyn Store>,
    /// Held by whoever changes the host: one change at a time. Never held across a read for a listing.
    pub(crate) changing: std::sync::Mutex<()>,
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

/// `gpu set`.
#[derive(Debug, Clone)]
pub struct SwitchRequest {
    /// The GPU.
    pub gpu: PciAddress,
    /// The type to become.
    pub to: ConfiguredType,
    /// A new label; none leaves the present one.
    pub label: Option<String>,
    /// Refusals that the admin accepts.
    pub accept: Vec<RefusalCode>,
    /// Plan only.
    pub dry_run: bool,
    /// Longest wait for one write that can block.
    pub deadline: Duration,
}

/// `vgpu create`: one change, however many.
#[derive(Debug, Clone)]
pub struct CreateRequest {
    /// The GPU.
    pub gpu: PciAddress,
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
        Self { gpu, wishes: vec![Wish::new(uuid.into(), profile)], dry_run: false }
    }
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
    pub(crate) fn changed(sentence: String) -> Self {
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
        }
    }

    /// Nothing had to be changed.
    pub(crate) fn unchanged(sentence: String) -> Self {
        Self::of(Outcome::Unchanged(sentence))
    }

    fn of(outcome: Outcome<String>) -> Self {
        Self { outcome, plan: None, warnings: Vec::new(), pending: None, vgpus: Vec::new(), xml: None }
    }
}

impl Engine {
    /// An engine over its outside worlds.
    pub fn new(host: Box<dyn Host>, domains: Box<dyn Domains>, store: Box<dyn Store>) -> Self {
        Self { host, domains, store, changing: std::sync::Mutex::new(()) }
    }

    /// A fresh picture for listings.
    ///
    /// # Errors
    /// [`EngineError::Port`].
    pub fn view(&self) -> Result<View, EngineError> {
        self.view_by(|host| host.observe())
    }

    /// A fresh picture for changes that take nothing from anybody: without holders.
    ///
    /// # Errors
    /// [`EngineError::Port`].
    pub(crate) fn view_without_holders(&self) -> Result<View, EngineError> {
        self.view_by(|host| host.observe_without_holders())
    }

    /// A fresh picture of what the kernel shows, domains unknown: libvirt is not asked.
    ///
    /// # Errors
    /// [`EngineError::Port`].
    pub(crate) fn kernel_view(&self) -> Result<View, EngineError> {
        self.kernel_view_by(|host| host.observe())
    }

    fn view_by(
        &self,
        observe: impl FnOnce(&dyn Host) -> Result<Observed, PortError>,
    ) -> Result<View, EngineError> {
        // libvirt first, since it may take seconds: between the look at the host and the first write shall be little.
        let domains = self.domains.list();
        let view = self.kernel_view_by(observe)?;
        Ok(View { observed: Observed { domains, ..view.observed }, ..view })
    }

    fn kernel_view_by(
        &self,
        observe: impl FnOnce(&dyn Host) -> Result<Observed, PortError>,
    ) -> Result<View, EngineError> {
        let (desired, records) = self.store.load()?;
        let observed = observe(&*self.host)?;
        let records = records.of_boot(observed.host.boot_id);
        Ok(View { observed, desired, records })
    }
}
