//! Whatever fails, wherever: the host is as it was before, or it is said what is not.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

mod world;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use gpuvirt_engine::ports::WaitingWrite;
use gpuvirt_engine::{CreateRequest, EngineError, Report};
use gpuvirt_fakekernel::{Errno, Fault, On, Process};
use gpuvirt_host::Sysfs as _;
use gpuvirt_model::{ConfiguredType, ProfileName, RefusalCode, WarningCode};
use uuid::Uuid;
use world::changes::{Change, Done, TO_DIRECT, TO_SHARED, assert_same, changes, done, each, state};
use world::{GPU, OTHER, Picture, SYSTEMCTL, World, at, switch};

fn create(world: &World) -> Result<Report, EngineError> {
    let profile = ProfileName("lab-1q".to_owned());
    world.engine().create_vgpus(&CreateRequest::one(at(OTHER), profile, Uuid::from_u128(5)))
}

/// How many writes a change takes, and how many steps.
fn writes_of(name: &str) -> usize {
    done_by(name).writes.len()
}

fn steps_of(name: &str) -> usize {
    done_by(name).steps()
}

fn done_by(name: &str) -> Done {
    done(changes().into_iter().find(|change| change.name == name).unwrap())
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
    each(|change| {
        let done = done(change);
        for nth in 1..=done.writes.len() {
            let world = (change.world)();
            let before = state(&world);
            world.kernel.inject_once(On::NthWrite { nth }, fault);
            let ended = (change.act)(&world);
            world.kernel.clear_faults();
            let told = format!("{}, write {nth}, {fault:?}: {ended:?}", change.name);
            match ended {
                // A question that failed is asked again, a busy driver too, and what the kernel did counts, whatever it said.
                Ok(report) => {
                    if has_no_driver(&world, change, &report) {
                        continue;
                    }
                    let now = world.picture();
                    // A service that stays down is told, and undoes nothing.
                    let services = if stays_down(&done, nth) { &now.services } else { &done.host.services };
                    assert_same(&now, &Picture { services: services.clone(), ..done.host.clone() }, &told);
                }
                Err(EngineError::Failed { now, .. }) => {
                    assert_eq!(now, "everything is as it was before", "{told}");
                    assert_same(&state(&world), &before, &told);
                }
                // The card could not be asked how it is: nothing was begun.
                Err(EngineError::Port(_) | EngineError::Refused(_)) if change.name.starts_with("mig: ") => {
                    assert_same(&state(&world), &before, &told);
                }
                Err(other) => panic!("{told}: {other:?}"),
            }
            (change.act)(&world).map(|_| ()).or_else(|error| already_done(&world, error)).unwrap();
        }
    });
}

/// A host without a driver for its card is no failure of ours, but is said. Where nobody knows which driver a function had,
/// none is as good.
fn has_no_driver(world: &World, change: Change, report: &Report) -> bool {
    let functions = world.observed().functions;
    let warned = report.warnings.iter().any(|warning| warning.code == WarningCode::NoHostDriver);
    let whichever = change.name == "to shared, for whichever driver"
        && functions.values().any(|function| function.binding.driver.is_none());
    whichever || (warned && functions[&at(GPU)].binding.driver.is_none())
}

/// Whether that write is a run of the program that starts services.
fn stays_down(done: &Done, nth: usize) -> bool {
    done.writes[nth - 1].path == SYSTEMCTL
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
    let engine = world.engine();
    let Err(EngineError::Failed { what, now }) = engine.set_type(&switch(GPU, ConfiguredType::Direct)) else {
        panic!()
    };
    assert!(what.contains("still waits"), "{what}");
    assert!(now.contains("hands-off"), "{now}");
    assert_eq!(engine.take_given_up(), BTreeSet::from([at(GPU)]), "whoever waits for its end is told");
    assert!(engine.take_given_up().is_empty(), "once");
    let written = world.kernel.writes().len();
    let Err(EngineError::Refused(_)) = world.set(GPU, ConfiguredType::Shared) else { panic!() };
    assert_eq!(
        world.kernel.writes().len(),
        written,
        "nothing more is written while the kernel holds the device"
    );
    // The next daemon, at its start: the write may end between its look and its wait.
    let next = world.engine();
    let Err(EngineError::Failed { .. }) =
        next.recover_these(&BTreeSet::from([at(GPU)]), Duration::from_secs(1))
    else {
        panic!()
    };
    assert_eq!(next.take_given_up(), BTreeSet::from([at(GPU)]), "whoever waits for its end is told");
    assert_eq!(world.kernel.release(), 0);
    next.recover(Duration::from_secs(1)).unwrap();
    assert_eq!(world.picture(), before);
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
