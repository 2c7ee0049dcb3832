//! The host as the engine sees it: observe, and carry out steps.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use gpuvirt_model::{Health, HostMemory, MigState, Observed, PciAddress, ProgramPath, Unknown};
use gpuvirt_plan::{Performed, Step};

use crate::error::HostError;
use crate::files::Files;
use crate::health;
use crate::holders;
use crate::inventory::{self, Extent, GpuRules, Known};
use crate::memory;
use crate::mig;
use crate::paths;
use crate::perform;
use crate::sysfs::Sysfs;
use crate::writer::{self, WaitingWriter};

/// A Linux host over any [`Sysfs`]: this machine, a recorded one, or the fake kernel.
#[derive(Clone)]
pub struct LinuxHost {
    pub(crate) sysfs: Arc<dyn Sysfs>,
    rules: GpuRules,
    known: Arc<Known>,
}

/// How much an observation costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ObserveScope {
    /// Everything, holders included: a pass over every process.
    #[default]
    Full,
    /// Without holders: they are reported as not looked for.
    WithoutHolders,
    /// What GPUs offer now: those on which vGPUs can be made, with their drivers, virtual functions, types and vGPUs. All else
    /// is left out, and must not be told.
    Offers,
    /// One GPU with its groups, virtual functions and vGPUs, without holders: whether a change came out as planned.
    Gpu(PciAddress),
    /// The same with its holders: what a change of one GPU is decided on.
    GpuAndHolders(PciAddress),
}

/// What only the doctor asks of a host, but for its GPUs: every file that it looks at is asked of `sysfs`.
pub fn host_health(sysfs: &dyn Sysfs, release: Option<&str>) -> Health {
    health::read(Files::new(sysfs), [], release)
}

/// What a listing asks of a host, who holds its cards not included: every file that it looks at is asked of `sysfs`.
///
/// # Errors
/// As [`LinuxHost::observe`].
pub fn host_inventory(sysfs: &dyn Sysfs, rules: &GpuRules) -> Result<Observed, HostError> {
    inventory::observe(Files::new(sysfs), rules, &Known::default(), Extent::Host)
}

impl LinuxHost {
    /// A host over `sysfs`, with the admin's own list of what counts as a GPU.
    pub fn new(sysfs: Arc<dyn Sysfs>, rules: GpuRules) -> Self {
        Self { sysfs, rules, known: Arc::default() }
    }

    /// A fresh picture of the host. Domains are libvirt's: they stay unknown.
    ///
    /// # Errors
    /// [`HostError::Read`] when not even the PCI bus can be listed.
    pub fn observe(&self) -> Result<Observed, HostError> {
        self.observe_scope(ObserveScope::Full)
    }

    /// The same, as wide as asked for.
    ///
    /// # Errors
    /// As [`LinuxHost::observe`].
    pub fn observe_scope(&self, scope: ObserveScope) -> Result<Observed, HostError> {
        let files = Files::new(&*self.sysfs);
        let extent = match scope {
            ObserveScope::Gpu(gpu) | ObserveScope::GpuAndHolders(gpu) => Extent::Gpu(gpu),
            ObserveScope::Full | ObserveScope::WithoutHolders => Extent::Host,
            ObserveScope::Offers => Extent::Offers,
        };
        let observe = || inventory::observe(files, &self.rules, &self.known, extent);
        match scope {
            ObserveScope::Full => holders::filled(files, observe),
            ObserveScope::GpuAndHolders(_) => holders::filled_where_open(files, observe),
            ObserveScope::Gpu(_) | ObserveScope::WithoutHolders | ObserveScope::Offers => {
                let mut observed = observe()?;
                not_looked_for(&mut observed);
                Ok(observed)
            }
        }
    }

    /// Carries out one step. Doing it a second time writes nothing.
    ///
    /// # Errors
    /// [`HostError::Refused`] when the kernel refuses or the host is no longer as planned, [`HostError::NotSo`] when
    /// the kernel accepted and nothing came of it, [`HostError::StillWaiting`] when `deadline` has passed.
    pub fn perform(&self, step: &Step, deadline: Duration) -> Result<Performed, HostError> {
        let done = perform::perform(Files::new(&*self.sysfs), step, deadline);
        done.map_err(|error| match step {
            Step::CycleVfs { function, .. } | Step::SetUnbindLock { function, .. } => {
                self.named(error, *function)
            }
            _ => error,
        })
    }

