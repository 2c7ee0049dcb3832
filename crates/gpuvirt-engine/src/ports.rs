//! What the engine needs from the outside worlds.

use std::time::Duration;

use gpuvirt_model::{
    Desired, Domain, Health, HostMemory, MigState, Observed, PciAddress, ProgramPath, Reading, Records,
};
use gpuvirt_plan::{Performed, Plan, Step};
use uuid::Uuid;

/// The host's kernel.
pub trait Host: Send + Sync {
    /// A fresh picture of the host. Domains are not its business: it leaves them unknown.
    ///
    /// # Errors
    /// [`PortError`] when not even the PCI bus can be read.
    fn observe(&self) -> Result<Observed, PortError>;

    /// The same without who holds what: it spares the pass over all processes where nobody asks for them. Holders are
    /// then said not to have been looked for.
    ///
    /// # Errors
    /// As [`Host::observe`].
    fn observe_without_holders(&self) -> Result<Observed, PortError> {
        self.observe()
    }

    /// What GPUs offer now, for the listing of it; everything else is left out, and must not be told.
    ///
    /// # Errors
    /// As [`Host::observe`].
    fn observe_offers(&self) -> Result<Observed, PortError> {
        self.observe_without_holders()
    }

    /// One GPU with its groups, virtual functions and vGPUs, without holders: whether a change came out as planned.
    ///
    /// # Errors
    /// As [`Host::observe`].
    fn observe_gpu(&self, gpu: PciAddress) -> Result<Observed, PortError> {
        let _ = gpu;
        self.observe()
    }

    /// The same with holders: what a change of one GPU is decided on.
    ///
    /// # Errors
    /// As [`Host::observe`].
    fn observe_gpu_and_holders(&self, gpu: PciAddress) -> Result<Observed, PortError> {
        let _ = gpu;
        self.observe()
    }

    /// Whether this is a GPU's own address, as far as a look at its slot tells. Where it is not, a picture says what is there
    /// instead: so without another implementation it is for none.
    fn is_gpu(&self, address: PciAddress) -> bool {
        let _ = address;
        false
    }

    /// What only the doctor asks of a host, for the GPUs of a picture. Without another implementation nothing is known.
    fn health(&self, observed: &Observed) -> Health {
        let _ = observed;
        Health::default()
    }

    /// Whether a PCI function is there at all, part of a GPU or not.
    fn is_present(&self, function: PciAddress) -> bool;

    /// The host's memory as it is now; none where that is not known.
    fn memory(&self) -> Option<HostMemory> {
        None
    }

    /// Carries out one step, waiting no longer than `deadline` for a write that can block.
    ///
    /// # Errors
    /// [`StepError`].
    fn perform(&self, step: &Step, deadline: Duration) -> Result<Performed, StepError>;

    /// The GPU instances of a card, read through the vendor's command, within `deadline`.
    ///
    /// # Errors
    /// [`PortError`] when the command fails or is not understood. Without another implementation there is none.
    fn mig(&self, gpu: PciAddress, command: &ProgramPath, deadline: Duration) -> Result<MigState, PortError> {
        let _ = deadline;
        let source = format!("{command} is not there").into();
        Err(PortError { doing: format!("the GPU instances of {gpu} can't be read"), source })
    }

    /// The number of the last thing that the kernel told of: what is told with a higher one happens later. None where
    /// nothing is told.
    fn last_event(&self) -> Option<u64> {
        None
    }

    /// Whether those who write to the host are to be had, as far as it can be told without asking them anything.
    ///
    /// # Errors
    /// [`PortError`]: why nothing can be written now.
    fn writers(&self) -> Result<(), PortError> {
        Ok(())
    }

    /// Whether a picture with holders tells of a writer, at work or waiting, as of a holder of the card that it writes to.
    fn holders_show_writers(&self) -> bool {
        false
    }

    /// Writes that wait in the kernel now, whichever daemon began them. None on a host where no write can.
    ///
    /// # Errors
    /// [`PortError`] when it can't be told.
    fn waiting_writes(&self) -> Result<Vec<WaitingWrite>, PortError> {
        Ok(Vec::new())
    }
}

/// A write that waits in the kernel: its device is locked, and any other write to it would wait too, killable or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitingWrite {
    /// The process that waits; it must not be killed.
    pub writer: u32,
    /// The function that it may hold locked.
    pub function: Option<PciAddress>,
    /// The vGPU that it removes.
    pub vgpu: Option<Uuid>,
}

/// Who asks for libvirt's domains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// A change, or a question of somebody's.
    Somebody,
    /// Nobody: a libvirt that does not run is not woken, though its socket would start it.
    Nobody,
    /// Who needs an answer within a second: a libvirt that has not answered by then is unknown.
    InAHurry,
}

