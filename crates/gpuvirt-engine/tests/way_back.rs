//! The way back: what it must not be taken from under, and what happens when the daemon does not live to see it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use gpuvirt_engine::EngineError;
use gpuvirt_fakekernel::{Fault, On};
use gpuvirt_host::Sysfs as _;
use gpuvirt_model::{ConfiguredType, Domain, DriverName, Hostdev, RefusalCode};
use gpuvirt_plan::Step;
use uuid::Uuid;
use world::domain::by_hand;
use world::{GPU, PLAIN, PLAIN_VF, World, at};

const DEADLINE: Duration = Duration::from_secs(1);

fn recover(world: &World) -> Result<(), String> {
    match world.engine().recover(DEADLINE) {
        Ok(_) => Ok(()),
        Err(EngineError::Failed { what, .. }) => Err(what),
        Err(other) => panic!("{other:?}"),
    }
}

/// A card whose virtual functions were enabled by a daemon that died before it could store that.
fn enabled_and_died() -> (World, world::Picture) {
    let world = World::plain();
    let (files, before) = (world.files(), world.picture());
    let plan = world.set(PLAIN, ConfiguredType::SharedDirect).unwrap().plan.unwrap();
    *world.files.lock().unwrap() = files;
    world.files.lock().unwrap().intents = vec![plan];
    (world, before)
}

#[test]
fn virtual_functions_that_somebody_bound_by_hand_are_not_taken_back() {
    let (world, before) = enabled_and_died();
    let vf = format!("/sys/bus/pci/devices/{PLAIN_VF}");
    let module = Step::LoadModule { module: DriverName::vfio_pci() };
    world.host().perform(&module, DEADLINE).unwrap();
    for driver in ["xe", "vfio-pci"] {
        world.kernel.write(&format!("{vf}/driver_override"), driver.as_bytes()).unwrap();
        world.kernel.write("/sys/bus/pci/drivers_probe", PLAIN_VF.as_bytes()).unwrap();
        let bound = world.picture();
        assert_eq!(bound.bindings[&at(PLAIN_VF)].driver, Some(DriverName::parse(driver).unwrap()));
        let why = recover(&world).unwrap_err();
        assert!(why.contains("held by") && why.contains(PLAIN_VF), "{driver}: {why}");
        assert_eq!(world.picture(), bound, "{driver}");
        world.kernel.write(&format!("{vf}/driver/unbind"), PLAIN_VF.as_bytes()).unwrap();
        world.kernel.write(&format!("{vf}/driver_override"), b"\n").unwrap();
    }
    recover(&world).unwrap();
    assert_eq!(world.picture(), before);
}

fn with_the_card() -> Domain {
    by_hand("games", 7, vec![Hostdev::Pci { address: at(GPU), managed: false }])
}

/// The GPU itself is direct by then, and nothing is stored.
fn dies_before_its_last_step(world: &World) {
    let last = World::new().set(GPU, ConfiguredType::Direct).unwrap().plan.unwrap().steps.len() - 1;
    *world.dies_before.lock().unwrap() = Some(last);
    assert!(catch_unwind(AssertUnwindSafe(|| world.set(GPU, ConfiguredType::Direct))).is_err());
    *world.dies_before.lock().unwrap() = None;
}

#[test]
fn no_vm_starts_between_the_look_and_the_writes_of_a_way_back() {
    let world = World::new();
    let before = world.picture();
    dies_before_its_last_step(&world);

    let engine = world.engine();
    let hold = world.hold_steps();
    std::thread::scope(|scope| {
        let back = scope.spawn(|| engine.recover(DEADLINE));
        hold.until_reached();
        let Err(EngineError::Refused(refusals)) = engine.hook_prepare(&with_the_card()) else { panic!() };
        let codes: Vec<RefusalCode> = refusals.iter().map(|refusal| refusal.code).collect();
        assert!(
            codes.iter().all(|code| [RefusalCode::Busy, RefusalCode::HandsOff].contains(code)),
            "{codes:?}"
        );
        hold.release();
        back.join().unwrap().unwrap();
    });
    assert_eq!(world.picture(), before);
}

#[test]
fn what_a_running_vm_has_is_not_taken_back_from_it() {
    let world = World::new();
    world.kernel.inject(On::Probe { function: at(GPU) }, Fault::Silent);
    let Err(EngineError::Failed { .. }) = world.set(GPU, ConfiguredType::Direct) else { panic!() };
    world.kernel.clear_faults();
    world.kernel.write(&format!("/sys/bus/pci/devices/{GPU}/driver_override"), b"vfio-pci").unwrap();
    world.kernel.write("/sys/bus/pci/drivers_probe", GPU.as_bytes()).unwrap();
    let halfway = world.picture();
    // libvirt says so, and QEMU has not opened the device yet.
    let engine = world.engine();
    engine.hook_runs(&with_the_card());
    let Err(EngineError::Failed { what, .. }) = engine.recover(DEADLINE) else { panic!() };
    assert!(what.contains("games"), "{what}");
    assert_eq!(world.picture(), halfway);
    engine.hook_release(Uuid::from_u128(7));
    engine.recover(DEADLINE).unwrap();
}

/// Two daemons, one after the other, find a write waiting, leave the card alone and say so; when it has ended the third
/// leads the card back.
fn restarted_twice(world: &World, before: &world::Picture) {
    let (written, open) = (world.kernel.writes().len(), world.files().intents);
    assert!(!open.is_empty());
    for restart in 0..2 {
        let why = recover(world).unwrap_err();
        assert!(why.contains("waits"), "{restart}: {why}");
        assert_eq!((world.kernel.writes().len(), &world.files().intents), (written, &open), "{restart}");
    }
    assert_eq!(world.kernel.release(), 0);
    recover(world).unwrap();
    assert_eq!(world.picture(), *before);
    assert!(world.files().intents.is_empty());
    world.set(GPU, ConfiguredType::Direct).unwrap();
}

#[test]
fn however_often_the_daemon_is_restarted_a_write_that_waits_is_left_alone() {
    let world = World::new();
    let before = world.picture();
    world.kernel.inject_once(On::Unbind { function: at(GPU) }, Fault::Block);
    let Err(EngineError::Failed { now, .. }) = world.set(GPU, ConfiguredType::Direct) else { panic!() };
    assert!(now.contains("hands-off"), "{now}");
    restarted_twice(&world, &before);
}

#[test]
fn so_is_one_of_the_way_back_itself() {
    let world = World::new();
    let before = world.picture();
    dies_before_its_last_step(&world);
    world.kernel.inject_once(On::Unbind { function: at(GPU) }, Fault::Block);
    let why = recover(&world).unwrap_err();
    assert!(why.contains("still waits"), "{why}");
    restarted_twice(&world, &before);
}
