//! Two cards in one IOMMU group: what is done to the one is waited for by whoever needs the other.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

mod world;

use std::sync::Arc;
use std::thread::spawn;

use gpuvirt_engine::{Engine, EngineError};
use gpuvirt_host::Sysfs as _;
use gpuvirt_model::{ConfiguredType, Hostdev, Refusal, RefusalCode};
use world::domain::by_hand;
use world::patience::impatient;
use world::{GPU, OTHER, World, at, switch};

/// Both are passed through.
fn world() -> (World, Arc<Engine>) {
    let dump = include_str!("../../../tests/hosts/two-gpus.umockdev");
    let world = World::of(&dump.replace("iommu_groups/12", "iommu_groups/11"));
    for function in [OTHER, "0000:02:00.1"] {
        let unbind = format!("/sys/bus/pci/devices/{function}/driver/unbind");
        world.kernel.write(&unbind, function.as_bytes()).unwrap();
    }
    for gpu in [GPU, OTHER] {
        world.set(gpu, ConfiguredType::Direct).unwrap();
    }
    let engine = impatient(&world);
    (world, engine)
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, EngineError>) -> Refusal {
    match result {
        Err(EngineError::Refused(refusals)) => refusals[0].clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn while_a_card_is_changed_its_neighbour_is_neither_changed_nor_started_with() {
    let (world, engine) = world();
    let hold = world.hold_steps_of(OTHER);
    let changing = spawn({
        let engine = Arc::clone(&engine);
        move || engine.set_type(&switch(OTHER, ConfiguredType::Shared))
    });
    hold.until_reached();
    let busy = refused(engine.set_type(&switch(GPU, ConfiguredType::Shared)));
    assert!(busy.code == RefusalCode::Busy && busy.because.contains("IOMMU group"), "{busy:?}");
    let pci = |address: &str| Hostdev::Pci { address: at(address), managed: false };
    let domain = by_hand("cad", 5, vec![pci(GPU), pci("0000:01:00.1")]);
    let busy = refused(engine.hook_prepare(&domain));
    assert!(busy.code == RefusalCode::Busy && busy.because.contains(OTHER), "{busy:?}");
    engine.hook_release(domain.uuid);
    hold.release();
    changing.join().unwrap().unwrap();
    // The other one had no driver before: what is left of the group may be opened.
    engine.hook_prepare(&domain).unwrap();
}
