//! Whatever fails, wherever: the host is as it was before, or it is said what is not.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

mod world;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use gpuvirt_engine::ports::WaitingWrite;
use gpuvirt_engine::{CreateRequest, EngineError, Preparation, SwitchRequest};
use gpuvirt_fakekernel::{Errno, Fault, On, Process, Written};
use gpuvirt_host::Sysfs as _;
use gpuvirt_model::{ConfiguredType, ProfileName, RefusalCode, VgpuId, VgpuMode, WarningCode};
use uuid::Uuid;
use world::{GPU, OTHER, PLAIN, PLAIN_VF, TYPED, VF, World, at, switch};

type Act = fn(&World) -> Result<gpuvirt_engine::Report, EngineError>;

fn create(world: &World) -> Result<gpuvirt_engine::Report, EngineError> {
    let profile = ProfileName("lab-1q".to_owned());
    world.engine().create_vgpus(&CreateRequest::one(at(OTHER), profile, Uuid::from_u128(5)))
}

fn remove(world: &World) -> Result<gpuvirt_engine::Report, EngineError> {
    world.remove_vgpu(Uuid::from_u128(5))
}

fn create_by_type(world: &World) -> Result<gpuvirt_engine::Report, EngineError> {
    let profile = ProfileName("nvidia_l40s-12q".to_owned());
    world.engine().create_vgpus(&CreateRequest::one(at(TYPED), profile, Uuid::from_u128(5)))
}

fn remove_by_type(world: &World) -> Result<gpuvirt_engine::Report, EngineError> {
    world.remove_vgpu(VgpuId::Vf(at(VF)))
}

fn create_plain(world: &World) -> Result<gpuvirt_engine::Report, EngineError> {
    let profile = ProfileName("vf".to_owned());
    world.engine().create_vgpus(&CreateRequest::one(at(PLAIN), profile, Uuid::from_u128(5)))
}

fn remove_plain(world: &World) -> Result<gpuvirt_engine::Report, EngineError> {
    world.remove_vgpu(VgpuId::Vf(at(PLAIN_VF)))
}

/// A world in which something was done already.
fn after(world: World, acts: &[Act]) -> World {
    for act in acts {
        act(&world).unwrap();
    }
    world
}

const TO_DIRECT: Act = |world| world.set(GPU, ConfiguredType::Direct);
const TO_SHARED: Act = |world| world.set(GPU, ConfiguredType::Shared);
const OFFER: Act = |world| world.set(OTHER, ConfiguredType::SharedDirect);
const ENABLE: Act = |world| world.set(PLAIN, ConfiguredType::SharedDirect);

const PREPARE: Act = |world| {
    let prepare = Preparation { vgpu_mode: Some(VgpuMode::MixedSize), vf_count: None };
    let request = switch(TYPED, ConfiguredType::SharedDirect);
    world.engine().set_type(&SwitchRequest { prepare, ..request })
};
const TYPED_TO_SHARED: Act = |world| world.set(TYPED, ConfiguredType::Shared);
const TYPED_TO_DIRECT: Act = |world| world.set(TYPED, ConfiguredType::Direct);

