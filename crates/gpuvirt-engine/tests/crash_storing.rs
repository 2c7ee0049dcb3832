//! A daemon that dies between two things that a change stores: no half of them is taken for the whole.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use world::changes::{Change, changes, done, each_of, of_documents, state};
use world::{Files, GPU, Picture, World, at};

const DEADLINE: Duration = Duration::from_secs(1);
/// More than any change stores.
const MOST: usize = 64;

/// Carries a change out in a daemon that dies before it stores the thing with this number, from 0; whether it died.
fn dies_before_storing(world: &World, number: usize, change: Change) -> bool {
    *world.dies_before_storing.lock().unwrap() = Some(number);
    let ended = catch_unwind(AssertUnwindSafe(|| (change.act)(world)));
    *world.dies_before_storing.lock().unwrap() = None;
    if let Ok(ended) = &ended {
        assert!(ended.is_ok(), "{}: {ended:?}", change.name);
    }
    ended.is_err()
}

/// What a daemon does by itself when it has started.
fn restarted(world: &World) {
    let engine = world.engine();
    engine.recover(DEADLINE).unwrap();
    for gpu in engine.managed().unwrap() {
        engine.restore(gpu, DEADLINE).unwrap();
    }
    assert!(engine.remove_forgotten(DEADLINE).unwrap(), "libvirt tells who runs");
}

/// Every world in which the daemon died in the midst of what the change stores, with where.
fn deaths(change: Change, check: impl Fn(&World, &str)) {
    for number in 0.. {
        assert!(number < MOST, "{} never ends", change.name);
        let world = (change.world)();
        world.kernel.forget_writes();
        if !dies_before_storing(&world, number, change) {
            assert!(number > 0, "{} stores nothing", change.name);
            return;
        }
        check(&world, &format!("{}, dead before it stored thing {number}", change.name));
    }
}

#[test]
fn between_two_things_that_a_change_stores() {
    each_of(changes(), |change| {
        let before = state(&(change.world)());
        let done = done(change);
        deaths(change, |world, told| {
            restarted(world);
            let (host, files) = state(world);
            assert!(files.intents.is_empty(), "{told}");
            let is = |other: &(Picture, Files)| host == other.0 && files.desired == other.1.desired;
            let settled = is(&before) || is(&(done.host.clone(), done.files.clone()));
            assert!(settled, "{told}: {host:#?}");
        });
    });
}

/// Whatever came of it, a GPU that is unmanaged when the next daemon starts is not written to.
#[test]
fn a_gpu_that_is_no_longer_managed_is_left_as_it_is() {
    each_of(of_documents(), |change| {
        deaths(change, |world, told| {
            let files = world.files();
            let nobodys = files.desired.gpu(at(GPU)).is_none();
            let was_managed = (change.world)().files().desired.gpu(at(GPU)).is_some();
            if nobodys && was_managed {
                assert!(
                    files.intents.is_empty(),
                    "{told}: the next daemon would take back {:?}",
                    files.intents
                );
            }
            let left = world.picture();
            restarted(world);
            if nobodys && was_managed {
                assert_eq!(world.picture(), left, "{told}");
            }
            world.engine().unset(at(GPU)).unwrap();
            let files = world.files();
            assert!(files.desired.gpu(at(GPU)).is_none() && files.intents.is_empty(), "{told}");
        });
    });
}

#[test]
fn an_unset_that_cannot_be_stored_changes_nothing() {
    each_of(of_documents(), |change| {
        let world = (change.world)();
        let before = state(&world);
        world.files.lock().unwrap().commit_fails = true;
        let ended = (change.act)(&world);
        world.files.lock().unwrap().commit_fails = false;
        assert!(ended.is_err(), "{}", change.name);
        assert_eq!(state(&world), before, "{}", change.name);
    });
}
