//! What a change is to lead to is told with its intent, and comes true.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

mod world;

use gpuvirt_engine::CreateRequest;
use gpuvirt_model::ConfiguredType;
use uuid::Uuid;
use world::{GPU, OTHER, World, at};

/// Of each change since the last time, whether its documents were those that had been expected.
fn came_true(world: &World) -> Vec<Option<bool>> {
    std::mem::take(&mut *world.came_true.lock().unwrap())
}

#[test]
fn a_switch_there_and_back() {
    let world = World::new();
    world.set(GPU, ConfiguredType::Direct).unwrap();
    world.set(GPU, ConfiguredType::Shared).unwrap();
    assert_eq!(came_true(&world), [Some(true); 2]);
}

#[test]
fn vgpus_made_and_removed() {
    let world = World::offering_vgpus(OTHER);
    world.set(OTHER, ConfiguredType::SharedDirect).unwrap();
    came_true(&world);
    let profile = world.observed().gpus[&at(OTHER)].profiles[0].name.clone();
    let uuid = Uuid::from_u128(0x83b8_f4f2_509f_382f_3c1e_e6bf_e0fa_1001);
    world.engine().create_vgpus(&CreateRequest::one(at(OTHER), profile, uuid)).unwrap();
    world.remove_vgpu(uuid).unwrap();
    assert_eq!(came_true(&world), [Some(true); 2]);
}
