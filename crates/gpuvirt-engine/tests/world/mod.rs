//! An engine over the production host code, the fake kernel below it, and documents in memory.
#![allow(dead_code, clippy::unwrap_used, clippy::indexing_slicing, missing_docs)] // each test file uses its own part

pub mod changes;
pub mod dice;
pub mod domain;
mod hold;
pub mod libvirt;
pub mod mig;
pub mod patience;
mod store;
pub mod vgpu;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gpuvirt_engine::ports::{Host, PortError, StepError, WaitingWrite};
use gpuvirt_engine::{Engine, EngineError, Preparation, Removal, RemoveRequest, Report, SwitchRequest};
use gpuvirt_fakekernel::{FakeKernel, Process, Program};
use gpuvirt_host::{GpuRules, HostError, LinuxHost, ObserveScope, Sysfs as _};
use gpuvirt_model::{
    ConfiguredType, Desired, Domain, DriverBinding, HostMemory, MigState, Observed, PciAddress, ProgramPath,
    Records, RefusalCode, UnitName, VgpuId, VgpuParams,
};
use gpuvirt_plan::{MdevPlace, Performed, Plan, Step, VfSetting};

pub use hold::Hold;

/// A GPU with its audio function, bound to host drivers.
pub const GPU: &str = "0000:01:00.0";
/// The other GPU of the host.
pub const OTHER: &str = "0000:02:00.0";
/// A GPU whose virtual functions take vGPU types: four of them, and memory for four of 12 GiB.
pub const TYPED: &str = "0000:26:00.0";
/// A GPU that makes plain virtual functions, up to seven.
pub const PLAIN: &str = "0000:4d:00.0";
/// The first of them.
pub const PLAIN_VF: &str = "0000:4d:00.4";
/// Its first virtual function.
pub const VF: &str = "0000:26:00.4";

/// What NVIDIA's driver wants, by its built-in rule.
pub const TOOL: &str = "/usr/lib/nvidia/sriov-manage";
pub const COMMAND: &str = "/usr/bin/nvidia-smi";
pub const SERVICE: &str = "nvidia-persistenced.service";
pub const SYSTEMCTL: &str = "/usr/bin/systemctl";
/// What that service and other programs of the vendor's have open.
pub const CLIENT: &str = "/dev/nvidia-client";

/// The node of [`CLIENT`], as a dump has it.
pub const CLIENT_NODE: &str = "
P: /devices/pci0000:00/0000:00:03.0/0000:26:00.0/misc/nvidia-client
N: nvidia-client
E: DEVNAME=/dev/nvidia-client
E: MAJOR=10
E: MINOR=120
E: SUBSYSTEM=misc
A: dev=10:120\\n
L: device=../../../0000:26:00.0
";

pub fn at(text: &str) -> PciAddress {
    PciAddress::parse(text).unwrap()
}

