//! A disk that gets full in the midst of a change, at each thing that the change stores: its journal, what that notes on the way,
//! and its documents. It is full for the way back as well.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

mod world;

use std::time::Duration;

use gpuvirt_engine::{EngineError, Report};
use world::World;
use world::changes::{Change, Done, assert_same, done, each, state};

/// More than any change stores.
const MOST: usize = 64;

/// The change with room for so many; there is room again afterwards.
fn with_room_for(stored: usize, world: &World, change: Change) -> Result<Report, EngineError> {
    *world.disk_takes.lock().unwrap() = Some(stored);
    let ended = (change.act)(world);
    *world.disk_takes.lock().unwrap() = None;
    ended
}

/// Records have the boot in which they were made, and each world its own.
fn is_done(world: &World, done: &Done, told: &str) {
    let (host, files) = state(world);
    assert_same(&host, &done.host, told);
    assert_same(&files.desired, &done.files.desired, told);
    assert_eq!(
        (&files.intents, files.records.vgpus.len()),
        (&Vec::new(), done.files.records.vgpus.len()),
        "{told}"
    );
}

#[test]
fn at_whatever_it_stores_a_change_is_taken_back_or_waits_for_room_to_be() {
    each(|change| {
        let done = done(change);
        let mut failed = 0;
        for stored in 0.. {
            assert!(stored < MOST, "{} never passes", change.name);
            let world = (change.world)();
            let before = state(&world);
            let ended = with_room_for(stored, &world, change);
            let told = format!("{}, room for {stored}: {ended:?}", change.name);
            match ended {
                Ok(_) => {
                    is_done(&world, &done, &told);
                    break;
                }
                Err(EngineError::Failed { now, .. }) if now.contains("hands-off") => {
                    // The way back makes what has to be noted first.
                    assert!(!world.files().intents.is_empty(), "{told}");
                    world.engine().recover(Duration::from_secs(1)).unwrap();
                }
                Err(EngineError::Failed { .. } | EngineError::Port(_)) => {}
                Err(other) => panic!("{told}: {other:?}"),
            }
            failed += 1;
            assert_same(&state(&world), &before, &told);
            (change.act)(&world).unwrap();
            is_done(&world, &done, &told);
        }
        assert!(failed > 0, "{}: it stores its journal at least", change.name);
    });
}