/// libvirt.
pub trait Domains: Send + Sync {
    /// All domains with their host devices; unknown when libvirt does not answer.
    fn list(&self) -> Reading<Vec<Domain>>;

    /// The same for whoever asks.
    fn list_for(&self, asker: Asker) -> Reading<Vec<Domain>> {
        let _ = asker;
        self.list()
    }

    /// The same, asked for at once; what is returned waits for the answer.
    fn begin_list(&self, asker: Asker) -> Box<dyn FnOnce() -> Reading<Vec<Domain>> + '_> {
        let domains = self.list_for(asker);
        Box::new(move || domains)
    }

    /// The domains that are to start with the host, as libvirt's own files have them: for starts, which can't ask libvirt, while
    /// it has listed none yet. None where these files tell nothing.
    fn autostarted_by_files(&self) -> Option<Vec<Domain>> {
        None
    }

    /// The stored definition, secrets included. It goes into no journal and no log.
    ///
    /// # Errors
    /// [`PortError`]; `None` is no such domain.
    fn inactive_xml(&self, name: &str) -> Result<Option<String>, PortError>;

    /// Replaces the stored definition, if it still is `expected`.
    ///
    /// # Errors
    /// [`PortError`] when libvirt refuses; `Ok(false)` when it changed meanwhile.
    fn redefine(&self, name: &str, expected: &str, xml: &str) -> Result<bool, PortError>;

    /// Whether libvirt answers on a connection that is open now, told without asking it anything. False while libvirt starts the VMs that start with the host, since it answers nobody then.
    fn is_connected(&self) -> bool {
        true
    }

    /// Starts a domain, hooks included: whoever calls this holds nothing that a hook waits for.
    ///
    /// # Errors
    /// [`PortError`] with what libvirt said, a hook's own words among it.
    fn start(&self, name: &str) -> Result<(), PortError>;
}

/// The durable files.
pub trait Store: Send + Sync {
    /// The desired document and our records.
    ///
    /// # Errors
    /// [`PortError`] when a file is there and can't be understood: corrupt is not absent.
    fn load(&self) -> Result<(Desired, Records), PortError>;

    /// Makes both durable.
    ///
    /// # Errors
    /// [`PortError`]; the earlier content then still stands.
    fn commit(&self, desired: &Desired, records: &Records) -> Result<(), PortError>;

    /// Makes documents durable that a plan led to. Its intent may be forgotten by that already; [`Store::close_journal`] follows.
    ///
    /// # Errors
    /// [`PortError`]; the earlier content then still stands, and the intent is open.
    fn commit_settling(&self, plan: &Plan, desired: &Desired, records: &Records) -> Result<(), PortError> {
        let _ = plan;
        self.commit(desired, records)
    }

    /// Makes an intent durable before its first write.
    ///
    /// # Errors
    /// [`PortError`].
    fn open_journal(&self, plan: &Plan) -> Result<(), PortError>;

    /// The same, with the documents that the plan is to lead to: what can be done for them before is done.
    ///
    /// # Errors
    /// [`PortError`].
    fn open_journal_expecting(
        &self,
        plan: &Plan,
        desired: &Desired,
        records: &Records,
    ) -> Result<(), PortError> {
        let _ = (desired, records);
        self.open_journal(plan)
    }

    /// Intents that were opened and not closed.
    ///
    /// # Errors
    /// [`PortError`] when one can't be understood.
    fn open_intents(&self) -> Result<Vec<Plan>, PortError>;

    /// Why the next boot will not claim the passthrough cards before host drivers load, when it will not.
    fn stale_boot_image(&self) -> Option<String> {
        None
    }

    /// What of the files beside the documents could not be brought up to date.
    fn problems(&self) -> Vec<String> {
        Vec::new()
    }

    /// Forgets the intent of a GPU: it is settled.
    ///
    /// # Errors
    /// [`PortError`].
    fn close_journal(&self, plan: &Plan) -> Result<(), PortError>;
}

/// An outside world failed.
#[derive(Debug, thiserror::Error)]
#[error("{doing}")]
pub struct PortError {
    /// What we were doing, to which object.
    pub doing: String,
    /// Why it failed.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// A step failed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The kernel refused the write.
    #[error("{what}")]
    Refused {
        /// The write and its object.
        what: String,
        /// The errno.
        #[source]
        source: std::io::Error,
    },
    /// The host is no longer as it was when the step was planned. Nothing was written.
    #[error("{what}")]
    NotAsPlanned {
        /// The write and its object.
        what: String,
        /// What was found instead.
        #[source]
        source: std::io::Error,
    },
    /// The deadline passed; the write goes on in another process.
    #[error("{what}: no end after {waited:?}, process {writer} still waits in the kernel")]
    StillWaiting {
        /// The write and its object.
        what: String,
        /// The waiting process.
        writer: u32,
        /// How long we waited.
        waited: Duration,
    },
}
