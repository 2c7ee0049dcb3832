//! A card is looked at while libvirt is asked: what was seen counts only where nobody changed the host meanwhile.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

mod world;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use gpuvirt_engine::EngineError;
use gpuvirt_model::{ConfiguredType, RefusalCode};
use world::domain::{add_profile, define, hooked};
use world::{GPU, World, switch};

/// While libvirt answers, and after this card was looked at, this happens.
fn after_a_look(world: &World, act: impl FnOnce() + Send + 'static) {
    let (looks, before) = (world.looks.clone(), world.looks.load(Ordering::Relaxed));
    let act = move || {
        let end = Instant::now() + Duration::from_secs(30);
        while looks.load(Ordering::Relaxed) == before {
            assert!(Instant::now() < end, "nobody looked while libvirt was asked");
            std::thread::yield_now();
        }
        act();
    };
    *world.while_listing.lock().unwrap() = Some(Box::new(act));
}

#[test]
fn a_vgpu_that_a_start_makes_meanwhile_is_seen() {
    let world = World::offering_vgpus(GPU);
    world.set(GPU, ConfiguredType::SharedDirect).unwrap();
    define(&world, "web", 1);
    add_profile(&world, &world.engine(), "web", "lab-4q", 7);
    let engine = Arc::new(world.engine());
    let (starting, domain) = (Arc::clone(&engine), hooked(&world, "web"));
    after_a_look(&world, move || drop(starting.hook_prepare(&domain).unwrap()));
    let before = world.looks.load(Ordering::Relaxed);
    let refused = match engine.set_type(&switch(GPU, ConfiguredType::Direct)) {
        Err(EngineError::Refused(refusals)) => refusals,
        other => panic!("{other:?}"),
    };
    assert!(refused.iter().any(|refusal| refusal.code == RefusalCode::VgpusAlive), "{refused:?}");
    assert_eq!(world.looks.load(Ordering::Relaxed) - before, 2);
    assert_eq!(world.observed().vgpus.len(), 1);
}

#[test]
fn where_nobody_changes_anything_one_look_is_enough() {
    let world = World::offering_vgpus(GPU);
    let engine = world.engine();
    after_a_look(&world, || {});
    engine.set_type(&switch(GPU, ConfiguredType::Direct)).unwrap();
    assert_eq!(world.looks.load(Ordering::Relaxed), 1);
}
