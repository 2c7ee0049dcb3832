//! What was asked for is there again after a reboot, or it is said what is in the way.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use gpuvirt_engine::ports::Host;
use gpuvirt_engine::{CreateRequest, EngineError, Removal, RemoveRequest, Report, Wish};
use gpuvirt_fakekernel::{Errno, Fault, On, Process};
use gpuvirt_model::{
    ConfiguredType, DriverName, GraphicsType, ProfileName, Reading, Refusal, RefusalCode, VgpuId, When,
};
use gpuvirt_plan::Step;
use uuid::Uuid;
use world::{GPU, OTHER, PLAIN, PLAIN_VF, TYPED, VF, World, at, vgpu};

const TWO_GPUS: &str = include_str!("../../../tests/hosts/two-gpus.umockdev");
const SRIOV: &str = include_str!("../../../tests/hosts/sriov-host.umockdev");

/// A rule of udev's sets `power/control` at each boot, as it had before.
fn rebooted(world: &World) -> World {
    world.rebooted(TWO_GPUS).lets_sleep(GPU)
}

fn restore(world: &World, gpu: &str) -> Result<Report, EngineError> {
    world.engine().restore(at(gpu), Duration::from_secs(1))
}

#[track_caller]
fn refusal(result: Result<Report, EngineError>) -> Refusal {
    match result {
        Err(EngineError::Refused(mut refusals)) if refusals.len() == 1 => refusals.remove(0),
        other => panic!("{other:?}"),
    }
}

fn active(world: &World, gpu: &str) -> GraphicsType {
    world.observed().gpus[&at(gpu)].active_type(None)
}

#[test]
fn a_passthrough_gpu_is_one_again_after_a_reboot() {
    let world = World::new();
    world.set(GPU, ConfiguredType::Direct).unwrap();
    let (before, files) = (world.picture(), world.files());
    let world = rebooted(&world);
    assert_ne!(world.picture(), before);
    assert!(restore(&world, GPU).unwrap().outcome.is_changed());
    assert_eq!(world.picture(), before);
    assert_eq!(world.files(), files, "a restore asks for nothing new");
    let written = world.kernel.writes().len();
    assert!(!restore(&world, GPU).unwrap().outcome.is_changed());
    assert_eq!(world.kernel.writes().len(), written, "the second time nothing is written");
}

#[test]
fn virtual_functions_are_enabled_again_and_are_ours_again() {
    let world = World::plain();
    world.set(PLAIN, ConfiguredType::SharedDirect).unwrap();
    let before = world.picture();
    let world = world.rebooted(SRIOV);
    assert!(restore(&world, PLAIN).unwrap().outcome.is_changed());
    assert_eq!(world.picture(), before);
    // Ours still: they can be taken away.
    world.set(PLAIN, ConfiguredType::Shared).unwrap();
    assert_eq!(world.picture(), World::plain().picture());
}

#[test]
fn an_unmanaged_gpu_is_left_alone() {
    let world = World::new();
    assert!(!restore(&world, GPU).unwrap().outcome.is_changed());
    assert!(world.kernel.writes().is_empty());
    assert!(world.engine().managed().unwrap().is_empty());
}

#[test]
fn libvirt_is_not_asked() {
    let world = World::new();
    world.set(GPU, ConfiguredType::Direct).unwrap();
    let world = rebooted(&world);
    world.libvirt_panics();
    restore(&world, GPU).unwrap();
    assert_eq!(active(&world, GPU), GraphicsType::Direct);
}

#[test]
fn a_holder_is_named_and_the_next_gpu_is_restored_all_the_same() {
    let world = World::new();
    world.set(GPU, ConfiguredType::Direct).unwrap();
    world.set(OTHER, ConfiguredType::Direct).unwrap();
    let world = rebooted(&world);
    world.kernel.start(Process::new(77, "Xorg").opens("/dev/dri/card0"));
    let held = refusal(restore(&world, GPU));
    assert_eq!(held.code, RefusalCode::GpuInUse);
    assert!(held.because.contains("Xorg"), "{held}");
    restore(&world, OTHER).unwrap();
    assert_eq!(active(&world, GPU), GraphicsType::Shared);
    assert_eq!(active(&world, OTHER), GraphicsType::Direct);
    world.kernel.end(77);
    restore(&world, GPU).unwrap();
    assert_eq!(active(&world, GPU), GraphicsType::Direct);
}

