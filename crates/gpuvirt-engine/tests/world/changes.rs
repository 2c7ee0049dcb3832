//! Every kind of change that the engine makes to a host, each with the state that it begins in: what is tried with failures,
//! deaths and blocked writes at every one of its steps.
//!
//! [`ACTS`] lists what steps can do, by an exhaustive `match`: a new step does not compile before it has a name there, and
//! the tests fail before some change here makes it.

use std::collections::BTreeSet;
use std::time::Duration;

use gpuvirt_engine::{
    CreateGpuInstances, CreateRequest, DeviceRequest, EngineError, ParamsRequest, Preparation,
    RemoveGpuInstances, Report, SwitchRequest,
};
use gpuvirt_fakekernel::{Errno, Fault, On, SizeRule, Written};
use gpuvirt_model::{ConfiguredType, ProfileName, VgpuId, VgpuMode, When};
use gpuvirt_plan::{MigMode, MixedSize, Plan, Step, UnbindLock};
use uuid::Uuid;

use super::domain::{add_profile, define, hooked, relist};
use super::{Files, GPU, OTHER, PLAIN, PLAIN_VF, Picture, TYPED, VF, World, at, mig, switch};

/// A change carried out.
pub type Act = fn(&World) -> Result<Report, EngineError>;

/// A kind of change.
#[derive(Debug, Clone, Copy)]
pub struct Change {
    pub name: &'static str,
    /// The state that it begins in.
    pub world: fn() -> World,
    pub act: Act,
    pub finally: Finally,
}

/// Where the next daemon leads the host when one died during the change, all that it does by itself included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finally {
    /// How it was before.
    TakenBack,
    /// Where the change led: nobody has what it gives back.
    Done,
}

const DEADLINE: Duration = Duration::from_secs(1);
/// The VM of a change that is a start, or an end.
const VM: Uuid = Uuid::from_u128(1);
const UUID: Uuid = Uuid::from_u128(5);

/// A world in which something was done already.
pub fn after(world: World, acts: &[Act]) -> World {
    for act in acts {
        act(&world).unwrap();
    }
    world
}

pub const TO_DIRECT: Act = |world| world.set(GPU, ConfiguredType::Direct);
pub const TO_SHARED: Act = |world| world.set(GPU, ConfiguredType::Shared);
const OFFER: Act = |world| world.set(OTHER, ConfiguredType::SharedDirect);
const ENABLE: Act = |world| world.set(PLAIN, ConfiguredType::SharedDirect);
const PREPARE: Act = |world| prepare(world, VgpuMode::MixedSize);
const PREPARE_MIG: Act = |world| prepare(world, VgpuMode::Mig);
const TYPED_TO_SHARED: Act = |world| world.set(TYPED, ConfiguredType::Shared);
const TYPED_TO_DIRECT: Act = |world| world.set(TYPED, ConfiguredType::Direct);
const CREATE: Act = |world| create(world, OTHER, "lab-1q", "");
const CREATE_BY_TYPE: Act = |world| create(world, TYPED, "nvidia_l40s-12q", "");
const CREATE_PLAIN: Act = |world| create(world, PLAIN, "vf", "");
const WITH_PARAMETERS: Act = |world| create(world, OTHER, "nvidia_x-4q", "a=1");
const TYPED_WITH_PARAMETERS: Act = |world| create(world, TYPED, "nvidia_l40s-12q", "a=1");
const CUT: Act = |world| {
    let profile = mig::SMALL.to_owned();
    let request = CreateGpuInstances { gpu: at(TYPED), profile, count: 2, dry_run: false, key: None };
    world.engine().create_gpu_instances(&request)
};
const UNCUT: Act = |world| {
    let request = RemoveGpuInstances { gpu: at(TYPED), id: None, dry_run: false, deadline: DEADLINE };
    world.engine().remove_gpu_instances(&request)
};

const UNSET: Act = |world| world.engine().unset(at(GPU));

fn prepare(world: &World, mode: VgpuMode) -> Result<Report, EngineError> {
    let prepare = Preparation { vgpu_mode: Some(mode), vf_count: None };
    let request = switch(TYPED, ConfiguredType::SharedDirect);
    world.engine().set_type(&SwitchRequest { prepare, ..request })
}

fn create(world: &World, gpu: &str, profile: &str, params: &str) -> Result<Report, EngineError> {
    let mut request = CreateRequest::one(at(gpu), ProfileName(profile.to_owned()), UUID);
    request.wishes[0].params = params.parse().unwrap();
    world.engine().create_vgpus(&request)
}

