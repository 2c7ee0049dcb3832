//! Profiles: why they can't be had, what a wrong one should have been, and names that the driver tells no more.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

mod world;

use std::sync::Arc;

use gpuvirt_engine::{CreateRequest, EngineError, View};
use gpuvirt_fakekernel::{FakeKernel, SizeRule};
use gpuvirt_model::{
    ConfiguredType, Domain, DomainState, HostDriverKind, Profile, ProfileClass, ProfileName, Refusal,
    RefusalCode, Sharing, VgpuId,
};
use gpuvirt_plan::profile::judged;
use uuid::Uuid;
use world::{GPU, OTHER, PLAIN, TYPED, VF, World, at};

fn create(world: &World, gpu: &str, profile: &str, uuid: u128) -> Result<(), EngineError> {
    let profile = ProfileName(profile.to_owned());
    let request = CreateRequest::one(at(gpu), profile, Uuid::from_u128(uuid));
    world.engine().create_vgpus(&request).map(drop)
}

fn refusal(result: Result<(), EngineError>) -> Refusal {
    let EngineError::Refused(refusals) = result.unwrap_err() else { panic!("not refused") };
    assert_eq!(refusals.len(), 1, "{refusals:?}");
    refusals[0].clone()
}

fn profiles(view: &View, gpu: &str) -> Vec<Profile> {
    judged(&view.observed.gpus[&at(gpu)], &view.observed, &view.desired)
}

/// Why none of a profile can be had, by the first function that offers it.
fn blocked(world: &World, gpu: &str, name: &str) -> Option<String> {
    let view = world.engine().view().unwrap();
    let all = profiles(&view, gpu);
    all.into_iter().find(|profile| profile.name.0 == name).unwrap().blocked
}

#[test]
fn the_vendors_names_tell_what_its_files_do_not() {
    let view = World::typed().engine().view().unwrap();
    let all = profiles(&view, TYPED);
    let of = |name: &str| all.iter().find(|profile| profile.name.0 == name).unwrap().clone();
    let large = of("nvidia_l40s-48c");
    assert_eq!(large.framebuffer_mib, Some(48 * 1024));
    assert_eq!((large.class, large.sharing), (Some(ProfileClass::Compute), Some(Sharing::TimeSliced)));
    // 48 GiB are room for one, or for as many as there are virtual functions.
    assert_eq!((large.max, of("nvidia_l40s-12q").max, of("nvidia_l40s-1b").max), (Some(1), Some(4), Some(4)));
    assert!(all.iter().all(|profile| profile.blocked.is_none()), "{all:?}");
}

#[test]
fn a_full_card_still_names_what_lives_on_it() {
    let world = World::typed();
    create(&world, TYPED, "nvidia_l40s-48q", 1).unwrap();
    let id = VgpuId::Vf(at(VF));
    assert_eq!(world.observed().vgpus[&id].profile.0, "nvidia-1156", "the driver tells the number alone");
    let view = world.engine().view().unwrap();
    assert_eq!(view.observed.vgpus[&id].profile.0, "nvidia_l40s-48q");
    let [only] = &profiles(&view, TYPED)[..] else { panic!("one profile is in use, and none is left") };
    assert_eq!((only.name.0.as_str(), only.framebuffer_mib), ("nvidia_l40s-48q", Some(48 * 1024)));
    assert_eq!(only.max, None, "what fits the empty card does not show while it is not");
    assert!(only.blocked.as_ref().unwrap().contains("no free virtual function"), "{only:?}");
}

#[test]
fn one_size_locks_out_the_others_and_the_reason_names_the_vm() {
    let world = World::offering_vgpus(OTHER);
    let types = [
        ("nvidia-1", "NVIDIA X-1Q", 1024),
        ("nvidia-4", "NVIDIA X-4C", 4096),
        ("nvidia-8", "NVIDIA X-8A", 8192),
    ];
    world.kernel.offer_mdev(at(OTHER), 8192, SizeRule::Same, &types);
    assert_eq!(blocked(&world, OTHER, "nvidia_x-1q").as_deref(), Some("the GPU is unmanaged"));
    world.set(OTHER, ConfiguredType::SharedDirect).unwrap();
    assert_eq!(blocked(&world, OTHER, "nvidia_x-1q"), None);
    create(&world, OTHER, "nvidia_x-4c", 1).unwrap();
    let device = VgpuId::Mdev(Uuid::from_u128(1)).hostdev();
    world.libvirt.lock().unwrap().push(Domain {
        name: "vm-3".to_owned(),
        uuid: Uuid::nil(),
        state: DomainState::Active,
        config: vec![device.clone()],
        autostart: false,
        requests: Default::default(),
        guest: Default::default(),
        live: vec![device],
    });
    let who = format!("vGPU {} of VM vm-3", Uuid::from_u128(1));
    assert_eq!(blocked(&world, OTHER, "nvidia_x-1q"), Some(format!("locked to 4 GiB by {who}")));
    // That would not fit whatever the rule is.
    assert_eq!(blocked(&world, OTHER, "nvidia_x-8a"), Some(format!("its capacity is taken by {who}")));
    assert_eq!(blocked(&world, OTHER, "nvidia_x-4c"), None);
    create(&world, OTHER, "nvidia_x-4c", 2).unwrap();
    assert_eq!(
        blocked(&world, OTHER, "nvidia_x-4c"),
        Some(format!("its capacity is taken by {who} and 1 more"))
    );
}