#[test]
fn a_failed_restore_leaves_the_host_as_the_boot_left_it() {
    let world = World::new();
    world.set(GPU, ConfiguredType::Direct).unwrap();
    let world = rebooted(&world);
    let before = world.picture();
    world.kernel.fail(On::Bind { driver: "vfio-pci".to_owned(), function: at(GPU) }, Errno::EINVAL);
    assert!(matches!(restore(&world, GPU), Err(EngineError::Failed { .. })));
    assert_eq!(world.picture(), before);
    assert!(world.files().intents.is_empty());
    world.kernel.clear_faults();
    restore(&world, GPU).unwrap();
    assert_eq!(active(&world, GPU), GraphicsType::Direct);
}

#[test]
fn another_device_in_the_cards_place_is_left_alone_and_the_card_is_found() {
    // Two cards alike: the other one is managed too, so that the one is found without doubt.
    let world = World::new();
    world.set(GPU, ConfiguredType::Direct).unwrap();
    world.set(OTHER, ConfiguredType::Shared).unwrap();
    let world = rebooted(&world);
    let configured_at = |address: &str| world.files.lock().unwrap().desired.gpus[0].address = at(address);
    let unused = "0000:3f:00.0";
    configured_at(unused);
    let gone = refusal(restore(&world, unused));
    assert_eq!(gone.code, RefusalCode::GpuNotFound);
    assert!(gone.remedy[0].contains(&format!("gpu set {GPU} --type direct")), "{gone}");

    // A device that is no GPU stands for a disk.
    let disk = "0000:00:00.0";
    configured_at(disk);
    let changed = refusal(restore(&world, disk));
    assert_eq!(changed.code, RefusalCode::IdentityChanged);
    assert!(changed.because.contains("left alone"), "{changed}");

    // Another GPU, and nothing like the configured one anywhere.
    configured_at(GPU);
    world.files.lock().unwrap().desired.gpus[0].identity.device = 0x9999;
    let changed = refusal(restore(&world, GPU));
    assert_eq!(changed.code, RefusalCode::IdentityChanged);
    assert!(!changed.to_string().contains("a card like it"), "{changed}");
    assert!(world.kernel.writes().is_empty());
}

#[test]
fn of_two_cards_alike_none_is_named_as_the_one_that_moved() {
    let world = World::new();
    world.set(GPU, ConfiguredType::Direct).unwrap();
    let world = rebooted(&world);
    world.files.lock().unwrap().desired.gpus[0].address = at("0000:3f:00.0");
    let gone = refusal(restore(&world, "0000:3f:00.0"));
    assert!(!gone.to_string().contains("a card like it"), "{gone}");
}

#[test]
fn a_card_that_waits_for_a_vm_stays_the_hosts() {
    let world = World::new();
    world.set(GPU, ConfiguredType::Direct).unwrap();
    world.files.lock().unwrap().desired.gpus[0].when = When::Vm;
    let world = rebooted(&world);
    assert!(!restore(&world, GPU).unwrap().outcome.is_changed());
    assert_eq!(active(&world, GPU), GraphicsType::Shared);
    assert!(matches!(world.observed().domains, Reading::Unknown(_)));
}

const TYPES: &str = include_str!("../../../tests/hosts/vgpu-types-host.umockdev");

fn wish(id: impl Into<VgpuId>, profile: &str) -> Wish {
    Wish::new(id.into(), ProfileName(profile.to_owned()))
}

fn create(world: &World, gpu: &str, wishes: Vec<Wish>) {
    world.engine().create_vgpus(&CreateRequest { gpu: Some(at(gpu)), wishes, dry_run: false }).unwrap();
}