fn set_params(world: &World, id: VgpuId, params: &str) -> Result<Report, EngineError> {
    let params = params.parse().unwrap();
    let request = ParamsRequest { id, params, clear: true, dry_run: false, deadline: DEADLINE };
    world.engine().set_vgpu_params(&request)
}

/// A card that makes mediated devices as NVIDIA's driver does, with parameters.
fn mediated() -> World {
    let world = World::offering_vgpus(OTHER);
    let types = [("nvidia-4", "NVIDIA X-4Q", 4096)];
    world.kernel.offer_mdev(at(OTHER), 8192, SizeRule::Same, &types);
    after(world, &[OFFER])
}

/// A VM that asks for a vGPU of this profile, and is off.
fn asking(world: World, profile: &str) -> World {
    define(&world, "web", VM.as_u128());
    add_profile(&world, &world.engine(), "web", profile, UUID.as_u128());
    world
}

fn asking_for_mdev() -> World {
    asking(after(World::offering_vgpus(OTHER), &[OFFER]), "lab-1q")
}

fn asking_for_type() -> World {
    asking(World::typed(), "nvidia_l40s-12q")
}

/// A VM that asks for a card which is lent to VMs, and is off.
fn asking_for_card(world: World, gpu: &str) -> World {
    let engine = world.engine();
    let when = Some(When::Vm);
    engine.configure(&SwitchRequest { when, ..switch(gpu, ConfiguredType::Direct) }).unwrap();
    define(&world, "web", VM.as_u128());
    engine.vm_add("web", DeviceRequest::Gpu(at(gpu)), false).unwrap();
    relist(&world);
    world
}

/// libvirt starts the VM.
const START: Act = |world| {
    let made = world.engine().hook_prepare(&hooked(world, "web"))?;
    Ok(Report::changed(format!("{made:?}")))
};

/// Its end: what was made for it goes, what was lent goes back.
const END: Act = |world| {
    let engine = world.engine();
    engine.hook_release(VM);
    engine.remove_released(DEADLINE)?;
    match engine.kept_cards(&engine.view()?).into_values().next() {
        None => Ok(Report::changed("ended".to_owned())),
        // Nobody waits for an answer: the reason is kept, with what is true now behind it.
        Some(why) => {
            let (what, now) = why.rsplit_once("; ").map_or((why.as_str(), ""), |(what, now)| (what, now));
            Err(EngineError::Failed { what: what.to_owned(), now: now.to_owned() })
        }
    }
};

/// Every kind of change.
pub fn changes() -> Vec<Change> {
    [switches(), by_tool(), vgpus(), instances(), of_vms()].concat()
}

/// Changes of our documents alone, which leave the host as it is.
pub fn of_documents() -> Vec<Change> {
    vec![
        kind("unset", direct, UNSET),
        kind("unset after a failed way back", || left_on_the_way(direct()), UNSET),
        kind("unset of what was never configured", || left_on_the_way(World::new()), UNSET),
    ]
}

fn direct() -> World {
    after(World::new(), &[TO_DIRECT])
}

/// A host whose card could be led neither on nor back.
fn left_on_the_way(world: World) -> World {
    let to = world.files().desired.gpu(at(GPU)).map_or(ConfiguredType::Direct, |_| ConfiguredType::Shared);
    world.kernel.inject(On::Probe { function: at(GPU) }, Fault::Errno(Errno::EIO));
    let ended = world.set(GPU, to);
    assert!(matches!(ended, Err(EngineError::Failed { .. })), "{ended:?}");
    world.kernel.clear_faults();
    world
}

/// What a change comes to when nothing fails.
pub struct Done {
    pub host: Picture,
    pub files: Files,
    /// Its writes, programs that it ran included.
    pub writes: Vec<Written>,
    /// Its plans, with what the journal noted of them.
    pub intended: Vec<Plan>,
    /// The world after it.
    pub world: World,
}

impl Done {
    /// How many steps its plans have.
    pub fn steps(&self) -> usize {
        self.intended.iter().map(|plan| plan.steps.len()).sum()
    }
}

/// Tries every kind of change, side by side, and tells of each that fails.
pub fn each(check: impl Fn(Change) + Copy + Send + Sync) {
    each_of(changes(), check);
}

