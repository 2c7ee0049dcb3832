//! Two cards that are cut into GPU instances: what is read of the one is old when it was changed while the other one's command
//! took long.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

mod world;

use std::sync::Arc;
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

use gpuvirt_engine::{
    CreateGpuInstances, CreateRequest, Engine, EngineError, Preparation, RemoveGpuInstances, Report,
    SwitchRequest, Wish,
};
use gpuvirt_host::Sysfs as _;
use gpuvirt_model::{ConfiguredType, PciAddress, ProfileName, RefusalCode, VgpuMode};
use uuid::Uuid;
use world::mig::{HALF, bare_of, kinds};
use world::patience::{impatient, in_time};
use world::{TYPED, World, at, switch};

const DEADLINE: Duration = Duration::from_secs(5);
/// The other one, after [`TYPED`] in any order.
const SECOND: &str = "0000:27:00.0";
/// What lives on a half of a card, told by its name: type 1153.
const ON_HALF: &str = "nvidia_l40s-3-24q";

/// The host with such a card, and the same one once more behind a port of its own.
fn host() -> String {
    let dump = include_str!("../../../tests/hosts/vgpu-types-host.umockdev");
    let dump = dump.replace("NVIDIA L40S-12Q", "NVIDIA L40S-3-24Q");
    let card = dump.split("\n\n").filter(|device| {
        let path = device.lines().next().unwrap_or_default();
        path.contains("0000:00:03.0") || path.starts_with("P: /devices/virtual/vfio/7")
    });
    let card = card.collect::<Vec<_>>().join("\n\n");
    let renamed = [
        ("0000:26", "0000:27"),
        ("0000:00:03.0", "0000:00:05.0"),
        ("iommu_groups/30", "iommu_groups/31"),
        ("iommu_groups/6", "iommu_groups/8"),
        ("iommu_groups/7", "iommu_groups/9"),
        ("vfio/7", "vfio/9"),
        ("vfio-dev/vfio", "vfio-dev/vfio1"),
    ];
    let second = renamed.iter().fold(card, |card, (from, to)| card.replace(from, to));
    format!("{dump}\n{second}\n")
}

/// Both can be cut, and are with their drivers.
fn world() -> World {
    let world = World::of(&host());
    world.set(TYPED, ConfiguredType::SharedDirect).unwrap();
    let world = bare_of(world);
    world.kernel.offer_gpu_instances(at(SECOND), &kinds());
    world.kernel.write(&format!("/sys/bus/pci/devices/{SECOND}/sriov_numvfs"), b"0").unwrap();
    for gpu in [TYPED, SECOND] {
        let prepare = Preparation { vgpu_mode: Some(VgpuMode::Mig), vf_count: None };
        let request = switch(gpu, ConfiguredType::SharedDirect);
        world.engine().set_type(&SwitchRequest { prepare, ..request }).unwrap();
        cut(&world.engine(), gpu).unwrap();
    }
    world
}

fn cut(engine: &Engine, gpu: &str) -> Result<Report, EngineError> {
    let profile = HALF.to_owned();
    engine.create_gpu_instances(&CreateGpuInstances {
        gpu: at(gpu),
        profile,
        count: 1,
        dry_run: false,
        key: None,
    })
}

/// One of its GPU instances goes.
fn uncut(engine: &Engine, gpu: &str) -> Result<Report, EngineError> {
    let (_, found) = engine.mig(Some(at(gpu)))?;
    let id = found[0].state.as_ref().unwrap().instances.last().map(|instance| instance.id);
    let request = RemoveGpuInstances { gpu: at(gpu), id, dry_run: false, deadline: DEADLINE };
    engine.remove_gpu_instances(&request)
}

fn create(engine: &Engine, gpu: Option<&str>, count: u128) -> Result<Report, EngineError> {
    let gpu = gpu.map(at);
    let wish = |number| Wish::new(Uuid::from_u128(number).into(), ProfileName(ON_HALF.to_owned()));
    engine.create_vgpus(&CreateRequest { gpu, wishes: (1..=count).map(wish).collect(), dry_run: false })
}

/// vGPUs for which no card is named wait for the command of the second card, which is full: the first one was read by then.
fn placed_beside(
    world: &World,
    count: u128,
    change: fn(&Engine, &str) -> Result<Report, EngineError>,
) -> Result<Report, EngineError> {
    let engine = impatient(world);
    create(&engine, Some(SECOND), 1).unwrap();
    world.waits.lock().unwrap().clear();
    let hold = world.hold_looks_of(SECOND);
    let placing: JoinHandle<Result<Report, EngineError>> = spawn({
        let engine = Arc::clone(&engine);
        move || create(&engine, None, count)
    });
    hold.until_reached();
    assert_eq!(world.waits.lock().unwrap().len(), 2, "the first one was read before");
    in_time("the change of the first one", || change(&engine, TYPED)).unwrap();
    hold.release();
    let placed = placing.join().unwrap();
    assert!(world.files().intents.is_empty() && engine.changing().is_empty());
    placed
}

fn cards_with_vgpus(world: &World) -> Vec<PciAddress> {
    world.observed().vgpus.values().map(|vgpu| vgpu.gpu).collect()
}

#[test]
fn what_was_read_of_a_card_is_read_again_where_its_room_went_meanwhile() {
    let world = world();
    cut(&world.engine(), TYPED).unwrap();
    // One half is left, and the card offers the profile still.
    let Err(EngineError::Refused(refusals)) = placed_beside(&world, 2, uncut) else { panic!() };
    assert_eq!(refusals.iter().map(|refusal| refusal.code).collect::<Vec<_>>(), [RefusalCode::NoSuitableGpu]);
    assert_eq!(cards_with_vgpus(&world), [at(SECOND)]);
}

#[test]
fn what_was_read_of_a_card_is_read_again_where_room_came_meanwhile() {
    let world = world();
    // Its one half is taken, so that the command tells of no room.
    create(&world.engine(), Some(TYPED), 1).unwrap();
    placed_beside(&world, 1, cut).unwrap();
    let mut cards = cards_with_vgpus(&world);
    cards.sort();
    assert_eq!(cards, [at(TYPED), at(TYPED), at(SECOND)]);
}