    /// The error of a step that others keep from the card, with their names.
    fn named(&self, error: HostError, function: PciAddress) -> HostError {
        let holders = self.observe().ok().and_then(|observed| {
            let gpu = observed.gpu_of(function)?;
            let names: Vec<String> = gpu.holders.seen.iter().map(ToString::to_string).collect();
            (!names.is_empty()).then(|| names.join(", "))
        });
        match (error, holders) {
            (HostError::Refused { what, source }, Some(names)) => {
                HostError::Refused { what: format!("{what}, while the card is held by {names}"), source }
            }
            (HostError::NotSo { what, found }, Some(names)) => {
                HostError::NotSo { what, found: format!("{found}, and the card is held by {names}") }
            }
            (error, _) => error,
        }
    }

    /// The GPU instances of a card, read through the vendor's command: a client of the vendor's library while it runs,
    /// and no more afterwards.
    ///
    /// # Errors
    /// [`HostError::Refused`] when the command fails or is not understood, [`HostError::StillWaiting`] when `deadline`
    /// has passed.
    pub fn mig(
        &self,
        gpu: PciAddress,
        command: &ProgramPath,
        deadline: Duration,
    ) -> Result<MigState, HostError> {
        mig::read(Files::new(&*self.sysfs), gpu, command, deadline)
    }

    /// The same through a program of ours that asks the vendor's library, `PROGRAM gpu-instances ADDRESS`.
    ///
    /// # Errors
    /// As [`LinuxHost::mig`].
    pub fn mig_from(
        &self,
        gpu: PciAddress,
        program: &ProgramPath,
        deadline: Duration,
    ) -> Result<MigState, HostError> {
        mig::read_from(Files::new(&*self.sysfs), gpu, program, deadline)
    }

    /// What else there is to know about whether GPUs can work in VMs here: for the GPUs of a picture of this host. It
    /// reads files alone, none of which wakes a card, and what it may not read is unknown.
    pub fn health(&self, observed: &Observed) -> Health {
        let functions = observed.gpus.values().flat_map(|gpu| gpu.functions.iter().copied());
        health::read(Files::new(&*self.sysfs), functions, observed.host.kernel_release.as_deref())
    }

    /// Whether this is a GPU's own address: the lowest function of its slot that is a GPU by the rules, and no virtual one. It
    /// is asked before a change of one GPU, which looks at it by itself: so nothing else of it is read.
    ///
    /// Where a lower one is such a function too, it is not told here whose this one is: no.
    pub fn is_gpu(&self, address: PciAddress) -> bool {
        inventory::is_primary(Files::new(&*self.sysfs), &self.rules, address)
    }

    /// Whether a PCI function is there, part of a GPU or not.
    pub fn is_present(&self, function: PciAddress) -> bool {
        self.sysfs.exists(&paths::function(function))
    }

    /// The host's memory as it is now; none where the kernel does not tell.
    pub fn memory(&self) -> Option<HostMemory> {
        memory::read(Files::new(&*self.sysfs))
    }

    /// The running kernel's release, where it is known.
    pub fn kernel_release(&self) -> Option<String> {
        inventory::kernel_release(Files::new(&*self.sysfs))
    }

    /// The number of the kernel's last uevent: what is told with a higher one happens later.
    pub fn last_event(&self) -> Option<u64> {
        Files::new(&*self.sysfs).text(paths::UEVENT_SEQNUM).ok()?.trim().parse().ok()
    }

    /// The writers that are at work or wait in the kernel, whichever daemon started them.
    ///
    /// # Errors
    /// When processes can't be listed.
    pub fn waiting_writers(&self) -> io::Result<Vec<WaitingWriter>> {
        writer::waiting_writers(&*self.sysfs)
    }

    /// Whether those who write to this host are to be had, as far as it can be told without asking them anything.
    ///
    /// # Errors
    /// Why nothing can be written now.
    pub fn writers(&self) -> io::Result<()> {
        self.sysfs.writers()
    }
}

/// Says of every GPU and vGPU that nobody asked who holds it: an empty list would say that nobody does.
fn not_looked_for(observed: &mut Observed) {
    let why = || Some(Unknown::Unreadable { what: "holders were not looked for".to_owned() });
    for gpu in observed.gpus.values_mut() {
        gpu.holders.unseen = why();
    }
    for vgpu in observed.vgpus.values_mut() {
        vgpu.holders.unseen = why();
    }
}