/// The same for these.
pub fn each_of(changes: Vec<Change>, check: impl Fn(Change) + Copy + Send + Sync) {
    let failed: Vec<&str> = std::thread::scope(|scope| {
        let try_one = |change: Change| {
            let thread = std::thread::Builder::new().name(change.name.to_owned());
            (change.name, thread.spawn_scoped(scope, move || check(change)).unwrap())
        };
        let running: Vec<_> = changes.into_iter().map(try_one).collect();
        running.into_iter().filter_map(|(name, thread)| thread.join().is_err().then_some(name)).collect()
    });
    assert!(failed.is_empty(), "failed: {failed:?}");
}

/// Fails unless both are the same, and shows the lines that differ.
pub fn assert_same<T: std::fmt::Debug + PartialEq>(found: &T, expected: &T, told: &str) {
    if found == expected {
        return;
    }
    let (found, expected) = (format!("{found:#?}"), format!("{expected:#?}"));
    let only = |of: &str, other: &str| -> String {
        let lines: BTreeSet<&str> = other.lines().collect();
        of.lines().filter(|line| !lines.contains(line)).map(|line| format!("\n{line}")).collect()
    };
    panic!("{told}\nfound only:{}\nexpected only:{}", only(&found, &expected), only(&expected, &found));
}

/// The host and our files, where the numbers of GPU instances are none: they change when one is made again, and the records
/// follow.
pub fn state(world: &World) -> (Picture, Files) {
    let (host, mut files) = (world.picture(), world.files());
    let records = &mut files.records.gpu_instances;
    if host.instances.is_some() && !records.is_empty() {
        let live = mig::state(world).instances;
        assert!(
            records.iter().all(|record| live.iter().any(|one| record.is_of(record.gpu, one))),
            "{records:?}"
        );
    }
    records.iter_mut().for_each(|record| record.id = 0);
    records.sort_by_key(|record| record.placement.map(|place| place.to_string()));
    (host, files)
}

/// Carries a change out in a world of its own.
pub fn done(change: Change) -> Done {
    done_in((change.world)(), change)
}

/// Carries it out in this one.
pub fn done_in(world: World, change: Change) -> Done {
    world.kernel.forget_writes();
    world.forget_intentions();
    (change.act)(&world).unwrap();
    let (writes, intended) = (world.kernel.writes(), world.intended.lock().unwrap().clone());
    let (host, files) = state(&world);
    Done { host, files, writes, intended, world }
}

fn kind(name: &'static str, world: fn() -> World, act: Act) -> Change {
    Change { name, world, act, finally: Finally::TakenBack }
}

/// A passthrough card of which nobody knows what driver had it.
fn direct_for_ever() -> World {
    let world = after(World::new(), &[TO_DIRECT]);
    world.files.lock().unwrap().records.host_bindings.clear();
    world
}

fn switches() -> Vec<Change> {
    let enabled = || after(World::plain(), &[ENABLE]);
    vec![
        kind("to direct", World::new, TO_DIRECT),
        kind("to shared", || after(World::new(), &[TO_DIRECT]), TO_SHARED),
        kind("to shared, for whichever driver", direct_for_ever, TO_SHARED),
        kind("enable", World::plain, ENABLE),
        kind("disable", enabled, |world| world.set(PLAIN, ConfiguredType::Shared)),
        kind("disable for direct", enabled, |world| world.set(PLAIN, ConfiguredType::Direct)),
    ]
}

/// With services to be stopped, the driver's lock, and the vendor's programs.
fn by_tool() -> Vec<Change> {
    vec![
        kind("by tool: to direct", World::vendor, TYPED_TO_DIRECT),
        kind("by tool: prepare", World::vendor, PREPARE),
        kind("by tool: prepare from direct", || after(World::vendor(), &[TYPED_TO_DIRECT]), PREPARE),
        kind("by tool: take back", || after(World::vendor(), &[PREPARE]), TYPED_TO_SHARED),
        kind("by tool: take back for direct", || after(World::vendor(), &[PREPARE]), TYPED_TO_DIRECT),
    ]
}

