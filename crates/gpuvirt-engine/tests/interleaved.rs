//! What is stored while changes wait for one another: nobody's answer is undone by a change that had looked before.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

mod world;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::spawn;
use std::time::Duration;

use gpuvirt_engine::{CreateRequest, Engine, EngineError, Removal, RemoveRequest, Report, Wish};
use gpuvirt_host::Sysfs as _;
use gpuvirt_model::{ConfiguredType, DesiredGpu, Domain, ProfileName, RefusalCode, VgpuId};
use uuid::Uuid;
use world::dice::Dice;
use world::domain::{add_profile, define, hooked};
use world::patience::impatient;
use world::vgpu::{SMALL, create, mdev, remove, two_offering};
use world::{GPU, OTHER, World, at, switch};

const DEADLINE: Duration = Duration::from_secs(5);

/// Two GPUs that make vGPUs.
fn world() -> World {
    let world = two_offering();
    for gpu in [GPU, OTHER] {
        world.set(gpu, ConfiguredType::SharedDirect).unwrap();
    }
    world
}

/// Somebody else removes it by hand; whether it was there.
fn lose(world: &World, number: u128) -> bool {
    let remove = format!("/sys/bus/mdev/devices/{}/remove", Uuid::from_u128(number));
    world.kernel.write(&remove, b"1").is_ok()
}

fn code(result: Result<Report, EngineError>) -> RefusalCode {
    match result {
        Err(EngineError::Refused(refusals)) => refusals[0].code,
        other => panic!("{other:?}"),
    }
}

/// The GPU is with VFIO, and is to make a vGPU that is gone.
fn to_be_restored() -> World {
    let world = world();
    create(&world.engine(), Some(GPU), 5).unwrap();
    assert!(lose(&world, 5));
    world.set(GPU, ConfiguredType::Direct).unwrap();
    let mut files = world.files.lock().unwrap();
    let entry = files.desired.gpu(at(GPU)).unwrap().clone();
    assert_eq!(entry.vgpus.len(), 1);
    let graphics_type = ConfiguredType::SharedDirect;
    files.desired = files.desired.with_gpu(DesiredGpu { graphics_type, ..entry });
    drop(files);
    world
}

#[test]
fn a_vgpu_that_a_restore_is_about_to_make_is_removed_after_it_and_stays_removed() {
    for patience in [Duration::ZERO, Duration::from_secs(30)] {
        let world = to_be_restored();
        let engine = Arc::new(world.engine().with_patience(Duration::from_millis(50), patience));
        let hold = world.hold_steps_of(GPU);
        let restoring = spawn({
            let engine = Arc::clone(&engine);
            move || engine.restore(at(GPU), DEADLINE)
        });
        hold.until_reached();
        let removing = spawn({
            let engine = Arc::clone(&engine);
            move || remove(&engine, 5)
        });
        if patience.is_zero() {
            assert_eq!(code(removing.join().unwrap()), RefusalCode::Busy);
            hold.release();
            restoring.join().unwrap().unwrap();
            assert!(world.files().desired.has_vgpu(mdev(5)));
            remove(&engine, 5).unwrap();
        } else {
            hold.release();
            restoring.join().unwrap().unwrap();
            removing.join().unwrap().unwrap();
        }
        let files = world.files();
        assert!(!files.desired.has_vgpu(mdev(5)) && files.records.vgpus.is_empty());
        assert!(world.observed().vgpus.is_empty());
        engine.restore(at(GPU), DEADLINE).unwrap();
        assert!(world.observed().vgpus.is_empty(), "nobody brings it back");
    }
}

#[test]
fn a_vgpu_that_is_there_already_is_kept_after_the_change_of_its_gpu() {
    let world = world();
    let engine = impatient(&world);
    create(&engine, Some(GPU), 7).unwrap();
    let mut files = world.files.lock().unwrap();
    files.desired = files.desired.without_vgpus(&[mdev(7)]);
    drop(files);
    let hold = world.hold_steps_of(GPU);
    let creating = spawn({
        let engine = Arc::clone(&engine);
        move || create(&engine, Some(GPU), 8)
    });
    hold.until_reached();
    assert_eq!(code(create(&engine, None, 7)), RefusalCode::Busy);
    assert!(!world.files().desired.has_vgpu(mdev(7)));
    hold.release();
    creating.join().unwrap().unwrap();
    create(&engine, None, 7).unwrap();
    let desired = world.files().desired;
    assert!(desired.has_vgpu(mdev(7)) && desired.has_vgpu(mdev(8)));
}

#[test]
fn what_is_only_remembered_of_another_gpu_goes_without_a_word_on_the_rest_of_it() {
    let world = world();
    let engine = impatient(&world);
    for (gpu, number) in [(GPU, 1), (OTHER, 2), (OTHER, 3)] {
        create(&engine, Some(gpu), number).unwrap();
    }
    assert!(lose(&world, 2));
    let hold = world.hold_steps_of(GPU);
    let removing = spawn({
        let engine = Arc::clone(&engine);
        let which = Removal::These(vec![mdev(1), mdev(2)]);
        move || engine.remove_vgpus(&RemoveRequest { which, dry_run: false, deadline: DEADLINE })
    });
    hold.until_reached();
    create(&engine, Some(OTHER), 4).unwrap();
    remove(&engine, 3).unwrap();
    hold.release();
    removing.join().unwrap().unwrap();
    let files = world.files();
    let stored: Vec<VgpuId> =
        files.desired.gpus.iter().flat_map(|gpu| &gpu.vgpus).map(|vgpu| vgpu.id).collect();
    assert_eq!(stored, [mdev(4)]);
    assert_eq!(files.records.vgpus.keys().copied().collect::<Vec<_>>(), [mdev(4)]);
}

