//! The vendor's command, which may take long or hang: while a change or a placement waits for its answer, every other card is
//! changed as before, and what is decided then counts what others did meanwhile.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

mod world;

use std::sync::Arc;
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

use gpuvirt_engine::{
    ConfigRequest, Cordon, CreateGpuInstances, CreateRequest, Engine, EngineError, Preparation,
    RemoveGpuInstances, Report, Strangers, SwitchRequest, Until, Wish,
};
use gpuvirt_fakekernel::{Process, SizeRule};
use gpuvirt_model::{
    Configuration, ConfiguredType, Domain, ProfileName, RefusalCode, VgpuId, VgpuMode, When,
};
use gpuvirt_plan::Step;
use gpuvirt_plan::config::Unnamed;
use uuid::Uuid;
use world::domain::{add_profile, define, hooked};
use world::mig::{HALF, SMALL, bare_of, instances};
use world::patience::{impatient, in_time};
use world::{CLIENT, CLIENT_NODE, GPU, Hold, OTHER, TYPED, World, at, switch};

const DEADLINE: Duration = Duration::from_secs(5);
/// What [`GPU`] makes: eight of them.
const L40S: &str = "nvidia_l40s-12q";

type Ask = fn(&Engine) -> Result<Report, EngineError>;
type Asked<T> = JoinHandle<Result<T, EngineError>>;

/// A card as its driver has it, and two others, of which one makes vGPUs.
fn bare() -> World {
    let others = include_str!("../../../tests/hosts/two-gpus.umockdev");
    let world = bare_of(World::typed_beside(&[others, CLIENT_NODE].concat()));
    world.kernel.offer_mdev(at(GPU), 98304, SizeRule::Mixed, &[("beside-1", "NVIDIA_L40S-12Q", 12288)]);
    world.set(GPU, ConfiguredType::SharedDirect).unwrap();
    world
}

fn cut_up() -> SwitchRequest {
    let prepare = Preparation { vgpu_mode: Some(VgpuMode::Mig), vf_count: None };
    SwitchRequest { prepare, ..switch(TYPED, ConfiguredType::SharedDirect) }
}

/// The same with the card cut into GPU instances.
fn world() -> World {
    let world = bare();
    let engine = world.engine();
    engine.set_type(&cut_up()).unwrap();
    order(&engine, 1).unwrap();
    world.forget_intentions();
    world
}

/// It waits for the command.
fn asked<T: Send + 'static>(
    engine: &Arc<Engine>,
    hold: &Hold,
    ask: impl FnOnce(&Engine) -> Result<T, EngineError> + Send + 'static,
) -> Asked<T> {
    let engine = Arc::clone(engine);
    let asking = spawn(move || ask(&engine));
    hold.until_reached();
    asking
}

fn order(engine: &Engine, count: u32) -> Result<Report, EngineError> {
    let request =
        CreateGpuInstances { gpu: at(TYPED), profile: SMALL.to_owned(), count, dry_run: false, key: None };
    engine.create_gpu_instances(&request)
}

fn typed(to: ConfiguredType) -> SwitchRequest {
    SwitchRequest { label: Some("cut".to_owned()), ..switch(TYPED, to) }
}

/// vGPUs of the other card.
fn create(engine: &Engine, numbers: std::ops::Range<u128>) -> Result<Report, EngineError> {
    let wish = |number| Wish::new(Uuid::from_u128(number).into(), ProfileName(L40S.to_owned()));
    engine.create_vgpus(&CreateRequest {
        gpu: Some(at(GPU)),
        wishes: numbers.map(wish).collect(),
        dry_run: false,
    })
}

fn vgpu(number: u128) -> VgpuId {
    Uuid::from_u128(number).into()
}

#[track_caller]
fn codes<T: std::fmt::Debug>(result: Result<T, EngineError>) -> Vec<RefusalCode> {
    match result {
        Err(EngineError::Refused(refusals)) => refusals.iter().map(|refusal| refusal.code).collect(),
        other => panic!("{other:?}"),
    }
}

const ASKS: [(&str, Ask); 7] = [
    ("set", |engine| engine.set_type(&typed(ConfiguredType::SharedDirect))),
    ("back", |engine| engine.set_type(&typed(ConfiguredType::Direct))),
    ("later", |engine| {
        let request = SwitchRequest { when: Some(When::Boot), ..typed(ConfiguredType::Shared) };
        engine.configure(&request)
    }),
    ("restore", |engine| engine.restore(at(TYPED), DEADLINE)),
    ("mig create", |engine| order(engine, 2)),
    ("mig remove", |engine| {
        let request = RemoveGpuInstances { gpu: at(TYPED), id: None, dry_run: false, deadline: DEADLINE };
        engine.remove_gpu_instances(&request)
    }),
    ("config check", |engine| checked(engine, document(engine))),
];

