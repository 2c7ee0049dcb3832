//! Outside worlds in memory, and a server over them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use gpuvirt_api::Source;
use gpuvirt_api::event::EventKind;
use gpuvirt_engine::Engine;
use gpuvirt_engine::ports::{Asker, Domains, Host, PortError, StepError, Store};
use gpuvirt_model::health::LibvirtVersions;
use gpuvirt_model::{
    ClassCode, ConfiguredType, Desired, DesiredGpu, Domain, DomainState, DriverBinding, DriverName,
    Framework, Function, Gpu, Holders, HostFacts, Hostdev, ModulePresence, Observed, PciAddress, PciIdentity,
    Profile, ProfileName, Reading, Records, Unknown, Vgpu, VgpuRecord,
};
use gpuvirt_plan::{Performed, Plan, Step};
use gpuvirtd::events::EventLog;
use gpuvirtd::hearing::Hearing;
use gpuvirtd::server::listen::{Identify, Server};
use gpuvirtd::server::polkit::Polkit;
use gpuvirtd::server::stir::Stir;
use gpuvirtd::server::{Context, Definitions, Outside, Patience, Peer, ReadGate, WriteGate, router};
use gpuvirtd::wiring::domains::LibvirtDomains;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::oneshot;
use uuid::Uuid;

pub const GPU: PciAddress = PciAddress { domain: 0, bus: 0x41, slot: 0, function: 0 };
pub const AUDIO: PciAddress = PciAddress { domain: 0, bus: 0x41, slot: 0, function: 1 };
pub const VGPU: Uuid = Uuid::from_u128(0x1111_2222);
/// What was made for a VM; see [`Script::made_for`].
pub const MADE: Uuid = Uuid::from_u128(0x3333_4444);
/// Longest wait for something that must happen.
const PATIENCE: Duration = Duration::from_secs(30);
pub const WRITERS: u32 = 990;
/// A domain with a name that needs every kind of encoding.
pub const ODD_NAME: &str = "win 11/größe?#%";

/// What the fakes do.
#[derive(Default, Clone)]
pub struct Script {
    pub panic_in_observe: bool,
    pub state_unreadable: bool,
    pub domains_unknown: bool,
    /// As many listings go without an answer.
    pub unanswered: Arc<AtomicUsize>,
    pub intent_open: bool,
    /// Looks at the host wait here, when there is one.
    pub hold: Option<Arc<Hold>>,
    /// What is to be stored waits here, when there is one.
    pub hold_commits: Option<Arc<Hold>>,
    /// Steps of a change wait here, when there is one.
    pub hold_steps: Option<Arc<Hold>>,
    /// Who may read.
    pub read_gate: ReadGate,
    /// The program that stands for pkcheck.
    pub polkit: Option<PathBuf>,
    /// A vGPU that is gone from the host was made for this VM, which runs for as long as the flag says so.
    pub made_for: Option<(Uuid, Arc<AtomicBool>)>,
    /// libvirt itself, where the fake one is not enough.
    pub libvirt: Option<LibvirtDomains>,
}

/// Where calls wait until the test lets them go on.
#[derive(Default)]
pub struct Hold {
    state: Mutex<(usize, bool)>,
    changed: Condvar,
}

impl Hold {
    /// Waits until somebody waits here.
    pub fn until_reached(&self) {
        let state = self.state.lock().unwrap();
        let (state, timeout) =
            self.changed.wait_timeout_while(state, PATIENCE, |(waiting, _)| *waiting == 0).unwrap();
        assert!(!timeout.timed_out(), "nobody came: {}", state.0);
    }

    /// Lets everybody go on.
    pub fn release(&self) {
        self.state.lock().unwrap().1 = true;
        self.changed.notify_all();
    }

    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.0 += 1;
        self.changed.notify_all();
        drop(self.changed.wait_while(state, |(_, released)| !*released).unwrap());
    }
}

struct World {
    script: Script,
    stored: Mutex<(Desired, Records)>,
    journal: Mutex<Vec<Plan>>,
    looks: AtomicUsize,
}

fn identity() -> PciIdentity {
    let class = ClassCode(0x03_00_00);
    PciIdentity { vendor: 0x10de, device: 0x2235, subsystem_vendor: 0x10de, subsystem_device: 0x145a, class }
}

fn made_for(vm: Uuid) -> VgpuRecord {
    VgpuRecord {
        parent: GPU,
        type_id: "test-1".to_owned(),
        profile: ProfileName("test_small".to_owned()),
        framework: Framework::Mdev,
        boot: None,
        domain: Some(vm),
        asked_as: None,
    }
}