/// Whatever changes interleave at whichever of their steps: what was answered is true, what is stored is as the host is.
#[test]
fn however_changes_interleave_host_and_documents_agree() {
    for seed in 1..=12 {
        let world = world();
        let (engine, due) = telling(&world);
        let vms: Vec<Domain> = (0..4).map(|worker| vm(&world, &engine, worker)).collect();
        let alive = Arc::new(Mutex::new(BTreeSet::new()));
        let workers: Vec<_> = (0_u64..)
            .zip(vms)
            .map(|(number, vm)| {
                let dice = Dice(seed * 4 + number);
                let (engine, alive, world) = (Arc::clone(&engine), Arc::clone(&alive), world.clone());
                let own = Vec::new();
                spawn(move || Worker { world, engine, alive, number, vm, dice, own }.work())
            })
            .collect();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        // What was kept for the sake of a change is told of when that has ended: nothing else is left.
        while due.swap(false, Ordering::Relaxed) {
            engine.remove_released(DEADLINE).unwrap();
        }
        agree(&world, &alive.lock().unwrap(), seed);
        assert!(engine.changing().is_empty() && engine.working().is_empty());
        for gpu in [GPU, OTHER] {
            // What was lost is made again where there is room for it, and nothing else is.
            drop(engine.restore(at(gpu), DEADLINE));
        }
        agree(&world, &alive.lock().unwrap(), seed);
    }
}

/// An engine that lends the host whenever it can, and whether it has told that removals are due.
fn telling(world: &World) -> (Arc<Engine>, Arc<AtomicBool>) {
    let due = Arc::<AtomicBool>::default();
    let told = Arc::clone(&due);
    let engine = world.engine().with_patience(Duration::ZERO, Duration::from_secs(20));
    (Arc::new(engine.telling_of_releases(move || told.store(true, Ordering::Relaxed))), due)
}

fn vm(world: &World, engine: &Engine, worker: u128) -> Domain {
    let name = format!("vm{worker}");
    define(world, &name, 9000 + worker);
    add_profile(world, engine, &name, SMALL, 10_000 + worker);
    hooked(world, &name)
}

fn agree(world: &World, alive: &BTreeSet<VgpuId>, seed: u64) {
    let (files, now) = (world.files(), world.observed());
    assert!(files.intents.is_empty(), "seed {seed}: {:?}", files.intents);
    let there: BTreeSet<VgpuId> = now.vgpus.keys().copied().collect();
    assert!(there.is_subset(alive), "seed {seed}: {there:?} and {alive:?}");
    assert_eq!(files.records.vgpus.keys().copied().collect::<BTreeSet<_>>(), *alive, "seed {seed}");
    let stored = files.desired.gpus.iter().flat_map(|gpu| &gpu.vgpus).map(|vgpu| vgpu.id);
    assert_eq!(stored.collect::<BTreeSet<_>>(), *alive, "seed {seed}");
    for gpu in [GPU, OTHER] {
        let wanted = files.desired.gpu(at(gpu)).unwrap().graphics_type;
        assert_eq!(now.gpus[&at(gpu)].on_vfio, wanted == ConfiguredType::Direct, "seed {seed}: {gpu}");
    }
}

struct Worker {
    world: World,
    engine: Arc<Engine>,
    /// What somebody was told to be there, and nobody to be gone.
    alive: Arc<Mutex<BTreeSet<VgpuId>>>,
    number: u64,
    vm: Domain,
    dice: Dice,
    own: Vec<u128>,
}

impl Worker {
    fn work(mut self) {
        for turn in 0..12_u64 {
            let gpu = if self.dice.throw(2) == 0 { GPU } else { OTHER };
            match self.dice.throw(8) {
                0 | 1 => {
                    let first = u128::from(self.number * 1000 + turn * 10 + 1);
                    let numbers = first..first + 1 + u128::from(self.dice.throw(3));
                    let anywhere = self.dice.throw(2) == 0;
                    let gpu = (!anywhere).then_some(at(gpu));
                    let wish = |number| Wish::new(mdev(number), ProfileName(SMALL.to_owned()));
                    let wishes = numbers.clone().map(wish).collect();
                    if self.engine.create_vgpus(&CreateRequest { gpu, wishes, dry_run: false }).is_ok() {
                        self.alive.lock().unwrap().extend(numbers.clone().map(mdev));
                        self.own.extend(numbers);
                    }
                }
                2 | 3 => {
                    let Some(number) = self.own.pop() else { continue };
                    if self.dice.throw(2) == 0 {
                        lose(&self.world, number);
                    }
                    remove(&self.engine, number).unwrap();
                    self.alive.lock().unwrap().remove(&mdev(number));
                }
                4 => drop(self.engine.restore(at(gpu), DEADLINE)),
                5 => {
                    drop(self.engine.hook_prepare(&self.vm));
                    self.engine.hook_release(self.vm.uuid);
                    self.engine.remove_released(DEADLINE).unwrap();
                }
                6 => drop(self.engine.set_type(&switch(gpu, ConfiguredType::Direct))),
                _ => drop(self.engine.set_type(&switch(gpu, ConfiguredType::SharedDirect))),
            }
        }
    }
}