/// The kernel and the stores, which outlive any engine over them.
#[derive(Clone)]
pub struct World {
    pub kernel: Arc<FakeKernel>,
    pub files: Arc<Mutex<Files>>,
    pub libvirt: Arc<Mutex<Vec<Domain>>>,
    pub definitions: Arc<Mutex<BTreeMap<String, String>>>,
    /// Edits that somebody else makes, one between each read of a definition and the attempt to replace it.
    pub others_edits: Arc<Mutex<Vec<String>>>,
    /// Panics before the step with this number, from 0: the daemon dies there.
    pub dies_before: Arc<Mutex<Option<usize>>>,
    /// What others do before the step with this number, from 0, of the next change.
    pub before_step: Arc<Mutex<Option<(usize, OthersAct)>>>,
    /// Writes that an earlier daemon's writers wait for.
    pub waiting: Arc<Mutex<Vec<WaitingWrite>>>,
    /// Nobody is to be had who writes to the host.
    pub no_writer: Arc<AtomicBool>,
    /// Holders tell of writers, so that [`World::waiting`] need not be asked.
    pub holders_show_writers: Arc<AtomicBool>,
    /// Asking libvirt is a mistake of the test's subject.
    pub libvirt_panics: Arc<AtomicBool>,
    /// libvirt answers no listing in time.
    pub libvirt_hangs: Arc<AtomicBool>,
    /// Whether files of libvirt's tell what it would list.
    pub libvirt_has_files: Arc<AtomicBool>,
    /// The next start fails, after this.
    pub start_fails: Arc<Mutex<Option<OthersAct>>>,
    /// Happens while libvirt answers the next listing, after it has looked.
    pub while_listing: Arc<Mutex<Option<OthersAct>>>,
    /// Looks at one GPU and its holders so far.
    pub looks: Arc<AtomicUsize>,
    /// How long each look at GPU instances was to take at most.
    pub waits: Arc<Mutex<Vec<Duration>>>,
    /// The vendor's command answers nothing for as long as it is waited for.
    pub command_hangs: Arc<AtomicBool>,
    /// Looks at GPU instances wait here, when there is one.
    pub command_hold: Arc<Mutex<Option<Arc<Hold>>>>,
    /// Only those of this card, when there is one.
    pub command_held_of: Arc<Mutex<Option<PciAddress>>>,
    /// So many of them do not, before one does.
    pub looks_before_hold: Arc<Mutex<usize>>,
    /// So many documents and journals can be stored before the disk is full.
    pub disk_takes: Arc<Mutex<Option<usize>>>,
    /// The daemon dies before it stores the thing with this number, from 0.
    pub dies_before_storing: Arc<Mutex<Option<usize>>>,
    /// The host's memory.
    pub memory: Arc<Mutex<Option<HostMemory>>>,
    /// Steps wait here, when there is one.
    pub hold: Arc<Mutex<Option<Arc<Hold>>>>,
    /// The same for steps of some cards.
    pub held_cards: Arc<Mutex<BTreeMap<PciAddress, Arc<Hold>>>>,
    /// Each step of these cards takes so long.
    pub slow_cards: Arc<Mutex<BTreeMap<PciAddress, Duration>>>,
    /// Its card can be cut into GPU instances.
    pub can_be_cut: Arc<AtomicBool>,
    /// Every plan that was in the journal, in order, as it was there last.
    pub intended: Arc<Mutex<Vec<Plan>>>,
    /// What plans are to lead to that are not settled.
    pub expected: Arc<Mutex<BTreeMap<PciAddress, (Desired, Records)>>>,
    /// Of each plan that was settled, whether it led there; none where nothing was expected.
    pub came_true: Arc<Mutex<Vec<Option<bool>>>>,
    /// Every step that was begun, of plans and of ways back.
    pub begun: Arc<Mutex<Vec<Step>>>,
}

/// What somebody else does meanwhile.
pub type OthersAct = Box<dyn FnOnce() + Send>;

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Files {
    pub desired: Desired,
    pub records: Records,
    pub intents: Vec<Plan>,
    pub commit_fails: bool,
}

/// What [`World::picture`] shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    pub bindings: BTreeMap<PciAddress, DriverBinding>,
    /// `power/control` of each function.
    pub power: BTreeMap<PciAddress, String>,
    pub vgpus: BTreeMap<VgpuId, MdevPlace>,
    pub vfs: BTreeMap<PciAddress, VfSetting>,
    pub mixed: bool,
    /// MIG mode, and the GPU instances with their places. Their numbers change when they are made again.
    pub instances: Option<(bool, Vec<(String, String)>)>,
    pub params: BTreeMap<VgpuId, VgpuParams>,
    /// What the card's unbindLock shows, where its driver has one.
    pub unbind_lock: Option<String>,
    pub services: BTreeSet<UnitName>,
}

impl World {
    pub fn new() -> Self {
        Self::of(include_str!("../../../../tests/hosts/two-gpus.umockdev")).lets_sleep(GPU)
    }

    /// A host whose GPU makes vGPUs by types of its virtual functions, configured for it.
    pub fn typed() -> Self {
        Self::typed_beside("")
    }

    /// The same with what another dump has.
    pub fn typed_beside(other: &str) -> Self {
        let dump = include_str!("../../../../tests/hosts/vgpu-types-host.umockdev");
        let world = Self::of(&[dump, "\n", other].concat());
        world.set(TYPED, ConfiguredType::SharedDirect).unwrap();
        world
    }

    /// The same card without virtual functions, with the vendor's programs and a service that has it open; nothing
    /// is configured.
    pub fn vendor() -> Self {
        Self::vendor_with(false)
    }

    /// The same with a service that does not stop.
    pub fn vendor_with(stubborn: bool) -> Self {
        let dump = include_str!("../../../../tests/hosts/vgpu-types-host.umockdev");
        let world = Self::of(&[dump, CLIENT_NODE].concat());
        let kernel = &world.kernel;
        kernel.write(&format!("/sys/bus/pci/devices/{TYPED}/sriov_numvfs"), b"0").unwrap();
        for (path, program) in
            [(TOOL, Program::VfTool), (COMMAND, Program::Command), (SYSTEMCTL, Program::ServiceManager)]
        {
            kernel.install(path, program);
        }
        kernel.allow_mixed_sizes(at(TYPED));
        kernel.add_unbind_lock(at(TYPED), "nvidia", CLIENT);
        let process = Process::new(4000, "nvidia-persistenced").opens(CLIENT);
        kernel.add_service(SERVICE, 4000, process, stubborn);
        kernel.forget_writes();
        world
    }

