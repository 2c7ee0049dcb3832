//! Changes of a card whose GPU instances are asked for, beside those of others: whichever has the host while one waits for the
//! vendor's command, what was answered is true, and what is stored is as the host is.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

mod world;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::thread::spawn;
use std::time::Duration;

use gpuvirt_engine::{
    CreateGpuInstances, CreateRequest, Engine, Preparation, Removal, RemoveGpuInstances, RemoveRequest,
    SwitchRequest, Wish,
};
use gpuvirt_fakekernel::SizeRule;
use gpuvirt_model::{ConfiguredType, Domain, ProfileName, VgpuId, VgpuMode};
use uuid::Uuid;
use world::dice::Dice;
use world::domain::{add_profile, define, hooked};
use world::mig::{HALF, SMALL, bare_of, places, state};
use world::{GPU, OTHER, TYPED, World, at, switch};

const DEADLINE: Duration = Duration::from_secs(5);
const L40S: &str = "nvidia_l40s-12q";

/// A card that is cut into GPU instances, one that makes mediated devices of the same profile, and one more.
fn world() -> World {
    let world = bare_of(World::typed_beside(include_str!("../../../tests/hosts/two-gpus.umockdev")));
    world.kernel.offer_mdev(at(GPU), 12288 * 3, SizeRule::Mixed, &[("beside-1", "NVIDIA_L40S-12Q", 12288)]);
    world.set(GPU, ConfiguredType::SharedDirect).unwrap();
    let prepare = Preparation { vgpu_mode: Some(VgpuMode::Mig), vf_count: None };
    let request = switch(TYPED, ConfiguredType::SharedDirect);
    world.engine().set_type(&SwitchRequest { prepare, ..request }).unwrap();
    world
}

fn vm(world: &World, engine: &Engine, worker: u128) -> Domain {
    let name = format!("vm{worker}");
    define(world, &name, 9000 + worker);
    add_profile(world, engine, &name, L40S, 10_000 + worker);
    hooked(world, &name)
}

#[test]
fn however_changes_and_looks_interleave_host_and_documents_agree() {
    for seed in 1..=6 {
        let world = world();
        let engine = Arc::new(world.engine().with_patience(Duration::ZERO, Duration::from_secs(20)));
        let vms: Vec<Domain> = (0..4).map(|worker| vm(&world, &engine, worker)).collect();
        let alive = Arc::new(Mutex::new(BTreeSet::new()));
        let workers: Vec<_> = (0_u64..)
            .zip(vms)
            .map(|(number, vm)| {
                let (engine, alive) = (Arc::clone(&engine), Arc::clone(&alive));
                let (dice, own) = (Dice(seed * 4 + number), Vec::new());
                spawn(move || Worker { engine, alive, number, vm, dice, own }.work())
            })
            .collect();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        engine.remove_released(DEADLINE).unwrap();
        assert!(engine.changing().is_empty() && engine.working().is_empty(), "seed {seed}");
        agree(&world, &alive.lock().unwrap(), seed);
    }
}

fn agree(world: &World, alive: &BTreeSet<VgpuId>, seed: u64) {
    let (files, now) = (world.files(), world.observed());
    assert!(files.intents.is_empty(), "seed {seed}: {:?}", files.intents);
    assert_eq!(now.vgpus.keys().copied().collect::<BTreeSet<_>>(), *alive, "seed {seed}");
    assert_eq!(files.records.vgpus.keys().copied().collect::<BTreeSet<_>>(), *alive, "seed {seed}");
    let stored = files.desired.gpus.iter().flat_map(|gpu| &gpu.vgpus).map(|vgpu| vgpu.id);
    assert_eq!(stored.collect::<BTreeSet<_>>(), *alive, "seed {seed}");
    let ours = state(world).instances.iter().all(|one| files.records.made_instance(at(TYPED), one));
    let mut cut: Vec<String> = places(world).into_iter().map(|(profile, _)| profile).collect();
    cut.sort();
    assert_eq!(files.records.gpu_instances.len(), cut.len(), "seed {seed}");
    assert!(ours, "seed {seed}");
    assert_eq!(files.desired.gpu(at(TYPED)).unwrap().gpu_instances, cut, "seed {seed}");
    let direct =
        files.desired.gpu(at(OTHER)).is_some_and(|other| other.graphics_type == ConfiguredType::Direct);
    assert_eq!(now.gpus[&at(OTHER)].on_vfio, direct, "seed {seed}");
}

struct Worker {
    engine: Arc<Engine>,
    /// What somebody was told to be there, and nobody to be gone.
    alive: Arc<Mutex<BTreeSet<VgpuId>>>,
    number: u64,
    vm: Domain,
    dice: Dice,
    own: Vec<VgpuId>,
}

impl Worker {
    fn work(mut self) {
        for turn in 0..10 {
            match self.dice.throw(10) {
                0 | 1 => {
                    let profile = if self.dice.throw(2) == 0 { SMALL } else { HALF }.to_owned();
                    let request =
                        CreateGpuInstances { gpu: at(TYPED), profile, count: 1, dry_run: false, key: None };
                    drop(self.engine.create_gpu_instances(&request));
                }
                2 => {
                    let (gpu, deadline) = (at(TYPED), DEADLINE);
                    let request = RemoveGpuInstances { gpu, id: None, dry_run: false, deadline };
                    drop(self.engine.remove_gpu_instances(&request));
                }
                3 | 4 => self.create(turn),
                5 => self.remove(),
                6 => {
                    let label = Some(format!("label {}", self.dice.throw(3)));
                    let request = switch(TYPED, ConfiguredType::SharedDirect);
                    drop(self.engine.set_type(&SwitchRequest { label, ..request }));
                }
                7 => drop(self.engine.restore(at(TYPED), DEADLINE)),
                8 => {
                    let direct = self.dice.throw(2) == 0;
                    let to = if direct { ConfiguredType::Direct } else { ConfiguredType::Shared };
                    drop(self.engine.set_type(&switch(OTHER, to)));
                }
                _ => {
                    drop(self.engine.hook_prepare(&self.vm));
                    self.engine.hook_release(self.vm.uuid);
                    self.engine.remove_released(DEADLINE).unwrap();
                }
            }
        }
    }

    /// On whichever card has room.
    fn create(&mut self, turn: u64) {
        let uuid = Uuid::from_u128(u128::from(self.number * 100 + turn + 1));
        let wishes = vec![Wish::new(uuid.into(), ProfileName(L40S.to_owned()))];
        if let Ok(report) = self.engine.create_vgpus(&CreateRequest { gpu: None, wishes, dry_run: false }) {
            self.alive.lock().unwrap().extend(report.vgpus.iter().copied());
            self.own.extend(report.vgpus);
        }
    }

    fn remove(&mut self) {
        let Some(id) = self.own.pop() else { return };
        let which = Removal::These(vec![id]);
        self.engine.remove_vgpus(&RemoveRequest { which, dry_run: false, deadline: DEADLINE }).unwrap();
        self.alive.lock().unwrap().remove(&id);
    }
}
