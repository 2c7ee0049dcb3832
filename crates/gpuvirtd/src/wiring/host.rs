//! The engine's host over the Linux host: this machine's kernel, or the fake one.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gpuvirt_engine::ports::{Host, PortError, StepError, WaitingWrite};
use gpuvirt_fakekernel::FakeKernel;
use gpuvirt_host::{GpuMatch, HostError, LinuxHost, LinuxSysfs, ObserveScope, Sysfs, WriterOrigin};
use gpuvirt_model::{Health, HostMemory, MigState, Observed, PciAddress, ProgramPath};
use gpuvirt_plan::{Performed, Step};
use gpuvirt_recording::RecordedHost;

use crate::config::{Config, ExtraGpu, GpuInstances};

/// A Linux host as the engine's host.
#[derive(Clone)]
pub struct HostPort(LinuxHost, GpuInstances);

impl HostPort {
    /// This machine. Writes are made by other processes, writers: those that `writers` hands out, or our children.
    pub fn this_machine(config: &Config, writers: Option<&Path>) -> Self {
        let ours = || WriterOrigin::Child(super::writer::command());
        let origin = writers.map_or_else(ours, |socket| WriterOrigin::Socket(socket.to_owned()));
        let host = Self::over(Arc::new(LinuxSysfs::this_machine().with_writer(origin)), config);
        Self(host.0, config.gpu_instances)
    }

    /// The running kernel's release; empty where it can't be read.
    pub fn kernel_release(&self) -> String {
        self.0.kernel_release().unwrap_or_default()
    }

    /// Any kernel behind the seam.
    pub fn over(sysfs: Arc<dyn Sysfs>, config: &Config) -> Self {
        let extra = config.gpu.extra.iter().map(|extra| match extra {
            ExtraGpu::Class(class) => GpuMatch::Class(class.class),
            ExtraGpu::Card(card) => GpuMatch::Device { vendor: card.vendor, device: card.device },
        });
        let (extra, drivers) = (extra.collect(), config.driver_rules());
        let host = LinuxHost::new(sysfs, gpuvirt_host::GpuRules { extra, drivers });
        Self(host, GpuInstances::Command)
    }
}

impl HostPort {
    /// By the command, or by ourselves, started again, with the vendor's library.
    fn gpu_instances(
        &self,
        gpu: PciAddress,
        command: &ProgramPath,
        deadline: Duration,
    ) -> Result<MigState, HostError> {
        // By the name under which we were started: a writer runs it, and is another program.
        let ourselves = std::env::current_exe().ok();
        let ourselves = ourselves.and_then(|path| ProgramPath::parse(path.to_str()?).ok());
        let ourselves = ourselves.filter(|_| cfg!(feature = "nvml") && self.1 != GpuInstances::Command);
        let Some(ourselves) = ourselves else { return self.0.mig(gpu, command, deadline) };
        match self.0.mig_from(gpu, &ourselves, deadline) {
            Err(HostError::Refused { what, source }) if self.1 == GpuInstances::Auto => {
                tracing::debug!(what, %source, "the vendor's command is asked instead");
                self.0.mig(gpu, command, deadline)
            }
            told => told,
        }
    }

    fn observe_scope(&self, scope: ObserveScope) -> Result<Observed, PortError> {
        let doing = "the host can't be read".to_owned();
        self.0.observe_scope(scope).map_err(|error| PortError { doing, source: Box::new(error) })
    }
}

impl Host for HostPort {
    fn observe(&self) -> Result<Observed, PortError> {
        self.observe_scope(ObserveScope::Full)
    }

    fn observe_without_holders(&self) -> Result<Observed, PortError> {
        self.observe_scope(ObserveScope::WithoutHolders)
    }

    fn observe_offers(&self) -> Result<Observed, PortError> {
        self.observe_scope(ObserveScope::Offers)
    }

    fn observe_gpu(&self, gpu: PciAddress) -> Result<Observed, PortError> {
        self.observe_scope(ObserveScope::Gpu(gpu))
    }

    fn observe_gpu_and_holders(&self, gpu: PciAddress) -> Result<Observed, PortError> {
        self.observe_scope(ObserveScope::GpuAndHolders(gpu))
    }

    fn is_gpu(&self, address: PciAddress) -> bool {
        self.0.is_gpu(address)
    }