    /// A host whose GPU has another driver, which shows so many possible virtual functions and can't be asked for any.
    pub fn plain_on(driver: &str, total: u16) -> Self {
        let dump = include_str!("../../../../tests/hosts/sriov-host.umockdev");
        let dump = dump.replace("bus/pci/drivers/xe", &format!("bus/pci/drivers/{driver}"));
        Self::of(&dump.replace("sriov_totalvfs=7", &format!("sriov_totalvfs={total}")))
    }

    /// A host whose GPU makes plain virtual functions; none is enabled, and nothing configured.
    pub fn plain() -> Self {
        Self::of(include_str!("../../../../tests/hosts/sriov-host.umockdev"))
    }

    /// A host from a dump.
    pub fn of(dump: &str) -> Self {
        let kernel = FakeKernel::from_dump(dump).unwrap().with_proc().strict();
        let world = Self {
            kernel: Arc::new(kernel),
            files: Arc::default(),
            libvirt: Arc::default(),
            definitions: Arc::default(),
            others_edits: Arc::default(),
            dies_before: Arc::default(),
            before_step: Arc::default(),
            waiting: Arc::default(),
            no_writer: Arc::default(),
            holders_show_writers: Arc::default(),
            libvirt_panics: Arc::default(),
            libvirt_hangs: Arc::default(),
            libvirt_has_files: Arc::default(),
            start_fails: Arc::default(),
            while_listing: Arc::default(),
            looks: Arc::default(),
            waits: Arc::default(),
            command_hangs: Arc::default(),
            command_hold: Arc::default(),
            command_held_of: Arc::default(),
            looks_before_hold: Arc::default(),
            hold: Arc::default(),
            held_cards: Arc::default(),
            slow_cards: Arc::default(),
            disk_takes: Arc::default(),
            dies_before_storing: Arc::default(),
            memory: Arc::default(),
            can_be_cut: Arc::default(),
            intended: Arc::default(),
            expected: Arc::default(),
            came_true: Arc::default(),
            begun: Arc::default(),
        };
        world.kernel.forget_writes();
        world
    }

    /// From now on libvirt must not be asked.
    pub fn libvirt_panics(&self) {
        self.libvirt_panics.store(true, Ordering::Relaxed);
    }

    /// The same host after a reboot: our files as they were, the kernel as `dump` has it.
    pub fn rebooted(&self, dump: &str) -> Self {
        let fresh = Self::of(dump);
        fresh.kernel.set_file("/proc/sys/kernel/random/boot_id", "c0ffee00-0000-4000-8000-000000000002\n");
        Self { kernel: fresh.kernel, ..self.clone() }
    }

    pub fn offering_vgpus(gpu: &str) -> Self {
        let world = Self::new();
        vgpu::offer(&world, gpu, 8192);
        world
    }

    pub fn engine(&self) -> Engine {
        Engine::new(Box::new(self.clone()), Box::new(self.clone()), Box::new(self.clone()))
    }

    pub fn host(&self) -> LinuxHost {
        LinuxHost::new(self.kernel.clone(), GpuRules::default())
    }

    /// What the kernel shows, for comparisons.
    pub fn observed(&self) -> Observed {
        self.host().observe().unwrap()
    }