/// The card by itself, with another label.
fn document(engine: &Engine) -> Configuration {
    let mut config = engine.export_config().unwrap();
    config.gpus.retain(|gpu| gpu.address == Some(at(TYPED)));
    config.gpus.iter_mut().for_each(|gpu| gpu.label = Some(Some("cut".to_owned())));
    config
}

/// What a document would do to the card.
fn checked(engine: &Engine, config: Configuration) -> Result<Report, EngineError> {
    let request = ConfigRequest { until: Until::Plans, ..applied(config) };
    engine.apply_config(&request)?.gpus.remove(0).result
}

fn applied(config: Configuration) -> ConfigRequest {
    ConfigRequest {
        config,
        unnamed: Unnamed::Kept,
        until: Until::Done,
        yes: true,
        strangers: Strangers::Left,
        deadline: DEADLINE,
    }
}

/// Whichever of its looks it is: the one that it decides on, or the one that tells whether all came out as planned.
#[test]
fn while_a_card_is_asked_for_its_instances_every_other_one_is_changed() {
    for (what, ask) in ASKS {
        for first in 0..looks(ask) {
            let world = world();
            let engine = impatient(&world);
            let hold = world.hold_looks_after(first);
            let what = format!("{what}, look {first}");
            let asking = asked(&engine, &hold, ask);
            in_time(&what, || create(&engine, 7..8)).unwrap();
            in_time(&what, || engine.set_type(&switch(OTHER, ConfiguredType::Direct))).unwrap();
            // No change of that card comes between.
            assert_eq!(codes(in_time(&what, || order(&engine, 1))), [RefusalCode::Busy], "{what}");
            let told: Vec<_> = engine.working().iter().map(|working| working.gpu).collect();
            assert!(told == [at(TYPED)] && !asking.is_finished(), "{what}: {told:?}");
            hold.release();
            asking.join().unwrap().unwrap();
            let files = world.files();
            // What was stored meanwhile stands.
            assert!(files.desired.has_vgpu(vgpu(7)) && files.records.vgpus.contains_key(&vgpu(7)), "{what}");
            assert!(files.records.host_bindings.contains_key(&at(OTHER)), "{what}");
            assert!(files.intents.is_empty() && engine.changing().is_empty(), "{what}");
            let ours = files.records.gpu_instances.len();
            assert_eq!((engine.working(), instances_of(&world)), (Vec::new(), ours), "{what}");
        }
    }
}

/// How often the command is asked for it.
fn looks(ask: Ask) -> usize {
    let world = world();
    world.waits.lock().unwrap().clear();
    ask(&world.engine()).unwrap();
    let looks = world.waits.lock().unwrap().len();
    assert!(looks > 0, "the test tests nothing");
    looks
}

/// As many as the card tells, where it can be asked.
fn instances_of(world: &World) -> usize {
    if world.observed().gpus[&at(TYPED)].on_vfio { 0 } else { instances(world).len() }
}

#[test]
fn a_document_keeps_what_others_stored_while_a_card_of_it_was_asked() {
    let world = world();
    let engine = impatient(&world);
    let mut config = engine.export_config().unwrap();
    config.gpus.iter_mut().for_each(|gpu| gpu.label = Some(Some("cut".to_owned())));
    let request = applied(config);
    // The first look is that of the plans.
    let hold = world.hold_looks_after(1);
    let applying = asked(&engine, &hold, move |engine| engine.apply_config(&request));
    in_time("create", || create(&engine, 7..8)).unwrap();
    hold.release();
    let report = applying.join().unwrap().unwrap();
    assert!(report.gpus.iter().all(|gpu| gpu.result.is_ok()), "{report:?}");
    let files = world.files();
    assert!(files.desired.has_vgpu(vgpu(7)) && files.records.vgpus.contains_key(&vgpu(7)));
    assert_eq!(files.desired.gpu(at(TYPED)).unwrap().label.as_deref(), Some("cut"));
}

#[test]
fn a_cordon_that_comes_while_it_is_asked_counts() {
    let world = world();
    let engine = impatient(&world);
    let hold = world.hold_looks_after(0);
    let asking = asked(&engine, &hold, |engine| order(engine, 1));
    in_time("cordon", || engine.set_cordon(at(TYPED), Cordon::On)).unwrap();
    hold.release();
    assert_eq!(codes(asking.join().unwrap()), [RefusalCode::Cordoned]);
    assert!(world.begun.lock().unwrap().is_empty());
}

