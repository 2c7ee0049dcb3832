//! A change of many steps, none of which takes long: others have their turn in the midst of it, and it goes on all the same.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

use gpuvirt_engine::{CreateRequest, Engine, EngineError, Removal, RemoveRequest, Report, Wish};
use gpuvirt_fakekernel::SizeRule;
use gpuvirt_model::{ConfiguredType, DesiredVgpu, ProfileName, RefusalCode, VgpuParams};
use uuid::Uuid;
use world::{GPU, OTHER, World, at, switch};

const SMALL: &str = "lab-1q";
/// So many fit on each card, and so long each takes on the slow one until the test has seen enough: all of them would take
/// ten seconds, in which others come through on any machine.
const MANY: u128 = 128;
const STEP: Duration = Duration::from_millis(80);
/// How long a change has the host to itself: longer than any of its steps.
const ALONE: Duration = Duration::from_millis(250);

/// Two GPUs that make vGPUs, of which one takes long for each: and an engine.
fn world() -> (World, Arc<Engine>) {
    let world = World::new();
    let types = [(SMALL, "LAB-1Q", 1024), ("lab-2q", "LAB-2Q", 2048)];
    for gpu in [GPU, OTHER] {
        world.kernel.offer_mdev(at(gpu), 1024 * MANY as u64, SizeRule::Mixed, &types);
        world.set(gpu, ConfiguredType::SharedDirect).unwrap();
    }
    world.slow_down(GPU, STEP);
    let engine = Arc::new(world.engine().with_patience(ALONE, Duration::ZERO));
    (world, engine)
}

fn wish(number: u128) -> Wish {
    Wish::new(Uuid::from_u128(number).into(), ProfileName(SMALL.to_owned()))
}

fn create(engine: &Engine, gpu: &str, numbers: std::ops::Range<u128>) -> Result<Report, EngineError> {
    let wishes = numbers.map(wish).collect();
    engine.create_vgpus(&CreateRequest { gpu: Some(at(gpu)), wishes, dry_run: false })
}

fn remove(engine: &Engine, which: Removal) -> Result<Report, EngineError> {
    engine.remove_vgpus(&RemoveRequest { which, dry_run: false, deadline: Duration::from_secs(5) })
}

/// A change of [`GPU`] in many short steps, of which the first has begun.
fn many_steps(engine: &Arc<Engine>, count: u128) -> JoinHandle<Result<Report, EngineError>> {
    let change = spawn({
        let engine = Arc::clone(engine);
        move || create(&engine, GPU, 1..1 + count)
    });
    while engine.working().is_empty() {
        std::thread::yield_now();
    }
    change
}

#[test]
fn others_come_through_while_it_lasts_and_its_card_stays_busy() {
    let (world, engine) = world();
    let change = many_steps(&engine, MANY);
    create(&engine, OTHER, 1000..1001).unwrap();
    engine.set_type(&switch(OTHER, ConfiguredType::SharedDirect)).unwrap();
    let Err(EngineError::Refused(refusals)) = create(&engine, GPU, 2000..2001) else { panic!() };
    assert_eq!(refusals[0].code, RefusalCode::Busy, "{refusals:?}");
    assert!(!change.is_finished(), "they waited for all of it");
    world.slow_down(GPU, Duration::ZERO);
    change.join().unwrap().unwrap();
    let files = world.files();
    assert_eq!(files.records.vgpus.len() as u128, MANY + 1);
    assert!((1..=MANY).chain([1000]).all(|number| files.desired.has_vgpu(Uuid::from_u128(number).into())));
    assert!(files.intents.is_empty() && engine.changing().is_empty());
}

#[test]
fn however_many_come_meanwhile_it_goes_on() {
    let (world, engine) = world();
    let few = MANY / 4;
    let change = many_steps(&engine, few);
    let (ended, turns) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let others: Vec<_> = (0..4)
        .map(|worker| {
            let (engine, ended, turns) = (Arc::clone(&engine), Arc::clone(&ended), Arc::clone(&turns));
            spawn(move || {
                let number = 1000 + worker;
                while !ended.load(Ordering::Relaxed) {
                    create(&engine, OTHER, number..number + 1).unwrap();
                    turns.fetch_add(1, Ordering::Relaxed);
                    remove(&engine, Removal::These(vec![Uuid::from_u128(number).into()])).unwrap();
                    turns.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    // They go on until it ends: that it does is what is asked here.
    change.join().unwrap().unwrap();
    let meanwhile = turns.load(Ordering::Relaxed);
    ended.store(true, Ordering::Relaxed);
    others.into_iter().for_each(|other| other.join().unwrap());
    assert!(meanwhile >= 2, "{meanwhile} came through");
    assert_eq!(world.observed().vgpus.len() as u128, few);
}

#[test]
fn changes_in_one_turn_count_together() {
    let (world, engine) = world();
    // They can't be made together, for one is of a profile that there is not: each is a change of its own.
    let mut files = world.files.lock().unwrap();
    let vgpu = |number: u128, profile: &str| DesiredVgpu {
        id: Uuid::from_u128(number).into(),
        profile: ProfileName(profile.to_owned()),
        params: VgpuParams::default(),
    };
    let mut lost: Vec<DesiredVgpu> = (1..MANY).map(|number| vgpu(number, SMALL)).collect();
    lost.push(vgpu(MANY, "lab-9q"));
    files.desired = files.desired.with_vgpus(at(GPU), &lost);
    drop(files);
    let restoring = spawn({
        let engine = Arc::clone(&engine);
        move || engine.restore(at(GPU), Duration::from_secs(5))
    });
    while engine.working().is_empty() {
        std::thread::yield_now();
    }
    create(&engine, OTHER, 1000..1001).unwrap();
    assert!(!restoring.is_finished(), "it waited for all of it");
    world.slow_down(GPU, Duration::ZERO);
    assert!(restoring.join().unwrap().is_err());
    assert_eq!(world.observed().vgpus.len() as u128, MANY);
    assert!(world.files().desired.has_vgpu(Uuid::from_u128(1000).into()));
}