    /// Everything that a change can change: every function's binding, every vGPU's place and parameters, how many
    /// virtual functions there are, GPU instances, the driver's lock, services. A module stays loaded,
    /// and the nodes that a host driver makes are its own affair.
    pub fn picture(&self) -> Picture {
        let now = self.observed();
        let params = now.vgpus.iter().filter_map(|(id, vgpu)| Some((*id, vgpu.known_params()?.clone())));
        let params = params.collect();
        let services = now.host.running_services.keys().cloned().collect();
        let cut = self.can_be_cut.load(Ordering::Relaxed);
        let instances = cut.then(|| (mig::state(self).enabled, mig::places(self)));
        let lock = self.kernel.read(&format!("/proc/driver/nvidia/gpus/{TYPED}/unbindLock"), 16).ok();
        let unbind_lock = lock.map(|shown| text(&shown));
        let vfs = now.functions.iter().filter_map(|(at, f)| Some((*at, gpuvirt_plan::sriov::setting(f)?)));
        let vgpus = now.vgpus.iter().map(|(id, vgpu)| (*id, gpuvirt_plan::vgpu::place(vgpu)));
        let (vgpus, vfs) = (vgpus.collect(), vfs.collect());
        let power_control = |at: &PciAddress| self.kernel.read(&power_file(*at), 16).ok();
        let power = now.functions.keys().filter_map(|at| Some((*at, text(&power_control(at)?))));
        let power = power.collect();
        let bindings = now.functions.into_iter().map(|(address, function)| (address, function.binding));
        let mixed = self.kernel.mixes_sizes(at(TYPED));
        let bindings = bindings.collect();
        Picture { bindings, power, vgpus, vfs, mixed, instances, params, unbind_lock, services }
    }

    /// The host lets this function sleep while it is idle.
    pub fn lets_sleep(self, function: &str) -> Self {
        self.kernel.write(&power_file(at(function)), b"auto").unwrap();
        self.kernel.forget_writes();
        self
    }

    pub fn set(&self, gpu: &str, to: ConfiguredType) -> Result<Report, EngineError> {
        self.engine().set_type(&switch(gpu, to))
    }

    pub fn remove_vgpu(&self, id: impl Into<VgpuId>) -> Result<Report, EngineError> {
        self.remove_vgpus(Removal::These(vec![id.into()]))
    }

    pub fn remove_vgpus(&self, which: Removal) -> Result<Report, EngineError> {
        let deadline = Duration::from_secs(1);
        self.engine().remove_vgpus(&RemoveRequest { which, dry_run: false, deadline })
    }

    /// From now on steps wait, until the test lets them go on.
    pub fn hold_steps(&self) -> Arc<Hold> {
        let hold = Arc::<Hold>::default();
        *self.hold.lock().unwrap() = Some(Arc::clone(&hold));
        hold
    }

    /// From now on steps of this card wait, until the test lets them go on.
    pub fn hold_steps_of(&self, gpu: &str) -> Arc<Hold> {
        let hold = Arc::<Hold>::default();
        self.held_cards.lock().unwrap().insert(at(gpu), Arc::clone(&hold));
        hold
    }

    fn held(&self, step: &Step) -> Option<Arc<Hold>> {
        of_card(step, &self.held_cards.lock().unwrap())
    }

    fn pace_of(&self, step: &Step) -> Option<Duration> {
        of_card(step, &self.slow_cards.lock().unwrap())
    }

    /// From now on looks at GPU instances wait, but for the first ones, until the test lets them go on.
    pub fn hold_looks_after(&self, first: usize) -> Arc<Hold> {
        let hold = Arc::<Hold>::default();
        *self.looks_before_hold.lock().unwrap() = first;
        *self.command_hold.lock().unwrap() = Some(Arc::clone(&hold));
        hold
    }

    /// The same for all looks at one card.
    pub fn hold_looks_of(&self, gpu: &str) -> Arc<Hold> {
        *self.command_held_of.lock().unwrap() = Some(at(gpu));
        self.hold_looks_after(0)
    }

    fn held_look(&self, gpu: PciAddress) -> Option<Arc<Hold>> {
        self.command_held_of.lock().unwrap().is_none_or(|held| held == gpu).then_some(())?;
        let mut first = self.looks_before_hold.lock().unwrap();
        let hold = self.command_hold.lock().unwrap().clone()?;
        if *first > 0 {
            *first -= 1;
            return None;
        }
        Some(hold)
    }

    /// From now on each step of this card takes so long.
    pub fn slow_down(&self, gpu: &str, takes: Duration) {
        self.slow_cards.lock().unwrap().insert(at(gpu), takes);
    }

    /// Only what comes from now on is remembered.
    pub fn forget_intentions(&self) {
        self.intended.lock().unwrap().clear();
        self.begun.lock().unwrap().clear();
    }

    fn others_act(&self) {
        let mut planned = self.before_step.lock().unwrap();
        match planned.take() {
            Some((0, act)) => act(),
            Some((steps, act)) => *planned = Some((steps - 1, act)),
            None => {}
        }
    }

    pub fn files(&self) -> Files {
        self.files.lock().unwrap().clone()
    }
}

fn power_file(function: PciAddress) -> String {
    format!("/sys/bus/pci/devices/{function}/power/control")
}

