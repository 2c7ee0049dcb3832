//! The rules of a start, alike for both frameworks: vGPUs that are mediated devices, and such as are virtual functions.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

mod world;

use gpuvirt_engine::{CreateRequest, EngineError, SwitchRequest};
use gpuvirt_model::{ConfiguredType, Domain, Hostdev, ProfileName, Refusal, RefusalCode, VgpuId, When};
use uuid::Uuid;
use world::domain::{add_profile, by_hand, define, hooked};
use world::{GPU, TYPED, VF, World, at, switch, vgpu};

/// A host with one vGPU that an admin made, and a VM that has it.
fn with_mdev() -> (World, Domain) {
    let world = World::offering_vgpus(GPU);
    world.set(GPU, ConfiguredType::SharedDirect).unwrap();
    vgpu::create(&world.engine(), Some(GPU), 7).unwrap();
    (world, by_hand("cad", 1, vec![Hostdev::Mdev { uuid: Uuid::from_u128(7) }]))
}

/// The same where it is a virtual function.
fn with_vf(managed: bool) -> (World, Domain) {
    let world = World::typed();
    let profile = ProfileName("nvidia_l40s-12q".to_owned());
    world.engine().create_vgpus(&CreateRequest::one(at(TYPED), profile, Uuid::from_u128(7))).unwrap();
    assert!(world.observed().vgpus.contains_key(&VgpuId::Vf(at(VF))));
    (world, by_hand("cad", 1, vec![Hostdev::Pci { address: at(VF), managed }]))
}

fn frameworks() -> [(World, Domain, &'static str); 2] {
    let ((mdevs, with_mdev), (vfs, with_vf)) = (with_mdev(), with_vf(false));
    [(mdevs, with_mdev, GPU), (vfs, with_vf, TYPED)]
}

#[track_caller]
fn refused(world: &World, domain: &Domain) -> Vec<Refusal> {
    match world.engine().hook_prepare(domain) {
        Err(EngineError::Refused(refusals)) => refusals,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refused_as(world: &World, domain: &Domain, code: RefusalCode) -> Refusal {
    let mut refusals = refused(world, domain);
    assert_eq!(refusals.iter().map(|refusal| refusal.code).collect::<Vec<_>>(), [code], "{refusals:?}");
    refusals.remove(0)
}

#[test]
fn a_vgpu_on_a_card_as_it_was_configured_starts() {
    for (world, domain, _) in frameworks() {
        world.engine().hook_prepare(&domain).unwrap();
    }
}

#[test]
fn a_vgpu_on_another_card_than_was_configured_is_refused() {
    for (world, domain, gpu) in frameworks() {
        world.files.lock().unwrap().desired.gpus[0].identity.device = 0x9999;
        let refusal = refused_as(&world, &domain, RefusalCode::IdentityChanged);
        assert!(refusal.because.contains(gpu) && refusal.because.contains("9999"), "{refusal:?}");
    }
}

#[test]
fn a_vgpu_on_a_card_that_is_left_alone_is_refused() {
    for (world, domain, gpu) in frameworks() {
        let unsettled = world.intended.lock().unwrap().last().cloned().unwrap();
        world.files.lock().unwrap().intents.push(unsettled);
        let refusal = refused_as(&world, &domain, RefusalCode::HandsOff);
        assert!(refusal.because.contains(gpu) && refusal.remedy[0] == "gpuvirt recover", "{refusal:?}");
    }
}

/// What waits for a card's VMs to end would wait for ever for those that start; what waits for a boot waits for none of them.
#[test]
fn a_vgpu_on_a_card_that_is_to_be_another_type_is_refused() {
    for (world, domain, gpu) in frameworks() {
        let engine = world.engine();
        let mut live = domain.clone();
        live.live.clone_from(&live.config);
        let put_off = |when| {
            *world.libvirt.lock().unwrap() = vec![live.clone()];
            engine.hook_prepare(&domain).unwrap();
            let request = SwitchRequest { when: Some(when), ..switch(gpu, ConfiguredType::Shared) };
            engine.configure(&request).unwrap();
            world.libvirt.lock().unwrap().clear();
        };
        put_off(When::Boot);
        world.engine().hook_prepare(&domain).unwrap();
        put_off(When::Idle);
        let refusal = refused_as(&world, &domain, RefusalCode::NotSharedDirect);
        assert!(refusal.because.contains("configured as shared"), "{refusal:?}");
        assert_eq!(refusal.remedy[0], format!("gpuvirt gpu set {gpu} --type shared-direct"));
    }
}

#[test]
fn libvirt_does_not_get_a_virtual_function_to_bind_itself() {
    let (world, domain) = with_vf(true);
    let refusal = refused_as(&world, &domain, RefusalCode::HostdevManaged);
    assert!(refusal.because.contains(VF) && refusal.because.contains("managed='yes'"), "{refusal:?}");
    assert!(refusal.remedy[0].starts_with("virsh edit cad"), "{refusal:?}");
    // Nobody configured this card: libvirt's affair.
    world.files.lock().unwrap().desired.gpus.clear();
    world.engine().hook_prepare(&domain).unwrap();
}

/// Another virtual function would be written the same way by whoever wrote this.
#[test]
fn how_it_is_written_is_no_matter_of_which_one_it_is() {
    let world = World::typed();
    let engine = world.engine();
    define(&world, "web", 1);
    add_profile(&world, &engine, "web", "nvidia_l40s-12q", 7);
    let written = world.definitions.lock().unwrap()["web"].replace("managed='no'", "managed='yes'");
    world.definitions.lock().unwrap().insert("web".to_owned(), written);
    let refusal = refused_as(&world, &hooked(&world, "web"), RefusalCode::HostdevManaged);
    assert!(refusal.remedy[0].starts_with("virsh edit web"), "{refusal:?}");
    assert!(world.observed().vgpus.is_empty(), "nothing was made for it");
}

#[test]
fn what_else_is_wrong_with_it_is_said_at_once() {
    let (world, domain) = with_vf(true);
    world.files.lock().unwrap().desired.gpus[0].graphics_type = ConfiguredType::Direct;
    let codes: Vec<RefusalCode> = refused(&world, &domain).iter().map(|refusal| refusal.code).collect();
    assert_eq!(codes, [RefusalCode::HostdevManaged, RefusalCode::NotSharedDirect]);
}