/// A host that makes mediated devices on a GPU, as its driver does after every boot.
fn offering(world: World) -> World {
    vgpu::offer(&world, OTHER, 8192);
    world
}

#[test]
fn an_admins_vgpus_are_made_again_and_a_domains_are_not() {
    let world = offering(World::new());
    world.set(OTHER, ConfiguredType::SharedDirect).unwrap();
    let lasting: Vec<Wish> = (1..=3).map(|n| wish(Uuid::from_u128(n), "lab-1q")).collect();
    create(&world, OTHER, lasting);
    let for_a_domain = Wish { domain: Some(Uuid::from_u128(99)), ..wish(Uuid::from_u128(9), "lab-1q") };
    create(&world, OTHER, vec![for_a_domain]);
    assert_eq!(world.observed().vgpus.len(), 4);
    let world = offering(rebooted(&world));
    assert!(world.observed().vgpus.is_empty());
    assert!(restore(&world, OTHER).unwrap().outcome.is_changed());
    let made: Vec<VgpuId> = world.observed().vgpus.keys().copied().collect();
    assert_eq!(made, [1, 2, 3].map(|n| VgpuId::Mdev(Uuid::from_u128(n))));
    assert!(!restore(&world, OTHER).unwrap().outcome.is_changed());
    // Ours still: they can be removed.
    let which = Removal::AllOf(at(OTHER));
    let deadline = Duration::from_secs(1);
    world.engine().remove_vgpus(&RemoveRequest { which, dry_run: false, deadline }).unwrap();
    assert!(world.observed().vgpus.is_empty());
}

#[test]
fn a_vgpu_that_does_not_fit_any_more_is_named_and_the_others_are_made() {
    let world = offering(World::new());
    world.set(OTHER, ConfiguredType::SharedDirect).unwrap();
    create(&world, OTHER, (1..=2).map(|n| wish(Uuid::from_u128(n), "lab-1q")).collect());
    let profile = ProfileName("lab-9q".to_owned());
    world.files.lock().unwrap().desired.gpus[0].vgpus[0].profile = profile;
    let world = offering(rebooted(&world));
    let Err(EngineError::Refused(refusals)) = restore(&world, OTHER) else { panic!("it was not refused") };
    assert!(
        refusals
            .iter()
            .all(|refusal| refusal.because.contains("lab-9q") || refusal.summary.contains("lab-9q"))
    );
    assert_eq!(world.observed().vgpus.len(), 1);
}

#[test]
fn virtual_functions_are_the_same_vgpus_again() {
    let world = World::plain();
    world.set(PLAIN, ConfiguredType::SharedDirect).unwrap();
    create(&world, PLAIN, vec![wish(VgpuId::Vf(at(PLAIN_VF)), "vf"), wish(Uuid::from_u128(1), "vf")]);
    let before = world.picture();
    assert_eq!(before.vgpus.len(), 2);
    let world = world.rebooted(SRIOV);
    restore(&world, PLAIN).unwrap();
    assert_eq!(world.picture(), before);

    let world = World::typed();
    create(&world, TYPED, vec![wish(VgpuId::Vf(at(VF)), "nvidia_l40s-12q")]);
    let before = world.picture();
    let world = world.rebooted(TYPES);
    restore(&world, TYPED).unwrap();
    assert_eq!(world.picture(), before);
}

/// What the early claim leaves: no driver has had the functions, and only vfio-pci may.
fn claimed(world: World) -> World {
    for function in world.observed().gpus[&at(GPU)].functions.clone() {
        let driver = world.observed().functions[&function].binding.driver.clone().unwrap();
        let steps = [
            Step::Unbind { function, driver },
            Step::SetOverride { function, driver: Some(DriverName::vfio_pci()) },
        ];
        steps.iter().for_each(|step| {
            Host::perform(&world, step, Duration::from_secs(1)).unwrap();
        });
    }
    world.kernel.forget_writes();
    world
}