fn function(address: PciAddress) -> Function {
    Function {
        device_name: Some("a card".to_owned()),
        binding: DriverBinding { driver: DriverName::parse("nouveau").ok(), driver_override: None },
        iommu_group: Some(17),
        reset_methods: Reading::Known(vec!["flr".to_owned()]),
        ..Function::new(address, identity())
    }
}

fn profile() -> Profile {
    Profile {
        name: ProfileName("test_small".to_owned()),
        parent: GPU,
        framework: Framework::Mdev,
        type_id: "test-1".to_owned(),
        title: "Test Small".to_owned(),
        device_api: "vfio-pci".to_owned(),
        available: 3,
        max: Some(4),
        framebuffer_mib: None,
        class: None,
        sharing: None,
        heads: None,
        max_resolution: None,
        blocked: None,
    }
}

fn observed() -> Observed {
    let host = HostFacts {
        iommu: true,
        interrupt_remapping: Reading::Known(true),
        unsafe_interrupts_allowed: false,
        vfio_pci: ModulePresence::Ready,
        pci_drivers: std::collections::BTreeSet::new(),
        function_count: 2,
        kernel_release: None,
        boot_id: None,
        vfio_migration: Reading::Unknown(gpuvirt_model::Unknown::NotRecorded),
        driver_rules: gpuvirt_model::DriverRules::default(),
        running_services: std::collections::BTreeMap::new(),
        oddities: vec!["an oddity".to_owned()],
    };
    let gpu = Gpu {
        frameworks: vec![Framework::Mdev],
        profiles: vec![profile()],
        host_driver: true,
        live_vgpus: 1,
        ..Gpu::new(GPU, vec![GPU, AUDIO])
    };
    let vgpu = Vgpu {
        id: VGPU.into(),
        uuid: Some(VGPU),
        parent: GPU,
        gpu: GPU,
        framework: Framework::Mdev,
        type_id: "test-1".to_owned(),
        profile: ProfileName("test_small".to_owned()),
        iommu_group: Some(18),
        gpu_instance: None,
        placement_id: None,
        removing: false,
        params: None,
        holders: Holders::default(),
    };
    Observed {
        host,
        gpus: [(GPU, gpu)].into(),
        functions: [(GPU, function(GPU)), (AUDIO, function(AUDIO))].into(),
        groups: Default::default(),
        vgpus: [(VGPU.into(), vgpu)].into(),
        mig: std::collections::BTreeMap::new(),
        domains: Reading::Unknown(Unknown::NeedsDaemon),
    }
}

fn failure(doing: &str) -> PortError {
    PortError { doing: doing.to_owned(), source: "state.json, line 3: broken".into() }
}

impl Host for World {
    fn observe(&self) -> Result<Observed, PortError> {
        self.looks.fetch_add(1, Ordering::Relaxed);
        assert!(!self.script.panic_in_observe, "this test wants a panic");
        if let Some(hold) = &self.script.hold {
            hold.pass();
        }
        Ok(observed())
    }

    fn is_present(&self, _: PciAddress) -> bool {
        true
    }

    fn perform(&self, _: &Step, _: Duration) -> Result<Performed, StepError> {
        if let Some(hold) = &self.script.hold_steps {
            hold.pass();
        }
        Ok(Performed::default())
    }
}

impl Domains for World {
    fn list(&self) -> Reading<Vec<Domain>> {
        if let Some(libvirt) = &self.script.libvirt {
            return libvirt.list();
        }
        let left = |left: usize| left.checked_sub(1);
        let silent = self.script.unanswered.fetch_update(Ordering::SeqCst, Ordering::SeqCst, left).is_ok();
        if self.script.domains_unknown || silent {
            return Reading::Unknown(Unknown::Unreadable { what: "libvirt does not answer".to_owned() });
        }
        let domain = |name: &str, uuid| Domain {
            name: name.to_owned(),
            uuid: Uuid::from_u128(uuid),
            state: DomainState::ShutOff,
            autostart: false,
            config: vec![Hostdev::Mdev { uuid: VGPU }],
            live: Vec::new(),
            requests: gpuvirt_model::Requests::default(),
            guest: gpuvirt_model::Guest::default(),
        };
        let mut domains = vec![domain("web", 1), domain(ODD_NAME, 2)];
        if let Some((vm, runs)) = &self.script.made_for {
            let state = if runs.load(Ordering::SeqCst) { DomainState::Active } else { DomainState::ShutOff };
            let live = vec![Hostdev::Mdev { uuid: MADE }];
            domains.push(Domain { state, live, ..domain("made-for", vm.as_u128()) });
        }
        Reading::Known(domains)
    }