#[test]
fn what_the_admin_asked_for_is_a_reason_too() {
    let world = World::typed();
    let name = "nvidia_l40s-1b";
    world.files.lock().unwrap().desired.gpus[0].cordoned = true;
    assert_eq!(blocked(&world, TYPED, name).as_deref(), Some("the GPU is cordoned"));
    world.files.lock().unwrap().desired.gpus[0].cordoned = false;
    world.files.lock().unwrap().desired.host.maintenance = true;
    assert_eq!(blocked(&world, TYPED, name).as_deref(), Some("the host is in maintenance"));
    world.files.lock().unwrap().desired.gpus[0].graphics_type = ConfiguredType::Shared;
    assert_eq!(blocked(&world, TYPED, name).as_deref(), Some("the GPU is configured as shared"));
}

#[test]
fn plain_virtual_functions_are_partitions_and_run_out() {
    let world = World::plain();
    world.set(PLAIN, ConfiguredType::SharedDirect).unwrap();
    for uuid in 0..7 {
        assert_eq!(blocked(&world, PLAIN, "vf").is_none(), uuid == 0, "the first is taken first");
        create(&world, PLAIN, "vf", uuid).unwrap();
    }
    let why = blocked(&world, PLAIN, "vf").unwrap();
    assert_eq!(why, "no free virtual function: all 7 are taken");
    assert_eq!(profiles(&world.engine().view().unwrap(), PLAIN)[0].sharing, Some(Sharing::Partitioned));
}

#[test]
fn a_profile_that_nothing_offers_leads_to_the_nearest() {
    let world = World::typed();
    let refused = refusal(create(&world, TYPED, "nvidia_l40s-12Q", 1));
    assert_eq!(refused.code, RefusalCode::ProfileNotOffered);
    assert_eq!(refused.remedy[0], "perhaps --profile nvidia_l40s-12q was meant");
    let refused = refusal(create(&world, TYPED, "1153", 1));
    assert_eq!(refused.remedy[0], "perhaps --profile nvidia_l40s-12q was meant", "the driver's number");
    let refused = refusal(create(&world, TYPED, "quadro", 1));
    assert!(refused.remedy[0].starts_with("gpuvirt profile list"), "{refused:?}");
}

#[test]
fn a_profile_of_another_card_leads_there() {
    let world = World::offering_vgpus(OTHER);
    world.kernel.offer_mdev(at(GPU), 8192, SizeRule::Mixed, &[("lab-2q", "LAB-2Q", 2048)]);
    world.set(GPU, ConfiguredType::SharedDirect).unwrap();
    let refused = refusal(create(&world, GPU, "lab-4q", 1));
    assert_eq!(refused.code, RefusalCode::ProfileNotOffered);
    assert_eq!(refused.because, format!("{GPU} offers lab-2q; {OTHER} offers lab-4q"));
    assert_eq!(refused.remedy[0], format!("gpuvirt vgpu create --gpu {OTHER} --profile lab-4q"));
}

#[test]
fn the_plain_driver_of_a_card_for_vgpus_is_refused_everywhere() {
    let dump = include_str!("../../../tests/hosts/two-gpus.umockdev").replace("nouveau", "nvidia");
    let kernel = FakeKernel::from_dump(&dump).unwrap().with_proc().strict();
    kernel.set_file("/sys/module/nvidia/version", "580.95.05\n");
    let world = World { kernel: Arc::new(kernel), ..World::new() };
    let refused = |result| refusal(result).because;
    let because = refused(world.set(OTHER, ConfiguredType::SharedDirect).map(drop));
    assert!(because.starts_with("nvidia 580.95.05 has it: the plain driver"), "{because}");
    // It was another driver when the card was configured.
    world.set(OTHER, ConfiguredType::Shared).unwrap();
    world.files.lock().unwrap().desired.gpus[0].graphics_type = ConfiguredType::SharedDirect;
    let Err(EngineError::Refused(refusals)) = create(&world, OTHER, "nvidia_a40-4q", 1) else { panic!() };
    let codes: Vec<RefusalCode> = refusals.iter().map(|refusal| refusal.code).collect();
    assert_eq!(codes, [RefusalCode::WrongHostDriver, RefusalCode::ProfileNotOffered]);
    // With the other module it is the vGPU host driver, which has made no types yet.
    world.kernel.set_file("/sys/module/nvidia_vgpu_vfio/refcnt", "0\n");
    let view = world.engine().view().unwrap();
    let gpu = &view.observed.gpus[&at(OTHER)];
    assert_eq!(gpu.driver.kind, HostDriverKind::VgpuHost);
    let reason = gpuvirt_plan::pending_reason(gpu, &view.observed, &view.desired).unwrap();
    assert!(reason.contains("nvidia-vgpud"), "{reason}");
}
