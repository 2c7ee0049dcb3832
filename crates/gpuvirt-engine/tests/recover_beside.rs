//! Recovery of several cards: one whose write waits, or whose vendor's command hangs, keeps no other from being taken back.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

mod world;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};

use gpuvirt_engine::{CreateGpuInstances, CreateRequest, Engine, EngineError, Report, Wish};
use gpuvirt_fakekernel::{Errno, On};
use gpuvirt_model::{ConfiguredType, PciAddress, ProfileName, RefusalCode};
use uuid::Uuid;
use world::mig::{SMALL, cut_of, instances};
use world::patience::impatient;
use world::{GPU, OTHER, TYPED, World, at, switch, vgpu};

const DEADLINE: Duration = Duration::from_secs(5);
const OTHERS: &str = include_str!("../../../tests/hosts/two-gpus.umockdev");

/// A daemon dies before this step of it.
fn dies(world: &World, step: usize, act: impl FnOnce(&Engine) -> Result<Report, EngineError>) {
    *world.dies_before.lock().unwrap() = Some(step);
    let died = catch_unwind(AssertUnwindSafe(|| act(&world.engine())));
    *world.dies_before.lock().unwrap() = None;
    assert!(died.is_err());
}

/// Three cards, each with a change that a daemon's death left open.
fn three_open() -> World {
    let world = World::typed_beside(OTHERS);
    for gpu in [GPU, OTHER] {
        dies(&world, 4, |engine| engine.set_type(&switch(gpu, ConfiguredType::Direct)));
    }
    dies(&world, 1, two_vgpus);
    assert_eq!(open(&world).len(), 3);
    world
}

fn two_vgpus(engine: &Engine) -> Result<Report, EngineError> {
    let profile = || ProfileName("nvidia_l40s-12q".to_owned());
    let wishes = (1..=2).map(|number| Wish::new(Uuid::from_u128(number).into(), profile())).collect();
    engine.create_vgpus(&CreateRequest { gpu: Some(at(TYPED)), wishes, dry_run: false })
}

fn open(world: &World) -> BTreeSet<PciAddress> {
    world.files().intents.iter().map(|plan| plan.gpu).collect()
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < end, "{what}");
        std::thread::yield_now();
    }
}

/// As the daemon does when it starts.
fn recovering(world: &World) -> (Arc<Engine>, JoinHandle<Result<Report, EngineError>>) {
    let engine = impatient(world);
    let recovering = spawn({
        let engine = Arc::clone(&engine);
        move || engine.recover(DEADLINE)
    });
    (engine, recovering)
}

#[test]
fn two_cards_whose_writes_wait_wait_at_once_and_the_third_is_taken_back() {
    let world = three_open();
    let holds = [GPU, OTHER].map(|gpu| world.hold_steps_of(gpu));
    let (engine, recovering) = recovering(&world);
    holds.iter().for_each(|hold| hold.until_reached());
    until("the third one waits for them", || open(&world) == BTreeSet::from([at(GPU), at(OTHER)]));
    // And it can be changed, while the others are told to be under way.
    assert!(world.observed().vgpus.is_empty());
    two_vgpus(&engine).unwrap();
    let Err(EngineError::Refused(busy)) = engine.set_type(&switch(GPU, ConfiguredType::Direct)) else {
        panic!()
    };
    assert_eq!(busy[0].code, RefusalCode::Busy);
    // Asked for again it is under way, and nothing is begun twice.
    assert!(!engine.recover(DEADLINE).unwrap().outcome.is_changed());
    assert!(!recovering.is_finished());
    holds.iter().for_each(|hold| hold.release());
    let report = recovering.join().unwrap().unwrap();
    let told = report.outcome.value();
    assert!([GPU, OTHER, TYPED].iter().all(|gpu| told.contains(gpu)), "{told}");
    assert!(open(&world).is_empty() && engine.changing().is_empty());
    let observed = world.observed();
    assert!([GPU, OTHER].iter().all(|gpu| !observed.gpus[&at(gpu)].on_vfio));
    assert_eq!((observed.vgpus.len(), world.files().records.vgpus.len()), (2, 2));
}

#[test]
fn what_cannot_be_taken_back_is_told_with_what_could() {
    let world = three_open();
    world.kernel.fail(On::Override { function: at(GPU) }, Errno::EIO);
    let Err(EngineError::Failed { what, now }) = world.engine().recover(DEADLINE) else { panic!() };
    assert!(what.starts_with(GPU) && !what.contains(OTHER), "{what}");
    assert!(now.contains(OTHER) && now.contains(TYPED), "{now}");
    assert_eq!(open(&world), BTreeSet::from([at(GPU)]));
}

/// Whichever of its looks it is: the one that is decided on, the one that the way back is planned on, or the last.
#[test]
fn a_card_whose_vendors_command_hangs_keeps_nobody_from_anything() {
    for first in 0..3 {
        let world = cut_of(World::typed_beside(OTHERS));
        vgpu::offer(&world, OTHER, 8192);
        world.set(OTHER, ConfiguredType::SharedDirect).unwrap();
        dies(&world, 4, |engine| engine.set_type(&switch(GPU, ConfiguredType::Direct)));
        let cut = CreateGpuInstances {
            gpu: at(TYPED),
            profile: SMALL.to_owned(),
            count: 2,
            dry_run: false,
            key: None,
        };
        dies(&world, 1, |engine| engine.create_gpu_instances(&cut));
        assert_eq!(instances(&world).len(), 1);

        let hold = world.hold_looks_after(first);
        let (engine, recovering) = recovering(&world);
        hold.until_reached();
        until("the other one waits for it", || open(&world) == BTreeSet::from([at(TYPED)]));
        vgpu::create(&engine, Some(OTHER), 1).unwrap();
        assert!(!recovering.is_finished());
        hold.release();
        recovering.join().unwrap().unwrap();
        assert!(open(&world).is_empty() && world.files().desired.has_vgpu(vgpu::mdev(1)), "{first}");
        assert!(instances(&world).is_empty(), "{first}");
    }
}
