//! A device that the kernel holds for a write that waits: everything else goes on, and nothing of ours waits for it.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

mod world;

use std::sync::atomic::Ordering;
use std::time::Duration;

use gpuvirt_engine::ports::WaitingWrite;
use gpuvirt_engine::{CreateRequest, EngineError};
use gpuvirt_fakekernel::{Fault, On, Process};
use gpuvirt_host::Sysfs;
use gpuvirt_model::{ConfiguredType, Refusal, RefusalCode};
use uuid::Uuid;
use world::{GPU, OTHER, World, at};

const UUID: Uuid = Uuid::from_u128(0x83b8_f4f2_509f_382f_3c1e_e6bf_e0fa_1001);

/// A host where the unbinding of [`GPU`] waits. The kernel panics when anything else waits for it.
fn locked_by_us() -> World {
    let world = World::offering_vgpus(OTHER);
    world.kernel.inject_once(On::Unbind { function: at(GPU) }, Fault::Block);
    let Err(EngineError::Failed { now, .. }) = world.set(GPU, ConfiguredType::Direct) else { panic!() };
    assert!(now.contains("hands-off"), "{now}");
    world
}

/// The same, where somebody else's write waits: no journal tells of it.
fn locked_by_others() -> World {
    let world = World::offering_vgpus(OTHER);
    world.kernel.inject_once(On::Unbind { function: at(GPU) }, Fault::Block);
    let unbind = format!("/sys/bus/pci/devices/{GPU}/driver/unbind");
    assert!(world.kernel.write_that_may_block(&unbind, GPU.as_bytes(), Duration::ZERO).is_err());
    world
}

fn refusals(result: Result<impl std::fmt::Debug, EngineError>) -> Vec<Refusal> {
    match result {
        Err(EngineError::Refused(refusals)) => refusals,
        other => panic!("{other:?}"),
    }
}

#[test]
fn listings_and_other_gpus_go_on_while_a_write_waits() {
    for world in [locked_by_us(), locked_by_others()] {
        let view = world.engine().view().unwrap();
        let locked = view.observed.functions.values().filter(|function| function.locked);
        assert_eq!(locked.map(|function| function.address).collect::<Vec<_>>(), [at(GPU)]);
        world.set(OTHER, ConfiguredType::SharedDirect).unwrap();
        let profile = world.observed().gpus[&at(OTHER)].profiles[0].name.clone();
        let request = CreateRequest::one(at(OTHER), profile, UUID);
        world.engine().create_vgpus(&request).unwrap();
        world.remove_vgpu(UUID).unwrap();
        world.set(OTHER, ConfiguredType::Direct).unwrap();
    }
}

#[test]
fn a_locked_gpu_is_refused_for_every_change_and_not_touched() {
    let world = locked_by_others();
    world.kernel.forget_writes();
    let waiting = WaitingWrite { writer: 4711, function: Some(at(GPU)), vgpu: None };
    *world.waiting.lock().unwrap() = vec![waiting];
    for to in [ConfiguredType::Direct, ConfiguredType::Shared] {
        let refused = refusals(world.set(GPU, to));
        assert_eq!(refused[0].code, RefusalCode::DeviceLocked);
        assert!(refused[0].because.contains(GPU) && refused[0].because.contains("4711"), "{refused:?}");
    }
    assert!(world.kernel.writes().is_empty());
    // Ours is hands-off first of all.
    assert_eq!(refusals(locked_by_us().set(GPU, ConfiguredType::Shared))[0].code, RefusalCode::HandsOff);
}

/// What a pass over all processes would tell is known from the holders, where there is nobody. Where there is somebody, or
/// holders tell nothing of writers, it is asked.
#[test]
fn processes_are_gone_through_once_more_only_where_somebody_is_at_the_card() {
    let world = World::new();
    let observed = world.observed();
    let has_node = |gpu: &gpuvirt_model::Gpu| !observed.functions[&gpu.address].drm_nodes.is_empty();
    let free = |gpu: &&gpuvirt_model::Gpu| gpu.holders.seen.is_empty() && has_node(gpu);
    let gpu = observed.gpus.values().find(free).expect("a card that nobody holds").address;
    let set = |to| world.set(&gpu.to_string(), to);
    *world.waiting.lock().unwrap() = vec![WaitingWrite { writer: 4711, function: Some(gpu), vgpu: None }];
    assert_eq!(refusals(set(ConfiguredType::Direct))[0].code, RefusalCode::DeviceLocked);
    world.holders_show_writers.store(true, Ordering::Relaxed);
    world.kernel.start(Process::new(77, "gpuvirt-writer").opens(&node(&observed, gpu)));
    assert_eq!(refusals(set(ConfiguredType::Direct))[0].code, RefusalCode::DeviceLocked);
    world.kernel.end(77);
    set(ConfiguredType::Direct).unwrap();
}