    fn health(&self, observed: &Observed) -> Health {
        self.0.health(observed)
    }

    fn memory(&self) -> Option<HostMemory> {
        self.0.memory()
    }

    fn is_present(&self, function: PciAddress) -> bool {
        self.0.is_present(function)
    }

    fn perform(&self, step: &Step, deadline: Duration) -> Result<Performed, StepError> {
        self.0.perform(step, deadline).map_err(step_error)
    }

    fn mig(&self, gpu: PciAddress, command: &ProgramPath, deadline: Duration) -> Result<MigState, PortError> {
        let doing = format!("the GPU instances of {gpu} can't be told");
        self.gpu_instances(gpu, command, deadline)
            .map_err(|error| PortError { doing, source: Box::new(error) })
    }

    fn last_event(&self) -> Option<u64> {
        self.0.last_event()
    }

    fn writers(&self) -> Result<(), PortError> {
        let doing = "nobody writes to the host now".to_owned();
        self.0.writers().map_err(|error| PortError { doing, source: Box::new(error) })
    }

    /// Each process's descriptors are looked through, and what a writer announces is one of them.
    fn holders_show_writers(&self) -> bool {
        true
    }

    fn waiting_writes(&self) -> Result<Vec<WaitingWrite>, PortError> {
        let doing = "it can't be told which writes still wait".to_owned();
        let writers =
            self.0.waiting_writers().map_err(|error| PortError { doing, source: Box::new(error) })?;
        let waiting = |writer: gpuvirt_host::WaitingWriter| WaitingWrite {
            writer: writer.pid,
            function: writer.write.function(),
            vgpu: writer.write.mdev(),
        };
        Ok(writers.into_iter().map(waiting).collect())
    }
}

/// A recorded host on the fake kernel: what a step does there is seen by later looks, and by nobody else.
#[derive(Clone)]
pub struct RehearsedHost {
    port: HostPort,
    /// The host as it was recorded: what the doctor asks, the fake kernel does not model.
    recorded: LinuxHost,
    kernel: Arc<FakeKernel>,
}

impl RehearsedHost {
    /// A host on this kernel.
    pub fn new(kernel: Arc<FakeKernel>, recording: Arc<RecordedHost>, config: &Config) -> Self {
        let recorded = HostPort::over(recording, config).0;
        Self { port: HostPort::over(Arc::<FakeKernel>::clone(&kernel), config), recorded, kernel }
    }
}

impl Host for RehearsedHost {
    fn health(&self, observed: &Observed) -> Health {
        self.recorded.health(observed)
    }

    fn observe(&self) -> Result<Observed, PortError> {
        self.port.observe()
    }

    fn observe_without_holders(&self) -> Result<Observed, PortError> {
        self.port.observe_without_holders()
    }

    fn observe_offers(&self) -> Result<Observed, PortError> {
        self.port.observe_offers()
    }

    fn observe_gpu(&self, gpu: PciAddress) -> Result<Observed, PortError> {
        self.port.observe_gpu(gpu)
    }

    fn observe_gpu_and_holders(&self, gpu: PciAddress) -> Result<Observed, PortError> {
        self.port.observe_gpu_and_holders(gpu)
    }

    fn is_gpu(&self, address: PciAddress) -> bool {
        self.port.is_gpu(address)
    }

    fn is_present(&self, function: PciAddress) -> bool {
        self.port.is_present(function)
    }

    fn perform(&self, step: &Step, deadline: Duration) -> Result<Performed, StepError> {
        let known = self.kernel.unmodelled().len();
        let result = self.port.perform(step, deadline);
        for path in self.kernel.unmodelled().iter().skip(known) {
            tracing::warn!(path, "the fake kernel does not model this");
        }
        result
    }
}

fn step_error(error: HostError) -> StepError {
    match error {
        HostError::Read { path, source } => {
            StepError::Refused { what: format!("cannot read {path}"), source }
        }
        HostError::Refused { what, source } => StepError::Refused { what, source },
        HostError::NotAsPlanned { what, source } => StepError::NotAsPlanned { what, source },
        HostError::NotSo { what, found } => {
            let source = io::Error::other(format!("the kernel accepted it, but {found}"));
            StepError::Refused { what, source }
        }
        HostError::StillWaiting { what, writer, waited } => StepError::StillWaiting { what, writer, waited },
    }
}