    fn list_for(&self, asker: Asker) -> Reading<Vec<Domain>> {
        match &self.script.libvirt {
            Some(libvirt) => libvirt.list_for(asker),
            None => self.list(),
        }
    }

    fn inactive_xml(&self, _: &str) -> Result<Option<String>, PortError> {
        Ok(Some("<domain><graphics passwd='secret'/></domain>".to_owned()))
    }

    fn redefine(&self, _: &str, _: &str, _: &str) -> Result<bool, PortError> {
        Ok(true)
    }

    fn start(&self, _: &str) -> Result<(), PortError> {
        Ok(())
    }
}

impl Definitions for World {
    fn owes_answer(&self, patience: Patience) -> bool {
        self.script.libvirt.as_ref().is_some_and(|libvirt| libvirt.owes_answer(patience))
    }

    fn libvirt(&self, patience: Patience) -> (Option<String>, Reading<LibvirtVersions>) {
        match &self.script.libvirt {
            Some(libvirt) => libvirt.libvirt(patience),
            None => (None, Reading::Unknown(Unknown::NotRecorded)),
        }
    }

    fn public_xml(&self, name: &str) -> Result<Option<String>, PortError> {
        if let Some(libvirt) = &self.script.libvirt {
            return libvirt.public_xml(name);
        }
        Ok(["web", ODD_NAME].contains(&name).then(|| "<domain><graphics/></domain>".to_owned()))
    }
}

impl Store for World {
    fn load(&self) -> Result<(Desired, Records), PortError> {
        if self.script.state_unreadable {
            return Err(failure("the state can't be read"));
        }
        Ok(self.stored.lock().unwrap().clone())
    }

    fn commit(&self, desired: &Desired, records: &Records) -> Result<(), PortError> {
        if let Some(hold) = &self.script.hold_commits {
            hold.pass();
        }
        *self.stored.lock().unwrap() = (desired.clone(), records.clone());
        Ok(())
    }

    fn open_journal(&self, plan: &Plan) -> Result<(), PortError> {
        self.journal.lock().unwrap().push(plan.clone());
        Ok(())
    }

    fn open_intents(&self) -> Result<Vec<Plan>, PortError> {
        let plan = Plan {
            gpu: GPU,
            purpose: "it becomes direct".to_owned(),
            steps: Vec::new(),
            before: Default::default(),
            promises: Default::default(),
            marks: Default::default(),
        };
        let begun = self.journal.lock().unwrap().clone();
        Ok(self.script.intent_open.then_some(plan).into_iter().chain(begun).collect())
    }

    fn close_journal(&self, plan: &Plan) -> Result<(), PortError> {
        self.journal.lock().unwrap().retain(|open| open.gpu != plan.gpu);
        Ok(())
    }
}

/// Forwards the ports to one shared world: the engine wants to own them.
struct Shared(Arc<World>);

impl Host for Shared {
    fn observe(&self) -> Result<Observed, PortError> {
        self.0.observe()
    }
    fn is_present(&self, function: PciAddress) -> bool {
        self.0.is_present(function)
    }

    fn perform(&self, step: &Step, deadline: Duration) -> Result<Performed, StepError> {
        self.0.perform(step, deadline)
    }
}

impl Domains for Shared {
    fn list(&self) -> Reading<Vec<Domain>> {
        self.0.list()
    }
    fn list_for(&self, asker: Asker) -> Reading<Vec<Domain>> {
        self.0.list_for(asker)
    }
    fn inactive_xml(&self, name: &str) -> Result<Option<String>, PortError> {
        self.0.inactive_xml(name)
    }
    fn redefine(&self, name: &str, expected: &str, xml: &str) -> Result<bool, PortError> {
        self.0.redefine(name, expected, xml)
    }
    fn start(&self, name: &str) -> Result<(), PortError> {
        self.0.start(name)
    }
}

impl Store for Shared {
    fn load(&self) -> Result<(Desired, Records), PortError> {
        self.0.load()
    }
    fn commit(&self, desired: &Desired, records: &Records) -> Result<(), PortError> {
        self.0.commit(desired, records)
    }
    fn open_journal(&self, plan: &Plan) -> Result<(), PortError> {
        self.0.open_journal(plan)
    }
    fn open_intents(&self) -> Result<Vec<Plan>, PortError> {
        self.0.open_intents()
    }
    fn close_journal(&self, plan: &Plan) -> Result<(), PortError> {
        self.0.close_journal(plan)
    }
}

