//! What VMs that ended leave behind: it goes in few changes, and whoever needs its room has it at once.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

mod world;

use std::sync::Arc;
use std::time::Duration;

use gpuvirt_fakekernel::Process;
use gpuvirt_model::{
    ConfiguredType, Domain, DomainState, Hostdev, ProfileName, Request, Requests, VgpuId, VgpuParams, Wanted,
};
use uuid::Uuid;
use world::{GPU, World};

const DEADLINE: Duration = Duration::from_secs(5);

fn uuid(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// A VM whose one vGPU of this profile has the number 100 higher.
fn vm(number: u128, profile: &str) -> Domain {
    let device = Hostdev::Mdev { uuid: uuid(100 + number) };
    let wanted = Wanted::Profile { profile: ProfileName(profile.to_owned()), params: VgpuParams::default() };
    let request = Request { id: 1, alias: "ua-gpuvirt-1".to_owned(), wanted, assigned: Some(device.clone()) };
    Domain {
        name: format!("vm{number}"),
        uuid: uuid(number),
        state: DomainState::Active,
        autostart: false,
        config: vec![device],
        live: Vec::new(),
        requests: Requests { domain: Some(uuid(number)), list: vec![request], ..Requests::default() },
        guest: gpuvirt_model::Guest::default(),
    }
}

fn with_mdevs() -> World {
    let world = World::offering_vgpus(GPU);
    world.set(GPU, ConfiguredType::SharedDirect).unwrap();
    world
}

#[test]
fn a_start_has_the_room_of_vms_that_ended_whatever_was_made_for_it_before() {
    let world = with_mdevs();
    let engine = world.engine();
    for round in 0..2 {
        for number in 1..=8 {
            engine.hook_prepare(&vm(number, "lab-1q")).unwrap();
        }
        // The card is full, and its VMs end: nobody has removed anything yet.
        (1..=8).for_each(|number| engine.hook_release(uuid(number)));
        assert_eq!(engine.hook_prepare(&vm(9, "lab-4q")).unwrap(), [VgpuId::Mdev(uuid(109))], "{round}");
        engine.hook_release(uuid(9));
        engine.remove_released(DEADLINE).unwrap();
        assert!(world.observed().vgpus.is_empty());
    }
}

#[test]
fn what_is_held_stays_and_all_else_goes_with_its_records() {
    let world = with_mdevs();
    let engine = world.engine();
    for number in 1..=6 {
        engine.hook_prepare(&vm(number, "lab-1q")).unwrap();
    }
    let group = world.observed().vgpus[&VgpuId::Mdev(uuid(103))].iommu_group.unwrap();
    world.kernel.start(Process::new(77, "qemu-system-x86").opens(&format!("/dev/vfio/{group}")));
    (1..=5).for_each(|number| engine.hook_release(uuid(number)));
    engine.remove_released(DEADLINE).unwrap();
    let left: Vec<VgpuId> = world.observed().vgpus.keys().copied().collect();
    assert_eq!(left, [VgpuId::Mdev(uuid(103)), VgpuId::Mdev(uuid(106))], "one is held, one runs");
    assert_eq!(world.files().records.vgpus.keys().copied().collect::<Vec<_>>(), left);
    assert!(world.files().intents.is_empty());
    world.kernel.end(77);
    engine.remove_released(DEADLINE).unwrap();
    assert_eq!(world.observed().vgpus.len(), 1);
    engine.hook_release(uuid(6));
    engine.remove_released(DEADLINE).unwrap();
    assert!(world.observed().vgpus.is_empty() && world.files().records.vgpus.is_empty());
}

#[test]
fn starts_and_ends_at_once_lose_and_double_nothing() {
    let world = with_mdevs();
    let engine = Arc::new(world.engine());
    let vms: Vec<_> = (1..=8)
        .map(|number| {
            let engine = Arc::clone(&engine);
            std::thread::spawn(move || {
                for _ in 0..6 {
                    engine.hook_prepare(&vm(number, "lab-1q")).unwrap();
                    engine.hook_release(uuid(number));
                    if number % 2 == 0 {
                        engine.remove_released(DEADLINE).unwrap();
                    }
                }
                engine.hook_prepare(&vm(number, "lab-1q")).unwrap();
            })
        })
        .collect();
    vms.into_iter().for_each(|vm| vm.join().unwrap());
    assert_eq!(world.observed().vgpus.len(), 8);
    assert_eq!(world.files().records.vgpus.len(), 8);
    (1..=8).for_each(|number| engine.hook_release(uuid(number)));
    engine.remove_released(DEADLINE).unwrap();
    assert!(world.observed().vgpus.is_empty() && world.files().records.vgpus.is_empty());
}
