//! libvirt did not say that it started a VM, which is not to say that the VM is off.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

mod world;

use std::sync::atomic::Ordering;
use std::time::Duration;

use gpuvirt_engine::{Engine, EngineError};
use gpuvirt_model::{ConfiguredType, VgpuId};
use uuid::Uuid;
use world::domain::{add_profile, define, hooked};
use world::{GPU, World};

const DEADLINE: Duration = Duration::from_secs(5);
const WEB: Uuid = Uuid::from_u128(1);
const VGPU: Uuid = Uuid::from_u128(7);

/// A VM that is off and asks for a vGPU.
fn with_vm() -> World {
    let world = World::offering_vgpus(GPU);
    world.set(GPU, ConfiguredType::SharedDirect).unwrap();
    define(&world, "web", 1);
    add_profile(&world, &world.engine(), "web", "lab-4q", 7);
    world
}

/// Starts it in vain, and this happens meanwhile; what is said to be true after that.
#[track_caller]
fn fails(world: &World, engine: &Engine, meanwhile: impl FnOnce() + Send + 'static) -> String {
    *world.start_fails.lock().unwrap() = Some(Box::new(meanwhile));
    match engine.vm_start("web", false) {
        Err(EngineError::Failed { now, .. }) => now,
        other => panic!("{other:?}"),
    }
}

/// Whether its vGPU is there, and stays where what nobody needs is removed.
fn keeps_its_vgpu(world: &World, engine: &Engine) -> bool {
    engine.remove_released(DEADLINE).unwrap();
    world.observed().vgpus.contains_key(&VgpuId::Mdev(VGPU))
}

#[test]
fn what_was_made_for_a_vm_that_is_off_goes() {
    let world = with_vm();
    let engine = world.engine();
    assert_eq!(fails(&world, &engine, || {}), "VM web does not run");
    assert!(world.observed().vgpus.is_empty());
}

#[test]
fn what_was_made_for_a_vm_of_which_libvirt_says_nothing_stays_until_it_does() {
    let world = with_vm();
    let engine = world.engine();
    let hangs = world.libvirt_hangs.clone();
    let now = fails(&world, &engine, move || hangs.store(true, Ordering::Relaxed));
    assert!(now.starts_with("libvirt has not told whether VM web runs"), "{now}");
    assert!(keeps_its_vgpu(&world, &engine), "QEMU may be about to open it");
    // Where it did not start after all, libvirt says so as soon as it can be asked.
    assert!(!engine.remove_forgotten(DEADLINE).unwrap());
    assert!(keeps_its_vgpu(&world, &engine));
    world.libvirt_hangs.store(false, Ordering::Relaxed);
    assert!(engine.remove_forgotten(DEADLINE).unwrap());
    assert!(world.observed().vgpus.is_empty());
}

#[test]
fn a_vm_that_somebody_else_started_keeps_what_it_has() {
    let world = with_vm();
    let engine = world.engine();
    let faster = world.clone();
    let now = fails(&world, &engine, move || faster.start_domain("web").unwrap());
    assert!(now.starts_with("VM web runs, or is being started"), "{now}");
    assert!(keeps_its_vgpu(&world, &engine));
    engine.hook_release(WEB);
    assert!(!keeps_its_vgpu(&world, &engine));
}

#[test]
fn a_start_that_began_while_libvirt_was_asked_keeps_what_it_has() {
    let world = with_vm();
    let engine = std::sync::Arc::new(world.engine());
    let (again, domain) = (std::sync::Arc::clone(&engine), hooked(&world, "web"));
    let listing = world.while_listing.clone();
    fails(&world, &engine, move || {
        *listing.lock().unwrap() = Some(Box::new(move || drop(again.hook_prepare(&domain).unwrap())));
    });
    assert!(keeps_its_vgpu(&world, &engine), "it was off when libvirt looked, and starts now");
}
