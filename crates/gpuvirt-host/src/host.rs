//! The host as the engine sees it: observe, and carry out steps.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use gpuvirt_model::{Observed, PciAddress, Unknown};
use gpuvirt_plan::Step;

use crate::error::HostError;
use crate::files::Files;
use crate::holders;
use crate::inventory::{self, GpuRules, KnownNames};
use crate::paths;
use crate::perform;
use crate::sysfs::Sysfs;
use crate::writer::{self, WaitingWriter};

/// A Linux host over any [`Sysfs`]: this machine, a recorded one, or the fake kernel.
#[derive(Clone)]
pub struct LinuxHost {
    pub(crate) sysfs: Arc<dyn Sysfs>,
    rules: GpuRules,
    names: Arc<KnownNames>,
}

/// How much an observation costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ObserveScope {
    /// Everything, holders included: a pass over every process.
    #[default]
    Full,
    /// Without holders: they are reported as not looked for.
    WithoutHolders,
    /// One GPU with its groups, virtual functions and vGPUs, without holders: whether a change came out as planned.
    Gpu(PciAddress),
}

impl LinuxHost {
    /// A host over `sysfs`, with the admin's own list of what counts as a GPU.
    pub fn new(sysfs: Arc<dyn Sysfs>, rules: GpuRules) -> Self {
        Self { sysfs, rules, names: Arc::default() }
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
        let only = match scope {
            ObserveScope::Gpu(gpu) => Some(gpu),
            ObserveScope::Full | ObserveScope::WithoutHolders => None,
        };
        let mut observed = inventory::observe(files, &self.rules, &self.names, only)?;
        match scope {
            ObserveScope::Full => holders::fill(files, &mut observed),
            ObserveScope::WithoutHolders | ObserveScope::Gpu(_) => not_looked_for(&mut observed),
        }
        Ok(observed)
    }

    /// Carries out one step. Doing it a second time writes nothing.
    ///
    /// # Errors
    /// [`HostError::Refused`] when the kernel refuses or the host is no longer as planned, [`HostError::NotSo`] when
    /// the kernel accepted and nothing came of it, [`HostError::StillWaiting`] when `deadline` has passed.
    pub fn perform(&self, step: &Step, deadline: Duration) -> Result<(), HostError> {
        perform::perform(Files::new(&*self.sysfs), step, deadline)
    }

    /// Whether a PCI function is there, part of a GPU or not.
    pub fn is_present(&self, function: PciAddress) -> bool {
        self.sysfs.exists(&paths::function(function))
    }

    /// The running kernel's release, where it is known.
    pub fn kernel_release(&self) -> Option<String> {
        inventory::kernel_release(Files::new(&*self.sysfs))
    }

    /// The writers that are at work or wait in the kernel, whichever daemon started them.
    ///
    /// # Errors
    /// When processes can't be listed.
    pub fn waiting_writers(&self) -> io::Result<Vec<WaitingWriter>> {
        writer::waiting_writers(&*self.sysfs)
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