/// A change: its name, the state that it starts from, and itself.
type Change = (&'static str, fn() -> World, Act);

/// Every kind of change.
fn changes() -> [Change; 15] {
    [
        ("to direct", World::new, TO_DIRECT),
        ("to shared", || after(World::new(), &[TO_DIRECT]), TO_SHARED),
        ("create", || after(World::offering_vgpus(OTHER), &[OFFER]), create),
        ("remove", || after(World::offering_vgpus(OTHER), &[OFFER, create]), remove),
        ("create by type", World::typed, create_by_type),
        ("remove by type", || after(World::typed(), &[create_by_type]), remove_by_type),
        ("enable", World::plain, ENABLE),
        ("create plain", || after(World::plain(), &[ENABLE]), create_plain),
        ("remove plain", || after(World::plain(), &[ENABLE, create_plain]), remove_plain),
        ("disable", || after(World::plain(), &[ENABLE]), |world| world.set(PLAIN, ConfiguredType::Shared)),
        (
            "disable for direct",
            || after(World::plain(), &[ENABLE]),
            |world| world.set(PLAIN, ConfiguredType::Direct),
        ),
        ("by tool: prepare", World::vendor, PREPARE),
        ("by tool: prepare from direct", || after(World::vendor(), &[TYPED_TO_DIRECT]), PREPARE),
        ("by tool: take back", || after(World::vendor(), &[PREPARE]), TYPED_TO_SHARED),
        ("by tool: take back for direct", || after(World::vendor(), &[PREPARE]), TYPED_TO_DIRECT),
    ]
}

/// How many writes a change takes when nothing fails, and a fresh world before it.
fn writes_of(name: &str) -> usize {
    written_by(name).len()
}

fn written_by(name: &str) -> Vec<Written> {
    let (_, world, act) = changes().into_iter().find(|(found, ..)| *found == name).unwrap();
    let world = world();
    world.kernel.forget_writes();
    act(&world).unwrap();
    world.kernel.writes()
}

/// How many steps it takes.
fn steps_of(name: &str) -> usize {
    let (_, world, act) = changes().into_iter().find(|(found, ..)| *found == name).unwrap();
    intent_of(&world(), act).steps.len()
}

#[test]
fn a_write_that_fails_anywhere_is_undone() {
    strikes_anywhere(Fault::Errno(Errno::EIO));
}

#[test]
fn a_write_that_does_nothing_and_says_that_all_is_well_is_undone() {
    strikes_anywhere(Fault::Silent);
}

#[test]
fn a_write_that_is_done_and_says_that_it_failed_is_undone_or_counts() {
    strikes_anywhere(Fault::DoneThenErrno(Errno::EIO));
}

/// Every change, struck at each of its writes.
fn strikes_anywhere(fault: Fault) {
    for (name, ..) in changes() {
        for nth in 1..=writes_of(name) {
            let (_, world, act) = changes().into_iter().find(|(found, ..)| *found == name).unwrap();
            let world = world();
            let (host, files) = (world.picture(), world.files());
            world.kernel.inject_once(On::NthWrite { nth }, fault);
            match act(&world) {
                // The kernel did it and said that it failed: what is there counts.
                Ok(_) if matches!(fault, Fault::DoneThenErrno(_)) => {}
                // A driver that is busy is asked again.
                Ok(_) if name == "remove by type" && fault == Fault::Errno(Errno::EIO) => {}
                // A question that failed is asked again after the act; a service that stays down is told.
                Ok(report) if name.starts_with("by tool") => {
                    assert_eq!(report.pending, None, "{name}, {nth}")
                }
                // A host without a driver for its card is no failure of ours, but is said.
                Ok(report) => {
                    let warned = report.warnings.iter().any(|w| w.code == WarningCode::NoHostDriver);
                    assert!(warned && name == "to shared", "{name}, write {nth}, {fault:?}");
                    continue;
                }
                Err(EngineError::Failed { now, .. }) => {
                    assert_eq!(now, "everything is as it was before", "{name}, write {nth}, {fault:?}");
                    assert_eq!(world.picture(), host, "{name}, write {nth}, {fault:?}");
                    assert_eq!(world.files(), files, "{name}, write {nth}, {fault:?}");
                }
                Err(other) => panic!("{name}, write {nth}, {fault:?}: {other:?}"),
            }
            world.kernel.clear_faults();
            act(&world).map(|_| ()).or_else(|error| already_done(&world, error)).unwrap();
        }
    }
}

/// A removal that went through in spite of its errno has nothing left to remove.
fn already_done(world: &World, error: EngineError) -> Result<(), EngineError> {
    match error {
        EngineError::Refused(refusals) if refusals.iter().all(|r| r.code == RefusalCode::VgpuNotFound) => {
            assert!(world.observed().vgpus.is_empty());
            Ok(())
        }
        other => Err(other),
    }
}

#[test]
fn what_cannot_be_undone_is_hands_off_until_it_can() {
    let world = World::new();
    let before = world.observed();
    let count = writes_of("to direct");
    world.kernel.inject(On::Probe { function: at(GPU) }, Fault::Errno(Errno::EIO));
    let Err(EngineError::Failed { now, .. }) = world.set(GPU, ConfiguredType::Direct) else { panic!() };
    assert!(now.contains("hands-off") && now.contains("gpuvirt recover"), "{now}");
    assert!(count > 2);

    for to in [ConfiguredType::Direct, ConfiguredType::Shared] {
        let Err(EngineError::Refused(refusals)) = world.set(GPU, to) else { panic!() };
        assert_eq!(refusals[0].code, RefusalCode::HandsOff);
    }
    assert!(world.set(OTHER, ConfiguredType::Shared).is_ok(), "the other GPU has nothing to do with it");

    let Err(EngineError::Failed { .. }) = world.engine().recover(Duration::from_secs(1)) else { panic!() };
    world.kernel.clear_faults();
    world.engine().recover(Duration::from_secs(1)).unwrap();
    assert_eq!(world.observed().functions[&at(GPU)].binding, before.functions[&at(GPU)].binding);
    assert!(world.set(GPU, ConfiguredType::Direct).is_ok());
}

#[test]
fn a_write_that_blocks_is_left_alone_and_taken_back_when_it_has_ended() {
    let world = World::new();
    let before = world.picture();
    world.kernel.inject_once(On::Unbind { function: at(GPU) }, Fault::Block);
    let Err(EngineError::Failed { what, now }) = world.set(GPU, ConfiguredType::Direct) else { panic!() };
    assert!(what.contains("still waits"), "{what}");
    assert!(now.contains("hands-off"), "{now}");
    let written = world.kernel.writes().len();
    let Err(EngineError::Refused(_)) = world.set(GPU, ConfiguredType::Shared) else { panic!() };
    assert_eq!(
        world.kernel.writes().len(),
        written,
        "nothing more is written while the kernel holds the device"
    );
    assert_eq!(world.kernel.release(), 0);
    world.engine().recover(Duration::from_secs(1)).unwrap();
    assert_eq!(world.picture(), before);
}

#[test]
fn a_daemon_that_dies_before_any_step_is_taken_back_by_the_next_one() {
    for (name, ..) in changes() {
        for step in 0..steps_of(name) {
            let (_, world, act) = changes().into_iter().find(|(found, ..)| *found == name).unwrap();
            let world = world();
            let (host, files) = (world.picture(), world.files());
            *world.dies_before.lock().unwrap() = Some(step);
            let died = catch_unwind(AssertUnwindSafe(|| act(&world)));
            assert!(died.is_err(), "{name} has no step {step}");
            *world.dies_before.lock().unwrap() = None;
            world.engine().recover(Duration::from_secs(1)).unwrap();
            assert_eq!(world.picture(), host, "{name}, dead before step {step}");
            assert_eq!(world.files(), files, "{name}, dead before step {step}");
        }
    }
}

/// Between a write and its reading back, wherever in the change that is.
#[test]
fn a_daemon_that_dies_after_any_write_is_taken_back_by_the_next_one() {
    for (name, ..) in changes() {
        for nth in 1..=writes_of(name) {
            let (_, world, act) = changes().into_iter().find(|(found, ..)| *found == name).unwrap();
            let world = world();
            let (host, files) = (world.picture(), world.files());
            world.kernel.die_after_write(nth);
            let died = catch_unwind(AssertUnwindSafe(|| act(&world)));
            assert!(died.is_err(), "{name} has no write {nth}");
            world.kernel.clear_faults();
            world.engine().recover(Duration::from_secs(1)).unwrap();
            assert_eq!(world.picture(), host, "{name}, dead after write {nth}");
            assert_eq!(world.files(), files, "{name}, dead after write {nth}");
        }
    }
}

#[test]
fn a_change_whose_result_cannot_be_stored_is_taken_back() {
    for (name, world, act) in changes() {
        let world = world();
        let host = world.picture();
        world.files.lock().unwrap().commit_fails = true;
        let Err(EngineError::Failed { now, .. }) = act(&world) else { panic!("{name}") };
        assert_eq!(now, "everything is as it was before", "{name}");
        assert_eq!(world.picture(), host, "{name}");
    }
}

#[test]
fn the_way_back_is_not_taken_from_under_a_running_guest() {
    let world = World::new();
    // Loading the module is a step and no write, so this is before the last step: the GPU is on vfio-pci already.
    *world.dies_before.lock().unwrap() = Some(writes_of("to direct"));
    assert!(catch_unwind(AssertUnwindSafe(|| world.set(GPU, ConfiguredType::Direct))).is_err());
    *world.dies_before.lock().unwrap() = None;
    let group = world.observed().functions[&at(GPU)].iommu_group.unwrap();
    world.kernel.start(Process::new(99, "qemu-system-x86").opens(&format!("/dev/vfio/{group}")));
    let halfway = world.picture();
    let Err(EngineError::Failed { what, .. }) = world.engine().recover(Duration::from_secs(1)) else {
        panic!()
    };
    assert!(what.contains("99") && what.contains("qemu"), "{what}");
    assert_eq!(world.picture(), halfway);
    world.kernel.end(99);
    world.engine().recover(Duration::from_secs(1)).unwrap();
}

#[test]
fn nothing_is_taken_back_while_an_earlier_daemons_write_waits() {
    let world = World::new();
    let before = world.picture();
    *world.dies_before.lock().unwrap() = Some(writes_of("to direct"));
    assert!(catch_unwind(AssertUnwindSafe(|| world.set(GPU, ConfiguredType::Direct))).is_err());
    *world.dies_before.lock().unwrap() = None;
    let halfway = world.picture();
    let waiting = |function: &str| WaitingWrite { writer: 4711, function: Some(at(function)), vgpu: None };
    *world.waiting.lock().unwrap() = vec![waiting(OTHER), waiting(GPU)];
    let Err(EngineError::Failed { what, .. }) = world.engine().recover(Duration::from_secs(1)) else {
        panic!()
    };
    assert!(what.contains("process 4711 still waits"), "{what}");
    assert_eq!(world.picture(), halfway);
    assert_eq!(
        world.engine().gpus_that_wait().unwrap(),
        BTreeSet::from([at(GPU)]),
        "the other has no open change"
    );
    *world.waiting.lock().unwrap() = vec![waiting(OTHER)];
    assert!(world.engine().gpus_that_wait().unwrap().is_empty());
    // Only those that are named.
    world.engine().recover_these(&BTreeSet::from([at(OTHER)]), Duration::from_secs(1)).unwrap();
    assert_eq!(world.picture(), halfway);
    world.engine().recover_these(&BTreeSet::from([at(GPU)]), Duration::from_secs(1)).unwrap();
    assert_eq!(world.picture(), before);
}

/// The removal of a vGPU that somebody else began and that waits for its VM: it is gone from the bus and lives on.
fn half_removed() -> (World, u32) {
    let world = World::offering_vgpus(OTHER);
    world.set(OTHER, ConfiguredType::SharedDirect).unwrap();
    create(&world).unwrap();
    let group = world.observed().vgpus.values().next().unwrap().iommu_group.unwrap();
    world.kernel.start(Process::new(99, "qemu-system-x86").opens(&format!("/dev/vfio/{group}")));
    let uuid = *world.observed().vgpus.keys().next().unwrap();
    let remove = format!("/sys/bus/mdev/devices/{uuid}/remove");
    let answer = world.kernel.write_that_may_block(&remove, b"1", Duration::from_millis(1));
    assert!(answer.is_err(), "the removal waits");
    (world, group)
}

#[test]
fn a_vgpu_whose_removal_waits_is_still_there() {
    let (world, _) = half_removed();
    let observed = world.observed();
    let (uuid, vgpu) = observed.vgpus.iter().next().expect("a VM runs on it");
    assert_eq!(vgpu.gpu, at(OTHER));
    assert!(vgpu.holders.seen.iter().any(|holder| holder.to_string().contains("99")), "{vgpu:?}");
    assert_eq!(observed.gpus[&at(OTHER)].live_vgpus, 1);
    let written = world.kernel.writes().len();
    let Err(EngineError::Refused(refusals)) = world.set(OTHER, ConfiguredType::Direct) else { panic!() };
    assert!(refusals.iter().any(|r| r.code == RefusalCode::VgpusAlive), "{refusals:?}");
    let remove = world.remove_vgpu(*uuid);
    let Err(EngineError::Refused(refusals)) = remove else { panic!("{remove:?}") };
    assert!(refusals.iter().any(|r| r.code == RefusalCode::VgpuInUse), "{refusals:?}");
    assert_eq!(world.kernel.writes().len(), written);
    assert_eq!(world.files().records.vgpus.len(), 1, "it is ours still");
}

#[test]
fn a_change_that_was_stored_before_the_daemon_died_stays() {
    for (name, world, act) in changes() {
        // The journal of a change is what `open_journal` kept: put back after the change, as if closing it had not
        // come about.
        let world = world();
        let kept = intent_of(&world, act);
        let (host, files) = (world.picture(), world.files());
        world.files.lock().unwrap().intents.push(kept);
        world.engine().recover(Duration::from_secs(1)).unwrap();
        assert_eq!(world.picture(), host, "{name}");
        assert_eq!(world.files(), files, "{name}");
    }
}

#[test]
fn a_change_whose_daemon_died_before_it_was_stored_is_taken_back() {
    for (name, world, act) in changes() {
        // All its steps are done and nothing is stored: as after a death between the last write and its verification.
        let world = world();
        let (host, files) = (world.picture(), world.files());
        let kept = intent_of(&world, act);
        let mut now = world.files.lock().unwrap();
        (now.desired, now.records) = (files.desired.clone(), files.records.clone());
        now.intents.push(kept);
        drop(now);
        world.engine().recover(Duration::from_secs(1)).unwrap();
        assert_eq!(world.picture(), host, "{name}");
        assert_eq!(world.files(), files, "{name}");
    }
}

#[test]
fn a_write_that_blocks_anywhere_is_waited_for_and_taken_back() {
    for (name, ..) in changes() {
        let mut blocked = 0;
        for (index, written) in written_by(name).iter().enumerate() {
            // These are answered at once, and the daemon writes them itself.
            if ["/sriov_drivers_autoprobe", "/unbindLock"].iter().any(|file| written.path.ends_with(file)) {
                continue;
            }
            let nth = index + 1;
            let (_, world, act) = changes().into_iter().find(|(found, ..)| *found == name).unwrap();
            let world = world();
            let (host, files) = (world.picture(), world.files());
            world.kernel.inject_once(On::NthWrite { nth }, Fault::Block);
            let Err(EngineError::Failed { what, now }) = act(&world) else { continue };
            assert!(
                what.contains("still waits") && now.contains("hands-off"),
                "{name}, {nth}: {what}; {now}"
            );
            blocked += 1;
            // Nothing more is written while the kernel has it, whoever asks.
            let written = world.kernel.writes().len();
            assert!(act(&world).is_err(), "{name}, {nth}");
            assert_eq!(world.kernel.writes().len(), written, "{name}, {nth}");
            world.kernel.release();
            world.engine().recover(Duration::from_secs(1)).unwrap();
            assert_eq!(world.picture(), host, "{name}, write {nth}");
            assert_eq!(world.files(), files, "{name}, write {nth}");
        }
        assert!(blocked > 0, "{name} never waits: the test tests nothing");
    }
}

#[test]
fn a_way_back_from_vfio_that_the_power_cut_ends_where_it_began() {
    let world = World::new();
    TO_DIRECT(&world).unwrap();
    let (direct, files) = (world.picture(), world.files());
    for step in 0..steps_of("to shared") {
        let world = World::new();
        TO_DIRECT(&world).unwrap();
        *world.dies_before.lock().unwrap() = Some(step);
        assert!(catch_unwind(AssertUnwindSafe(|| TO_SHARED(&world))).is_err());
        *world.dies_before.lock().unwrap() = None;
        // The next boot has nothing bound to VFIO, and its module not loaded.
        let world = world.rebooted(include_str!("../../../tests/hosts/two-gpus.umockdev"));
        assert_ne!(world.picture(), direct);
        world.engine().recover(Duration::from_secs(1)).unwrap();
        assert_eq!(world.picture(), direct, "cut before step {step}");
        assert_eq!(world.files(), files, "cut before step {step}");
    }
}

/// Carries a change out and returns the plan that its journal held.
fn intent_of(world: &World, act: Act) -> gpuvirt_plan::Plan {
    act(world).unwrap().plan.unwrap()
}

#[test]
fn an_unset_gpu_is_hands_off_no_more_and_stays_as_it_is() {
    let world = World::new();
    world.kernel.inject(On::Probe { function: at(GPU) }, Fault::Errno(Errno::EIO));
    let Err(EngineError::Failed { .. }) = world.set(GPU, ConfiguredType::Direct) else { panic!() };
    let halfway = world.picture();
    world.engine().unset(at(GPU)).unwrap();
    assert_eq!(world.picture(), halfway);
    assert!(world.files().intents.is_empty());
    world.kernel.clear_faults();
    assert!(world.set(GPU, ConfiguredType::Direct).is_ok());
}

#[test]
fn a_way_back_that_fails_leaves_no_override_of_its_own() {
    let world = World::new();
    let before = world.observed().functions[&at(GPU)].binding.clone();
    world.kernel.inject(On::Probe { function: at(GPU) }, Fault::Errno(Errno::EIO));
    let Err(EngineError::Failed { .. }) = world.set(GPU, ConfiguredType::Direct) else { panic!() };
    assert_eq!(world.observed().functions[&at(GPU)].binding.driver_override, before.driver_override);
}