fn vgpus() -> Vec<Change> {
    let offering = || after(World::offering_vgpus(OTHER), &[OFFER]);
    vec![
        kind("create", offering, CREATE),
        kind(
            "remove",
            || after(World::offering_vgpus(OTHER), &[OFFER, CREATE]),
            |world| world.remove_vgpu(UUID),
        ),
        kind("create by type", World::typed, CREATE_BY_TYPE),
        kind(
            "remove by type",
            || after(World::typed(), &[CREATE_BY_TYPE]),
            |world| world.remove_vgpu(VgpuId::Vf(at(VF))),
        ),
        kind("create plain", || after(World::plain(), &[ENABLE]), CREATE_PLAIN),
        kind(
            "remove plain",
            || after(World::plain(), &[ENABLE, CREATE_PLAIN]),
            |world| world.remove_vgpu(VgpuId::Vf(at(PLAIN_VF))),
        ),
        kind("create with parameters", mediated, WITH_PARAMETERS),
        kind(
            "remove with parameters",
            || after(World::typed(), &[TYPED_WITH_PARAMETERS]),
            |world| world.remove_vgpu(VgpuId::Vf(at(VF))),
        ),
        kind(
            "set parameters",
            || after(mediated(), &[WITH_PARAMETERS]),
            |world| set_params(world, VgpuId::Mdev(UUID), "a=2, b=3"),
        ),
        kind(
            "set parameters by type",
            || after(World::typed(), &[TYPED_WITH_PARAMETERS]),
            |world| set_params(world, VgpuId::Vf(at(VF)), "b=3"),
        ),
        kind(
            "clear parameters",
            || after(mediated(), &[WITH_PARAMETERS]),
            |world| set_params(world, VgpuId::Mdev(UUID), ""),
        ),
    ]
}

fn instances() -> Vec<Change> {
    vec![
        kind("mig: prepare", mig::bare, PREPARE_MIG),
        kind("mig: take back", || after(mig::bare(), &[PREPARE_MIG, CUT]), TYPED_TO_SHARED),
        kind("mig: create", mig::cut, CUT),
        kind("mig: remove", || after(mig::cut(), &[CUT]), UNCUT),
    ]
}

fn of_vms() -> Vec<Change> {
    let ends = |name, world, act| Change { finally: Finally::Done, ..kind(name, world, act) };
    vec![
        kind("start", asking_for_mdev, START),
        ends("end", || after(asking_for_mdev(), &[START]), END),
        kind("start by type", asking_for_type, START),
        ends("end by type", || after(asking_for_type(), &[START]), END),
        kind("lend", || asking_for_card(World::new(), GPU), START),
        ends("give back", || after(asking_for_card(World::new(), GPU), &[START]), END),
        kind("by tool: lend", || asking_for_card(World::vendor(), TYPED), START),
        ends("by tool: give back", || after(asking_for_card(World::vendor(), TYPED), &[START]), END),
    ]
}

/// Names for what a step can do, and for which step is which. The `match` has no `_`: a new step must be named.
macro_rules! acts {
    ($($name:literal: $pattern:pat,)*) => {
        /// Everything that steps can do.
        pub const ACTS: &[&str] = &[$($name),*];

        /// What a step does.
        pub fn act_of(step: &Step) -> &'static str {
            match step {
                $($pattern => $name,)*
            }
        }
    };
}

acts! {
    "load a module": Step::LoadModule { .. },
    "set an override": Step::SetOverride { driver: Some(_), .. },
    "clear an override": Step::SetOverride { driver: None, .. },
    "unbind": Step::Unbind { .. },
    "probe for a driver": Step::Probe { expect: Some(_), .. },
    "probe for whichever driver": Step::Probe { expect: None, .. },
    "create a mediated device": Step::CreateMdev { .. },
    "remove a mediated device": Step::RemoveMdev { .. },
    "take a type away": Step::SetVgpuType { to: 0, .. },
    "set a type": Step::SetVgpuType { .. },
    "set parameters": Step::SetVgpuParams { .. },
    "take virtual functions away": Step::SetVfCount { to: 0, .. },
    "make virtual functions": Step::SetVfCount { .. },
    "set autoprobe": Step::SetVfAutoprobe { .. },
    "turn MIG mode on": Step::SetMigMode { to: MigMode::On, .. },
    "turn MIG mode off": Step::SetMigMode { to: MigMode::Off, .. },
    "create a GPU instance": Step::CreateGpuInstance { .. },
    "remove a GPU instance": Step::RemoveGpuInstance { .. },
    "take virtual functions away by tool": Step::CycleVfs { to: 0, .. },
    "make virtual functions by tool": Step::CycleVfs { .. },
    "mix sizes": Step::SetMixedSize { to: MixedSize::On, .. },
    "mix no sizes": Step::SetMixedSize { to: MixedSize::Off, .. },
    "take the driver's lock": Step::SetUnbindLock { to: UnbindLock::Taken, .. },
    "give the driver's lock back": Step::SetUnbindLock { to: UnbindLock::Free, .. },
    "put power/control back": Step::SetPowerControl { .. },
    "stop a service": Step::StopService { .. },
    "start a service": Step::StartService { .. },
}
