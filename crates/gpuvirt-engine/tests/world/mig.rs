//! Cards that can be cut into GPU instances, and the stand-in of the vendor's command for them.

use std::sync::atomic::Ordering;
use std::time::Duration;

use gpuvirt_fakekernel::{InstanceKind, Program};
use gpuvirt_host::{ProgramCall, ProgramEnd, Sysfs as _};
use gpuvirt_model::{ConfiguredType, DesiredGpu, GpuInstance, MigState, ProgramPath, VgpuMode};

use super::{COMMAND, TOOL, TYPED, World, at};

pub const SMALL: &str = "1g.6gb";
pub const HALF: &str = "3g.24gb";

/// Two of these make the card full.
pub const HALF_ID: u32 = 9;

pub fn kinds() -> [InstanceKind; 2] {
    let small = InstanceKind {
        name: SMALL,
        id: 19,
        compute: 1,
        size: 1,
        starts: &[0, 1, 2, 3, 4, 5, 6],
        gib: "5.75",
        types: &[1149],
    };
    let half = InstanceKind {
        name: HALF,
        id: HALF_ID,
        compute: 3,
        size: 4,
        starts: &[0, 4],
        gib: "23.50",
        types: &[1153],
    };
    [small, half]
}

fn offer(world: &World) {
    world.kernel.offer_gpu_instances(at(TYPED), &kinds());
    world.can_be_cut.store(true, Ordering::Relaxed);
}

/// What the vendor's command answers to somebody else.
pub fn command(world: &World, args: &[&str]) -> ProgramEnd {
    let program = ProgramPath::parse(COMMAND).unwrap();
    let call = ProgramCall::new(&program, args.iter().copied(), None).unwrap();
    world.kernel.run(&call, Duration::from_secs(1)).unwrap()
}

/// A card in vGPU mode `mig`, with virtual functions; MIG mode is off.
pub fn whole() -> World {
    whole_of(World::typed())
}

fn whole_of(world: World) -> World {
    world.kernel.install(COMMAND, Program::Command);
    offer(&world);
    let mut files = world.files.lock().unwrap();
    let entry = files.desired.gpu(at(TYPED)).unwrap().clone();
    files.desired = files.desired.with_gpu(DesiredGpu { vgpu_mode: Some(VgpuMode::Mig), ..entry });
    drop(files);
    world.kernel.forget_writes();
    world
}

/// The same with MIG mode on.
pub fn cut() -> World {
    cut_of(World::typed())
}

/// The same card with MIG mode on, of a world that has it whole.
pub fn cut_of(world: World) -> World {
    let world = whole_of(world);
    let numvfs = format!("/sys/bus/pci/devices/{TYPED}/sriov_numvfs");
    world.kernel.write(&numvfs, b"0").unwrap();
    assert!(command(&world, &["-i", TYPED, "-mig", "1"]).is_success());
    world.kernel.write(&numvfs, b"4").unwrap();
    world.kernel.forget_writes();
    world
}

/// A card without virtual functions, with the vendor's tool for them.
pub fn bare() -> World {
    bare_of(World::typed())
}

/// The same, of a world that has that card.
pub fn bare_of(world: World) -> World {
    world.kernel.install(COMMAND, Program::Command);
    world.kernel.install(TOOL, Program::VfTool);
    offer(&world);
    world.kernel.write(&format!("/sys/bus/pci/devices/{TYPED}/sriov_numvfs"), b"0").unwrap();
    world.set(TYPED, ConfiguredType::Shared).unwrap();
    world.kernel.forget_writes();
    world
}

/// The card as anybody sees it.
pub fn state(world: &World) -> MigState {
    let command = ProgramPath::parse(COMMAND).unwrap();
    world.host().mig(at(TYPED), &command, Duration::from_secs(1)).unwrap()
}

pub fn instances(world: &World) -> Vec<(u32, String, String)> {
    let place = |instance: &GpuInstance| instance.placement.unwrap().to_string();
    state(world).instances.iter().map(|one| (one.id, one.profile.clone(), place(one))).collect()
}

pub fn places(world: &World) -> Vec<(String, String)> {
    instances(world).into_iter().map(|(_, profile, place)| (profile, place)).collect()
}
