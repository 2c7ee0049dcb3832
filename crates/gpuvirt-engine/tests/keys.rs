//! An order that is given again by its key to a daemon that knows no answers: what it made is found, and nothing is doubled.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

mod world;

use gpuvirt_engine::{CreateGpuInstances, CreateRequest, Report, VmOrder, VmRequest, Wish};
use gpuvirt_model::{
    CardMatch, ConfiguredType, DomainState, Outcome, PciAddress, ProfileName, Records, VgpuParams,
};
use uuid::Uuid;
use world::domain::{define, relist};
use world::{GPU, OTHER, PLAIN, TYPED, World, at, mig};

const KEY: Uuid = Uuid::from_u128(0x1000);
const OTHER_KEY: Uuid = Uuid::from_u128(0x2000);

/// Asks a daemon that has just started.
fn create(world: &World, gpu: Option<PciAddress>, profile: &str, (key, count): (Uuid, u128)) -> Report {
    let wish = |number| {
        let id = Uuid::from_u128(key.as_u128() + number);
        Wish { comes_back: true, ..Wish::new(id.into(), ProfileName(profile.to_owned())) }
    };
    let wishes = (0..count).map(wish).collect();
    world.engine().create_vgpus(&CreateRequest { gpu, wishes, dry_run: false }).unwrap()
}

fn plain() -> World {
    let world = World::plain();
    world.set(PLAIN, ConfiguredType::SharedDirect).unwrap();
    world
}

#[test]
fn virtual_functions_are_found_again_by_the_key_that_they_were_made_for() {
    for (world, gpu, profile) in [(World::typed(), TYPED, "nvidia_l40s-12q"), (plain(), PLAIN, "vf")] {
        for gpu in [Some(at(gpu)), None] {
            let key = if gpu.is_some() { KEY } else { OTHER_KEY };
            let before = world.observed().vgpus.len();
            let first = create(&world, gpu, profile, (key, 2));
            assert!(
                first.outcome.is_changed() && first.vgpus.iter().all(|id| id.vf().is_some()),
                "{first:?}"
            );
            let (files, writes) = (world.files(), world.kernel.writes().len());
            let again = create(&world, gpu, profile, (key, 2));
            assert!(!again.outcome.is_changed(), "{again:?}");
            assert_eq!(again.vgpus, first.vgpus, "the same, in their order");
            assert_eq!((world.files(), world.kernel.writes().len()), (files, writes));
            assert_eq!(world.observed().vgpus.len(), before + 2);
        }
    }
}

#[test]
fn what_is_gone_is_made_anew_and_what_nobody_comes_back_for_has_no_such_name() {
    let world = World::typed();
    let first = create(&world, Some(at(TYPED)), "nvidia_l40s-12q", (KEY, 1));
    world.remove_vgpu(first.vgpus[0]).unwrap();
    let again = create(&world, Some(at(TYPED)), "nvidia_l40s-12q", (KEY, 1));
    assert!(again.outcome.is_changed(), "{again:?}");
    let request = CreateRequest::one(at(TYPED), ProfileName("nvidia_l40s-12q".to_owned()), OTHER_KEY);
    let unnamed = world.engine().create_vgpus(&request).unwrap();
    let Records { vgpus, .. } = world.files().records;
    assert_eq!(vgpus[&again.vgpus[0]].asked_as, Some(KEY));
    assert_eq!(vgpus[&unnamed.vgpus[0]].asked_as, None);
}

fn profile(name: &str, uuids: &[u128]) -> VmRequest {
    let uuids = uuids.iter().map(|number| Uuid::from_u128(*number)).collect();
    VmRequest::Profile { profile: ProfileName(name.to_owned()), params: VgpuParams::default(), uuids }
}

/// Orders it from a daemon that has just started; the definition that it leads to.
fn add(world: &World, request: &VmRequest, key: Option<Uuid>) -> (Outcome<String>, String) {
    let order = VmOrder { request: request.clone(), key };
    let report = world.engine().vm_add("web", order, false).unwrap();
    relist(world);
    let definition = world.definitions.lock().unwrap()["web"].clone();
    (report.outcome, definition)
}

fn both_direct() -> World {
    let world = World::new();
    for gpu in [GPU, OTHER] {
        world.set(gpu, ConfiguredType::Direct).unwrap();
    }
    world
}

fn with_mdevs() -> World {
    let world = World::offering_vgpus(OTHER);
    world.set(OTHER, ConfiguredType::SharedDirect).unwrap();
    world
}

#[test]
fn a_vm_gets_its_devices_once_for_each_key() {
    let kind = |world: &World| {
        let ids = world.observed().functions[&at(GPU)].identity;
        let ids = format!("{:04x}:{:04x}", ids.vendor, ids.device).parse().unwrap();
        VmRequest::Match(CardMatch { ids, label: None })
    };
    let cards = both_direct();
    let card = kind(&cards);
    // The uuids are chosen anew each time that a daemon is asked.
    for (world, first, second) in [
        (World::typed(), profile("nvidia_l40s-12q", &[1, 2]), profile("nvidia_l40s-12q", &[3, 4])),
        (plain(), profile("vf", &[1, 2]), profile("vf", &[3, 4])),
        (with_mdevs(), profile("lab-1q", &[1]), profile("lab-1q", &[2])),
        (cards, card.clone(), card),
    ] {
        define(&world, "web", 1);
        let (made, definition) = add(&world, &first, Some(KEY));
        assert!(made.is_changed(), "{first}: {made:?}");
        let (again, same) = add(&world, &second, Some(KEY));
        assert!(!again.is_changed(), "{second}: {again:?}");
        assert_eq!(same, definition);
        // The VM may run by now.
        world.libvirt.lock().unwrap()[0].state = DomainState::Active;
        assert!(!add(&world, &second, Some(KEY)).0.is_changed(), "{second}");
        world.libvirt.lock().unwrap()[0].state = DomainState::ShutOff;
        // Another order is another device, where a VM can have several such.
        if first == profile("lab-1q", &[1]) {
            continue;
        }
        let (other, more) = add(&world, &second, Some(OTHER_KEY));
        assert!(other.is_changed() && more != definition, "{second}: {other:?}");
    }
}

#[test]
fn gpu_instances_are_made_once_for_each_key() {
    let world = mig::cut();
    let make = |key| {
        let profile = mig::SMALL.to_owned();
        let request = CreateGpuInstances { gpu: at(TYPED), profile, count: 2, dry_run: false, key };
        world.engine().create_gpu_instances(&request).unwrap()
    };
    let before = mig::state(&world).instances.len();
    assert!(make(Some(KEY)).outcome.is_changed());
    let (files, state) = (world.files(), mig::state(&world));
    let again = make(Some(KEY));
    assert!(!again.outcome.is_changed(), "{again:?}");
    assert_eq!((world.files(), mig::state(&world)), (files, state));
    // Another order, and one without a key, is for more.
    assert!(make(Some(OTHER_KEY)).outcome.is_changed());
    assert!(make(None).outcome.is_changed());
    assert_eq!(mig::state(&world).instances.len(), before + 6);
}
