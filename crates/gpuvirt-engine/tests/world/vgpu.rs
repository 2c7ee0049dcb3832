//! Cards that make mediated devices by types, and orders of vGPUs by number.

use std::time::Duration;

use gpuvirt_engine::{CreateRequest, Engine, EngineError, Removal, RemoveRequest, Report};
use gpuvirt_fakekernel::SizeRule;
use gpuvirt_model::{ProfileName, VgpuId};
use uuid::Uuid;

use super::{GPU, OTHER, World, at};

/// The profile of the smaller type.
pub const SMALL: &str = "lab-1q";

/// Has a card make the two types, of sizes that may be mixed, as its driver does from every boot on.
pub fn offer(world: &World, gpu: &str, memory_mib: u64) {
    let types = [(SMALL, "LAB-1Q", 1024), ("lab-4q", "LAB-4Q", 4096)];
    world.kernel.offer_mdev(at(gpu), memory_mib, SizeRule::Mixed, &types);
}

/// Two GPUs that can make them, not configured yet.
pub fn two_offering() -> World {
    let world = World::new();
    for gpu in [GPU, OTHER] {
        offer(&world, gpu, 8192);
    }
    world
}

pub fn mdev(number: u128) -> VgpuId {
    Uuid::from_u128(number).into()
}

/// A small one, on this card or wherever there is room.
pub fn create(engine: &Engine, gpu: Option<&str>, number: u128) -> Result<Report, EngineError> {
    let request = CreateRequest::one(at(OTHER), ProfileName(SMALL.to_owned()), Uuid::from_u128(number));
    engine.create_vgpus(&CreateRequest { gpu: gpu.map(at), ..request })
}

pub fn remove(engine: &Engine, number: u128) -> Result<Report, EngineError> {
    let which = Removal::These(vec![mdev(number)]);
    let deadline = Duration::from_secs(5);
    engine.remove_vgpus(&RemoveRequest { which, dry_run: false, deadline })
}