#[test]
fn a_card_that_was_claimed_early_is_direct_and_its_way_back_is_known() {
    let world = World::new();
    let before = world.picture();
    world.set(GPU, ConfiguredType::Direct).unwrap();
    let files = world.files();
    let world = claimed(rebooted(&world));
    restore(&world, GPU).unwrap();
    assert_eq!((active(&world, GPU), world.files()), (GraphicsType::Direct, files));
    world.set(GPU, ConfiguredType::Shared).unwrap();
    assert_eq!(world.picture(), before);
}

#[test]
fn a_card_that_an_old_image_claimed_is_the_hosts_again() {
    let world = World::new();
    let before = world.picture();
    world.set(GPU, ConfiguredType::Direct).unwrap();
    world.set(GPU, ConfiguredType::Shared).unwrap();
    let world = claimed(rebooted(&world));
    restore(&world, GPU).unwrap();
    assert_eq!(world.picture(), before);
}

/// What is configured, and the host as its driver shows it after a boot.
type Configured = (&'static str, fn() -> World, fn(&World) -> World);

fn configured() -> [Configured; 3] {
    let vgpus = || {
        let world = offering(World::new());
        world.set(OTHER, ConfiguredType::SharedDirect).unwrap();
        create(&world, OTHER, (1..=3).map(|n| wish(Uuid::from_u128(n), "lab-1q")).collect());
        world
    };
    let vfs = || {
        let world = World::plain();
        world.set(PLAIN, ConfiguredType::SharedDirect).unwrap();
        create(&world, PLAIN, vec![wish(VgpuId::Vf(at(PLAIN_VF)), "vf")]);
        world
    };
    let direct = || {
        let world = World::new();
        world.set(GPU, ConfiguredType::Direct).unwrap();
        world
    };
    [
        (GPU, direct, |world| rebooted(world)),
        (OTHER, vgpus, |world| offering(rebooted(world))),
        (PLAIN, vfs, |world| world.rebooted(SRIOV)),
    ]
}

#[test]
fn killed_before_any_step_the_next_start_finishes_it() {
    for (gpu, configure, reboot) in configured() {
        let world = configure();
        let before = world.picture();
        let mut killed = 0;
        loop {
            let world = reboot(&configure());
            *world.dies_before.lock().unwrap() = Some(killed);
            let died = catch_unwind(AssertUnwindSafe(|| restore(&world, gpu))).is_err();
            *world.dies_before.lock().unwrap() = None;
            // The next daemon on the same host, and one after a reboot.
            for world in [world.clone(), reboot(&world)] {
                world.engine().recover(Duration::from_secs(1)).unwrap();
                restore(&world, gpu).unwrap();
                assert_eq!(world.picture(), before, "{gpu}, killed before step {killed}");
                assert!(world.files().intents.is_empty());
                assert_eq!(world.files().desired, configure().files().desired);
            }
            if !died {
                break;
            }
            killed += 1;
        }
        assert!(killed > 1, "{gpu}: {killed} steps");
    }
}

#[test]
fn a_vgpu_that_its_driver_fails_to_make_keeps_no_other_from_being_made() {
    let world = offering(World::new());
    world.set(OTHER, ConfiguredType::SharedDirect).unwrap();
    create(&world, OTHER, vec![wish(Uuid::from_u128(1), "lab-1q"), wish(Uuid::from_u128(2), "lab-1q")]);
    let world = offering(rebooted(&world));
    // Made together the second fails; by itself the first fails again.
    world.kernel.inject_once(On::NthWrite { nth: 2 }, Fault::Errno(Errno::EIO));
    world.kernel.inject_once(On::NthWrite { nth: 4 }, Fault::Errno(Errno::EIO));
    let restored = restore(&world, OTHER);
    assert!(matches!(&restored, Err(EngineError::Failed { .. })), "{restored:?}");
    assert_eq!(world.observed().vgpus.len(), 1);
    assert!(restore(&world, OTHER).unwrap().outcome.is_changed());
    assert_eq!(world.observed().vgpus.len(), 2);
}