#[test]
fn who_came_to_use_the_card_while_it_was_asked_is_not_disturbed() {
    let to_be_cut = |engine: &Engine| {
        let mut config = document(engine);
        config.gpus[0].graphics_type = ConfiguredType::SharedDirect;
        config.gpus[0].vgpu_mode = Some(Some(VgpuMode::Mig));
        config
    };
    who_came_to_use_it_is_seen_by(|engine| engine.set_type(&cut_up()));
    who_came_to_use_it_is_seen_by(move |engine| checked(engine, to_be_cut(engine)));
    who_came_to_use_it_is_seen_by(move |engine| {
        engine.apply_config(&applied(to_be_cut(engine)))?.gpus.remove(0).result
    });
}

fn who_came_to_use_it_is_seen_by(ask: impl FnOnce(&Engine) -> Result<Report, EngineError> + Send + 'static) {
    let world = bare();
    world.forget_intentions();
    let engine = impatient(&world);
    let hold = world.hold_looks_after(0);
    let asking = asked(&engine, &hold, ask);
    // Others have the host before it: what was looked at is old.
    in_time("create", || create(&engine, 7..8)).unwrap();
    world.kernel.start(Process::new(77, "python").opens(CLIENT));
    hold.release();
    assert_eq!(codes(asking.join().unwrap()), [RefusalCode::GpuInUse]);
    let of_card = |step: &Step| step.function().is_some_and(|function| function.same_slot(&at(TYPED)));
    assert!(!world.begun.lock().unwrap().iter().any(of_card));
}

/// Its type follows the host's, which the document changes too: that counts for a picture from after the look as well.
#[test]
fn a_check_that_lent_the_host_judges_by_the_defaults_of_its_document() {
    let world = bare();
    let engine = impatient(&world);
    let mut config = document(&engine);
    config.host.default_type = Some(ConfiguredType::SharedDirect);
    config.gpus[0].graphics_type = ConfiguredType::Default;
    config.gpus[0].vgpu_mode = Some(Some(VgpuMode::Mig));
    let at_once = checked(&engine, config.clone()).unwrap();
    let hold = world.hold_looks_after(0);
    let asking = asked(&engine, &hold, move |engine| checked(engine, config));
    in_time("create", || create(&engine, 7..8)).unwrap();
    hold.release();
    let told = asking.join().unwrap().unwrap();
    assert_eq!((told.outcome, told.plan), (at_once.outcome, at_once.plan));
}

/// The room that is left is taken while it is found out how much there is on a card whose command is slow.
fn while_room_is_counted<T: std::fmt::Debug + Send + 'static>(
    ask: impl FnOnce(&Engine, &Domain) -> Result<T, EngineError> + Send + 'static,
) -> Vec<RefusalCode> {
    let world = world();
    let engine = impatient(&world);
    let half =
        CreateGpuInstances { gpu: at(TYPED), profile: HALF.to_owned(), count: 1, dry_run: false, key: None };
    engine.create_gpu_instances(&half).unwrap();
    define(&world, "web", 5);
    add_profile(&world, &engine, "web", L40S, 1005);
    let web = hooked(&world, "web");
    let hold = world.hold_looks_after(0);
    let asking = asked(&engine, &hold, move |engine| ask(engine, &web));
    in_time("switch", || engine.set_type(&switch(OTHER, ConfiguredType::Direct))).unwrap();
    in_time("create", || create(&engine, 1..9)).unwrap();
    hold.release();
    let codes = codes(asking.join().unwrap());
    assert!(world.files().intents.is_empty() && engine.changing().is_empty());
    assert_eq!(world.observed().vgpus.len(), 8);
    codes
}

#[test]
fn a_vgpu_is_placed_by_what_is_there_when_the_command_has_answered() {
    let wishes = vec![Wish::new(vgpu(1005), ProfileName(L40S.to_owned()))];
    let request = CreateRequest { gpu: None, wishes, dry_run: false };
    assert_eq!(
        while_room_is_counted(move |engine, _| engine.create_vgpus(&request)),
        [RefusalCode::NoSuitableGpu]
    );
}

#[test]
fn a_start_is_judged_by_what_is_there_when_the_command_has_answered() {
    assert_eq!(while_room_is_counted(Engine::hook_prepare), [RefusalCode::NoSuitableGpu]);
}
