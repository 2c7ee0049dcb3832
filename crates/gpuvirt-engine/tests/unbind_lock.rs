//! The lock of a card's driver: taken for an unbinding, given back where that did not come about, and nobody else's is.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use gpuvirt_engine::EngineError;
use gpuvirt_fakekernel::{Errno, Fault, On};
use gpuvirt_host::Sysfs as _;
use gpuvirt_model::ConfiguredType;
use gpuvirt_plan::{Step, UnbindLock};
use world::{TYPED, World, at};

/// The unbindLock of the card, as anybody writes it.
fn lock_of() -> String {
    format!("/proc/driver/nvidia/gpus/{TYPED}/unbindLock")
}

/// The number of the step that takes the lock, of the switch to direct.
fn lock_step() -> usize {
    let world = World::vendor();
    let report = world.set(TYPED, ConfiguredType::Direct).unwrap();
    let takes = |step: &Step| matches!(step, Step::SetUnbindLock { to: UnbindLock::Taken, .. });
    report.plan.unwrap().steps.iter().position(takes).unwrap()
}

fn dies_before(world: &World, step: usize, act: impl FnOnce(&World)) {
    *world.dies_before.lock().unwrap() = Some(step);
    assert!(catch_unwind(AssertUnwindSafe(|| act(world))).is_err());
    *world.dies_before.lock().unwrap() = None;
}

#[test]
fn a_lock_that_somebody_else_has_stays_theirs() {
    let world = World::vendor();
    let (kernel, path) = (world.kernel.clone(), lock_of());
    // Behind the service that was stopped.
    *world.before_step.lock().unwrap() =
        Some((1, Box::new(move || kernel.write(&path, b"1").map(drop).unwrap())));
    let Err(EngineError::Failed { what, now }) = world.set(TYPED, ConfiguredType::Direct) else { panic!() };
    assert!(what.contains("somebody else has taken it"), "{what}");
    assert_eq!(now, "everything is as it was before");
    assert_eq!(world.kernel.read(&lock_of(), 16).unwrap().trim_ascii(), b"1");
    assert!(world.observed().host.running_services.len() == 1);
}

#[test]
fn whoever_took_the_lock_after_a_crash_keeps_it() {
    for step in 0..lock_step() {
        let world = World::vendor();
        let before = world.picture();
        dies_before(&world, step, |world| drop(world.set(TYPED, ConfiguredType::Direct)));
        world.kernel.end(4000);
        world.kernel.write(&lock_of(), b"1").unwrap();
        world.engine().recover(Duration::from_secs(1)).unwrap();
        assert_eq!(world.kernel.read(&lock_of(), 16).unwrap().trim_ascii(), b"1", "dead before step {step}");
        assert_eq!(world.picture().bindings, before.bindings, "dead before step {step}");
    }
}

#[test]
fn a_lock_that_we_took_is_given_back_after_a_crash_and_forgotten_where_it_was_not_to_be_had() {
    let unbind = lock_step() + 1;
    let world = World::vendor();
    dies_before(&world, unbind, |world| drop(world.set(TYPED, ConfiguredType::Direct)));
    assert_eq!(world.kernel.read(&lock_of(), 16).unwrap().trim_ascii(), b"1");
    assert_eq!(world.files().intents[0].marks.locks.len(), 1);
    // The way back fails behind the lock: whoever takes that then keeps it.
    world.kernel.inject(On::Override { function: at(TYPED) }, Fault::Errno(Errno::EIO));
    assert!(world.engine().recover(Duration::from_secs(1)).is_err());
    assert_eq!(world.kernel.read(&lock_of(), 16).unwrap().trim_ascii(), b"0");
    assert!(world.files().intents[0].marks.is_empty());
    world.kernel.write(&lock_of(), b"1").unwrap();
    world.kernel.clear_faults();
    world.engine().recover(Duration::from_secs(1)).unwrap();
    assert_eq!(world.kernel.read(&lock_of(), 16).unwrap().trim_ascii(), b"1");
}