/// A device node of a card.
fn node(observed: &gpuvirt_model::Observed, gpu: gpuvirt_model::PciAddress) -> String {
    format!("/dev/dri/{}", observed.functions[&gpu].drm_nodes[0])
}

#[test]
fn without_writers_everything_is_read_and_nothing_is_begun() {
    let world = World::offering_vgpus(OTHER);
    world.set(OTHER, ConfiguredType::SharedDirect).unwrap();
    let profile = world.observed().gpus[&at(OTHER)].profiles[0].name.clone();
    let (files, view) = (world.files(), world.engine().view().unwrap());
    world.kernel.forget_writes();
    world.no_writer.store(true, std::sync::atomic::Ordering::Relaxed);
    let engine = world.engine();
    for refused in [
        refusals(world.set(GPU, ConfiguredType::Direct)),
        refusals(engine.create_vgpus(&CreateRequest::one(at(OTHER), profile, UUID))),
    ] {
        assert_eq!(refused.iter().map(|refusal| refusal.code).collect::<Vec<_>>(), [RefusalCode::NoWriter]);
        assert!(refused[0].because.contains("the socket is gone"), "{refused:?}");
        assert!(refused[0].remedy[0].contains("gpuvirt-writer.socket"), "{refused:?}");
    }
    assert_eq!(engine.view().unwrap().observed, view.observed);
    assert!(world.kernel.writes().is_empty());
    assert_eq!(world.files(), files);
    world.no_writer.store(false, std::sync::atomic::Ordering::Relaxed);
    world.set(GPU, ConfiguredType::Direct).unwrap();
}

#[test]
fn a_locked_gpu_is_not_recovered_before_it_is_let_go() {
    let world = locked_by_us();
    let written = world.kernel.writes().len();
    let Err(EngineError::Failed { what, .. }) = world.engine().recover(Duration::from_secs(1)) else {
        panic!()
    };
    assert!(what.contains(GPU) && what.contains("waits"), "{what}");
    assert_eq!(world.kernel.writes().len(), written);
    assert_eq!(world.kernel.release(), 0);
    world.engine().recover(Duration::from_secs(1)).unwrap();
    assert!(world.set(GPU, ConfiguredType::Direct).is_ok());
}

#[test]
fn an_override_that_makes_no_sense_is_not_taken_for_none() {
    for content in ["no driver's name", "a/b"] {
        let world = World::new();
        let path = format!("/sys/bus/pci/devices/{GPU}/driver_override");
        world.kernel.write(&path, content.as_bytes()).unwrap();
        world.kernel.forget_writes();
        let refused = refusals(world.set(GPU, ConfiguredType::Direct));
        assert_eq!(refused[0].code, RefusalCode::BindingUnknown);
        assert!(refused[0].because.contains(&path), "{refused:?}");
        assert!(world.kernel.writes().is_empty());
        world.kernel.write(&path, b"\n").unwrap();
        world.set(GPU, ConfiguredType::Direct).unwrap();
    }
}

#[test]
fn a_creation_that_the_driver_keeps_waiting_ends_at_its_deadline() {
    let world = World::offering_vgpus(OTHER);
    world.set(OTHER, ConfiguredType::SharedDirect).unwrap();
    world.kernel.inject_once(On::CreateMdev { parent: at(OTHER) }, Fault::Block);
    let profile = world.observed().gpus[&at(OTHER)].profiles[0].name.clone();
    let request = CreateRequest::one(at(OTHER), profile, UUID);
    let Err(EngineError::Failed { what, now }) = world.engine().create_vgpus(&request) else { panic!() };
    assert!(what.contains("still waits") && now.contains("hands-off"), "{what}; {now}");
    world.engine().view().unwrap();
    assert_eq!(world.kernel.release(), 0);
    world.engine().recover(Duration::from_secs(1)).unwrap();
    assert!(world.observed().vgpus.is_empty());
}
