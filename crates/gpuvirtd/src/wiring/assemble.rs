//! Everything put together, for this machine or for a recorded one.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use gpuvirt_api::Source;
use gpuvirt_api::event::EventKind;
use gpuvirt_engine::Engine;
use gpuvirt_engine::ports::{Domains, Host, Store};
use gpuvirt_fakekernel::{FakeKernel, Program};
use gpuvirt_libvirt::{Happened, Told};
use gpuvirt_recording::RecordedHost;
use gpuvirt_state::ClaimFiles;

use super::claim::ClaimingStore;
use super::domains::{Gate, LibvirtDomains, RecordedDomains};
use super::host::{HostPort, RehearsedHost};
use super::store::FileStore;
use crate::cli::Cli;
use crate::config::{Config, GpuInstances};
use crate::events::EventLog;
use crate::hearing::Hearing;
use crate::hook_watch::HookWatch;
use crate::server::polkit::Polkit;
use crate::server::stir::Stir;
use crate::server::{Context, Definitions, Outside, ReadGate, WriteGate};

/// polkit's own program to ask it.
const PKCHECK: &str = "/usr/bin/pkcheck";

/// The daemon, put together and not serving yet.
pub struct Assembled {
    /// What the server serves.
    pub context: Context,
    /// Opened once the daemon is ready: libvirt may be asked then.
    pub libvirt: Gate,
}

/// The daemon that the command line and the configuration describe.
///
/// # Errors
/// What keeps it from being put together.
pub fn assemble(cli: &Cli, config: &Config) -> anyhow::Result<Assembled> {
    if config.gpu_instances == GpuInstances::Nvml && !cfg!(feature = "nvml") {
        anyhow::bail!(
            "gpu_instances = \"nvml\": this gpuvirtd was built without NVIDIA's management library"
        );
    }
    let store = FileStore::open(&cli.state_dir)?;
    let (hearing, events) = (Arc::<Hearing>::default(), Arc::<EventLog>::default());
    let (stir, watch) = (Arc::<Stir>::default(), Arc::<HookWatch>::default());
    let (context, libvirt) = match &cli.host {
        None => {
            let domains =
                LibvirtDomains::new(&config.libvirt_uri)?.with_events(told(&hearing, &events, &stir, &watch));
            let gate = domains.gate();
            let host = HostPort::this_machine(config, cli.writers.as_deref());
            let store = ClaimingStore::new(store, ClaimFiles::of(&cli.state_dir), host.kernel_release());
            (over(host, domains, store, Source::Daemon), gate)
        }
        Some(file) => {
            let (host, domains) = recorded(file, config)?;
            (over(host, domains, store, Source::Recording), Gate::default())
        }
    };
    let context = context
        .hearing(hearing, events, stir)
        .with_hook_watch(watch)
        .with_gate(write_gate(config))
        .with_read_gate(read_gate(config))
        .with_write_deadline(config.write_deadline());
    Ok(Assembled { context, libvirt })
}

/// What libvirt's events lead to: listings look again, and whoever listens is told.
fn told(hearing: &Arc<Hearing>, events: &Arc<EventLog>, stir: &Arc<Stir>, watch: &Arc<HookWatch>) -> Told {
    let (hearing, events, stir) = (Arc::clone(hearing), Arc::clone(events), Arc::clone(stir));
    let watch = Arc::clone(watch);
    Arc::new(move |event| {
        hearing.changed();
        match event.happened {
            Happened::Started => watch.started(&event.name),
            Happened::Stopped => watch.stopped(&event.name),
            _ => {}
        }
        if event.happened == Happened::Stopped {
            stir.ended(event.uuid);
        }
        // Their room is kept for VMs that start with the host; that one is to has no event of its own.
        if matches!(event.happened, Happened::Defined | Happened::Undefined | Happened::Started) {
            stir.domains_changed();
        }
        if event.happened == Happened::DevicesChanged {
            stir.device_changed();
        }
        let happened = match event.happened {
            Happened::Defined => "was defined",
            Happened::Undefined => "is defined no more",
            Happened::Started => "started",
            Happened::Stopped => "stopped",
            Happened::DevicesChanged => "got or lost a device while it runs",
            Happened::Other => return,
        };
        events.tell(EventKind::Vm, None, format!("VM {} {happened}", event.name));
    })
}

fn over<H, D, S>(host: H, domains: D, store: S, source: Source) -> Context
where
    S: Store + Clone + 'static,
    H: Host + Clone + 'static,
    D: Domains + Definitions + Clone + 'static,
{
    let engine = Engine::new(Box::new(host.clone()), Box::new(domains.clone()), Box::new(store.clone()));
    let definitions = Arc::new(domains.clone());
    let outside =
        Outside { host: Arc::new(host), domains: Arc::new(domains), store: Arc::new(store), definitions };
    Context::new(engine, outside, source)
}

/// A recorded host, brought to life by the fake kernel.
fn recorded(file: &Path, config: &Config) -> anyhow::Result<(RehearsedHost, RecordedDomains)> {
    let recording = RecordedHost::open(file).with_context(|| format!("loading {}", file.display()))?;
    for note in recording.notes() {
        tracing::info!(note, "the recording");
    }
    let domains = RecordedDomains(recording.domains().unwrap_or_default().to_vec());
    let kernel = FakeKernel::copy_of(&recording);
    // A snapshot has its host's /proc; a bare dump can't hold one.
    let kernel = if recording.manifest().is_some() { kernel } else { kernel.with_proc() };
    install_programs(&kernel, config);
    Ok((RehearsedHost::new(Arc::new(kernel), Arc::new(recording), config), domains))
}

/// Stand-ins for the programs that the rules of drivers name, so that a recorded card can be prepared too.
fn install_programs(kernel: &FakeKernel, config: &Config) {
    for rule in config.driver_rules().iter() {
        let tool = rule.vf_tool.as_ref().map(|path| (path, Program::VfTool));
        let command = rule.command.as_ref().map(|path| (path, Program::Command));
        for (path, program) in tool.into_iter().chain(command) {
            kernel.install(path.as_str(), program);
        }
    }
}

/// Who may write. A group that is not there lets nobody through.
fn write_gate(config: &Config) -> WriteGate {
    let owner = Some(nix::unistd::geteuid().as_raw());
    let group = config.write_group.as_ref().and_then(|name| Some((name.clone(), group_number(name)?)));
    // Where polkit is not installed, nobody is let through by it.
    let polkit = config.polkit.then(|| Polkit::new(PKCHECK.into()));
    WriteGate { group, owner, polkit }
}

/// Who may read. A group that is not there lets nobody through.
fn read_gate(config: &Config) -> ReadGate {
    let group = |name: &String| ReadGate::Group(name.clone(), group_number(name));
    config.read_group.as_ref().map(group).unwrap_or_default()
}

fn group_number(name: &str) -> Option<u32> {
    match nix::unistd::Group::from_name(name) {
        Ok(Some(group)) => Some(group.gid.as_raw()),
        Ok(None) => {
            tracing::error!(group = name, "there is no such group: nobody is let through for being in it");
            None
        }
        Err(error) => {
            tracing::error!(group = name, %error, "the group can't be looked up: it lets nobody through");
            None
        }
    }
}