fn text(shown: &[u8]) -> String {
    String::from_utf8_lossy(shown.trim_ascii()).into_owned()
}

pub fn switch(gpu: &str, to: ConfiguredType) -> SwitchRequest {
    let accept = vec![RefusalCode::BootDisplay, RefusalCode::ConsoleActive];
    let prepare = Preparation::default();
    SwitchRequest {
        gpu: at(gpu),
        to,
        prepare,
        label: None,
        accept,
        when: None,
        dry_run: false,
        deadline: Duration::from_secs(1),
    }
}

fn of_card<T: Clone>(step: &Step, cards: &BTreeMap<PciAddress, T>) -> Option<T> {
    let is_it = |card: &PciAddress| step.function().is_some_and(|function| function.same_slot(card));
    cards.iter().find(|(card, _)| is_it(card)).map(|(_, what)| what.clone())
}

fn port(doing: &str, source: impl std::error::Error + Send + Sync + 'static) -> PortError {
    PortError { doing: doing.to_owned(), source: Box::new(source) }
}

impl Host for World {
    fn observe(&self) -> Result<Observed, PortError> {
        self.host().observe().map_err(|error| port("reading the host", error))
    }

    fn observe_without_holders(&self) -> Result<Observed, PortError> {
        let observed = self.host().observe_scope(ObserveScope::WithoutHolders);
        observed.map_err(|error| port("reading the host", error))
    }

    fn observe_gpu(&self, gpu: PciAddress) -> Result<Observed, PortError> {
        let observed = self.host().observe_scope(ObserveScope::Gpu(gpu));
        observed.map_err(|error| port("reading the host", error))
    }

    fn memory(&self) -> Option<HostMemory> {
        self.memory.lock().unwrap().clone()
    }

    fn observe_gpu_and_holders(&self, gpu: PciAddress) -> Result<Observed, PortError> {
        let observed = self.host().observe_scope(ObserveScope::GpuAndHolders(gpu));
        self.looks.fetch_add(1, Ordering::Relaxed);
        observed.map_err(|error| port("reading the host", error))
    }

    fn is_present(&self, function: PciAddress) -> bool {
        self.host().is_present(function)
    }

    fn perform(&self, step: &Step, deadline: Duration) -> Result<Performed, StepError> {
        let mut left = self.dies_before.lock().unwrap();
        match *left {
            Some(0) => {
                drop(left);
                std::panic::panic_any("the daemon dies here");
            }
            Some(steps) => *left = Some(steps - 1),
            None => {}
        }
        drop(left);
        let hold = self.hold.lock().unwrap().clone().or_else(|| self.held(step));
        if let Some(hold) = hold {
            hold.pass();
        }
        if let Some(takes) = self.pace_of(step) {
            let (_goes_on, ends) = std::sync::mpsc::channel::<()>();
            let _slow = ends.recv_timeout(takes);
        }
        self.others_act();
        self.begun.lock().unwrap().push(step.clone());
        self.host().perform(step, deadline).map_err(|error| match error {
            HostError::StillWaiting { what, writer, waited } => {
                StepError::StillWaiting { what, writer, waited }
            }
            HostError::NotAsPlanned { what, source } => StepError::NotAsPlanned { what, source },
            other => StepError::Refused { what: other.to_string(), source: io::Error::other(other) },
        })
    }

    fn mig(&self, gpu: PciAddress, command: &ProgramPath, deadline: Duration) -> Result<MigState, PortError> {
        self.waits.lock().unwrap().push(deadline);
        if let Some(hold) = self.held_look(gpu) {
            hold.pass();
        }
        if self.command_hangs.load(Ordering::Relaxed) {
            let (_says_nothing, answer) = std::sync::mpsc::channel::<()>();
            let _timed_out = answer.recv_timeout(deadline);
            return Err(port("reading GPU instances", io::Error::from(io::ErrorKind::TimedOut)));
        }
        self.host().mig(gpu, command, deadline).map_err(|error| port("reading GPU instances", error))
    }

    fn writers(&self) -> Result<(), PortError> {
        let gone = self.no_writer.load(Ordering::Relaxed);
        if gone { Err(port("writing", io::Error::other("the socket is gone"))) } else { Ok(()) }
    }

    fn holders_show_writers(&self) -> bool {
        self.holders_show_writers.load(Ordering::Relaxed)
    }

    fn waiting_writes(&self) -> Result<Vec<WaitingWrite>, PortError> {
        Ok(self.waiting.lock().unwrap().clone())
    }
}