/// A server on a socket of its own; it ends with this value.
pub struct Daemon {
    dir: tempfile::TempDir,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
    hearing: Arc<Hearing>,
    pub events: Arc<EventLog>,
    pub stir: Arc<Stir>,
    world: Arc<World>,
}

impl Daemon {
    pub fn start() -> Self {
        Self::start_with(Script::default(), as_root)
    }

    pub fn start_with(script: Script, identify: Identify) -> Self {
        let label = Some("left card".to_owned());
        let entry = DesiredGpu { label, ..DesiredGpu::new(GPU, identity(), ConfiguredType::SharedDirect) };
        let mut records = Records::default();
        if let Some((vm, _)) = &script.made_for {
            records.vgpus.insert(MADE.into(), made_for(*vm));
        }
        let stored = Mutex::new((Desired::default().with_gpu(entry), records));
        let read_gate = script.read_gate.clone();
        let polkit = script.polkit.clone().map(Polkit::new);
        let reconciles = script.made_for.is_some();
        let world = Arc::new(World { script, stored, journal: Mutex::default(), looks: AtomicUsize::new(0) });
        let shared = || Box::new(Shared(Arc::clone(&world)));
        let engine = Engine::new(shared(), shared(), shared());
        let (host, domains, store, definitions) =
            (Arc::clone(&world), Arc::clone(&world), Arc::clone(&world), Arc::clone(&world));
        let outside = Outside { host, domains, store, definitions };
        let group = Some(("gpuvirt".to_owned(), WRITERS));
        let gate = WriteGate { group, owner: None, polkit };
        let context =
            Arc::new(Context::new(engine, outside, Source::Daemon).with_gate(gate).with_read_gate(read_gate));
        let dir = tempfile::tempdir().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let listener = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
        let hearing = Arc::clone(&context.hearing);
        let (events, stir) = (Arc::clone(&context.events), Arc::clone(&context.stir));
        let thread = std::thread::spawn(move || serve(listener, context, identify, (stopped, reconciles)));
        Self { dir, stop: Some(stop), thread: Some(thread), hearing, events, stir, world }
    }

    /// Tells the server to stop, and does not wait for it.
    pub fn stop(&mut self) {
        drop(self.stop.take());
    }

    /// What the server hears of its host.
    pub fn hearing(&self) -> Arc<Hearing> {
        Arc::clone(&self.hearing)
    }

    /// Whether what was made for a VM is still remembered.
    pub fn remembers_what_it_made(&self) -> bool {
        self.world.stored.lock().unwrap().1.vgpus.contains_key(&MADE.into())
    }

    /// How often the host was looked at.
    pub fn looks(&self) -> usize {
        self.world.looks.load(Ordering::Relaxed)
    }

    pub fn socket(&self) -> PathBuf {
        Path::join(self.dir.path(), "socket")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn serve(
    listener: std::os::unix::net::UnixListener,
    context: Arc<Context>,
    identify: Identify,
    (stopped, reconciles): (oneshot::Receiver<()>, bool),
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        listener.set_nonblocking(true).unwrap();
        let listener = tokio::net::UnixListener::from_std(listener).unwrap();
        let (events, stir) = (Arc::clone(&context.events), Arc::clone(&context.stir));
        if reconciles {
            drop(tokio::spawn(Arc::clone(&context).reconcile()));
            drop(tokio::spawn(Arc::clone(&context).remove_when_due()));
        }
        let server = Server::with_identify(router(context), identify).stirring(stir);
        let stopped = async {
            drop(stopped.await);
            events.tell(EventKind::Stopping, None, "the test ends");
        };
        server.serve(listener, stopped).await;
    });
}

pub fn as_root(_: &tokio::net::UnixStream) -> std::io::Result<Peer> {
    Ok(Peer { uid: 0, gid: 0, groups: Some(Vec::new()), pid: Some(1), started: None })
}

pub fn as_member(_: &tokio::net::UnixStream) -> std::io::Result<Peer> {
    Ok(Peer { uid: 1000, gid: 1000, groups: Some(vec![4, WRITERS]), pid: Some(1), started: None })
}

pub fn as_other(_: &tokio::net::UnixStream) -> std::io::Result<Peer> {
    Ok(Peer { uid: 1000, gid: 1000, groups: Some(vec![4]), pid: Some(1), started: None })
}

pub fn as_groupless(_: &tokio::net::UnixStream) -> std::io::Result<Peer> {
    Ok(Peer { uid: 1000, gid: 1000, groups: None, pid: None, started: None })
}

pub fn as_unknown(_: &tokio::net::UnixStream) -> std::io::Result<Peer> {
    Err(std::io::ErrorKind::InvalidInput.into())
}
