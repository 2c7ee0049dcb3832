//! What VMs that ended leave behind: it goes in few changes, and whoever needs its room has it at once.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

mod world;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread::spawn;
use std::time::Duration;

use gpuvirt_engine::{CreateRequest, Engine};
use gpuvirt_fakekernel::{Errno, Fault, On, Process};
use gpuvirt_host::Sysfs as _;
use gpuvirt_model::{
    ConfiguredType, Domain, DomainState, Hostdev, ProfileName, Request, Requests, VgpuId, VgpuParams, Wanted,
};
use uuid::Uuid;
use world::{GPU, OTHER, World, at, switch};

const DEADLINE: Duration = Duration::from_secs(5);

fn uuid(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// A VM whose one vGPU of this profile has the number 100 higher.
fn vm(number: u128, profile: &str) -> Domain {
    let device = Hostdev::Mdev { uuid: uuid(100 + number) };
    let wanted = Wanted::Profile { profile: ProfileName(profile.to_owned()), params: VgpuParams::default() };
    let request = Request {
        id: 1,
        alias: "ua-gpuvirt-1".to_owned(),
        wanted,
        assigned: Some(device.clone()),
        key: None,
    };
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

fn there(world: &World) -> Vec<VgpuId> {
    world.observed().vgpus.keys().copied().collect()
}

/// An engine that lends the host at once, and where it tells that removals are due.
fn telling(world: &World) -> (Arc<Engine>, Receiver<()>) {
    let (due, told) = channel();
    let engine = world.engine().with_patience(Duration::from_millis(50), Duration::ZERO);
    (Arc::new(engine.telling_of_releases(move || due.send(()).unwrap_or_default())), told)
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

#[test]
fn what_a_change_of_its_card_keeps_is_due_when_that_ends_and_not_before() {
    let world = with_mdevs();
    let (engine, told) = telling(&world);
    engine.hook_prepare(&vm(1, "lab-1q")).unwrap();
    // A vGPU that is gone from the host: that change could be about to make it again.
    engine.hook_prepare(&vm(2, "lab-1q")).unwrap();
    world.kernel.write(&format!("/sys/bus/mdev/devices/{}/remove", uuid(102)), b"1").unwrap();
    let hold = world.hold_steps_of(GPU);
    let creating = spawn({
        let engine = Arc::clone(&engine);
        let request = CreateRequest::one(at(GPU), ProfileName("lab-1q".to_owned()), uuid(50));
        move || engine.create_vgpus(&request)
    });
    hold.until_reached();
    (1..=2).for_each(|number| engine.hook_release(uuid(number)));
    engine.remove_released(DEADLINE).unwrap();
    // Other cards' changes are no reason to look again.
    engine.set_type(&switch(OTHER, ConfiguredType::Direct)).unwrap();
    assert!(told.try_recv().is_err());
    assert_eq!((there(&world), world.files().records.vgpus.len()), (vec![VgpuId::Mdev(uuid(101))], 2));
    hold.release();
    creating.join().unwrap().unwrap();
    told.try_recv().unwrap();
    engine.remove_released(DEADLINE).unwrap();
    let left = vec![VgpuId::Mdev(uuid(50))];
    assert_eq!(there(&world), left);
    assert_eq!(world.files().records.vgpus.keys().copied().collect::<Vec<_>>(), left);
    assert!(told.try_recv().is_err(), "once");
}

#[test]
fn what_a_hands_off_card_keeps_is_due_when_it_is_taken_back() {
    let world = with_mdevs();
    let (engine, told) = telling(&world);
    engine.hook_prepare(&vm(1, "lab-1q")).unwrap();
    world.kernel.inject_once(On::CreateMdev { parent: at(GPU) }, Fault::Block);
    let request = CreateRequest::one(at(GPU), ProfileName("lab-1q".to_owned()), uuid(50));
    assert!(engine.create_vgpus(&request).is_err());
    assert_eq!(world.files().intents.len(), 1, "hands-off");
    engine.hook_release(uuid(1));
    engine.remove_released(DEADLINE).unwrap();
    assert!(there(&world).contains(&VgpuId::Mdev(uuid(101))) && told.try_recv().is_err());
    world.kernel.release();
    engine.recover(DEADLINE).unwrap();
    told.try_recv().unwrap();
    engine.remove_released(DEADLINE).unwrap();
    assert!(there(&world).is_empty() && world.files().records.vgpus.is_empty());
}

#[test]
fn a_removal_that_fails_is_no_reason_to_try_it_again() {
    let world = with_mdevs();
    let (engine, told) = telling(&world);
    engine.hook_prepare(&vm(1, "lab-1q")).unwrap();
    engine.hook_release(uuid(1));
    world.kernel.fail(On::RemoveMdev { uuid: uuid(101) }, Errno::EIO);
    assert!(engine.remove_released(DEADLINE).is_err());
    assert!(told.try_recv().is_err(), "for ever");
    world.kernel.clear_faults();
    engine.remove_released(DEADLINE).unwrap();
    assert!(there(&world).is_empty());
}
