//! A GPU on which vGPUs live is not to be anything else, in whichever way they are made.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

mod world;

use gpuvirt_engine::{CreateRequest, EngineError, SwitchRequest};
use gpuvirt_fakekernel::Process;
use gpuvirt_model::{ConfiguredType, Framework, GraphicsType, ProfileName, RefusalCode, VgpuId, When};
use uuid::Uuid;
use world::{OTHER, PLAIN, TYPED, World, at, switch};

/// The card of that host, with mediated devices on its virtual functions.
const MDEV_ON_VFS: &str = "0000:41:00.0";

/// Each way of making vGPUs: its name, the GPU, and a host on which one of it lives.
fn forms() -> [(&'static str, &'static str, World); 4] {
    let made = |world: World, gpu: &str, profile: &str| {
        world.set(gpu, ConfiguredType::SharedDirect).unwrap();
        let wish = CreateRequest::one(at(gpu), ProfileName(profile.to_owned()), Uuid::from_u128(5));
        world.engine().create_vgpus(&wish).unwrap();
        world
    };
    let on_vfs = World::of(include_str!("../../../tests/hosts/vgpu-host.umockdev"));
    on_vfs.set(MDEV_ON_VFS, ConfiguredType::SharedDirect).unwrap();
    [
        ("mdev", OTHER, made(World::offering_vgpus(OTHER), OTHER, "lab-1q")),
        ("mdev on VFs", MDEV_ON_VFS, on_vfs),
        ("nvidia-vfio", TYPED, made(World::typed(), TYPED, "nvidia_l40s-12q")),
        ("sriov", PLAIN, made(World::plain(), PLAIN, "vf")),
    ]
}

#[test]
fn the_host_gets_it_back_only_when_they_are_gone_unless_it_may_wait() {
    let mut frameworks: Vec<Framework> = Vec::new();
    for (form, gpu, world) in forms() {
        let vgpu = world.observed().vgpus.into_values().next().expect(form);
        frameworks.push(vgpu.framework);
        let node = format!("/dev/vfio/{}", vgpu.iommu_group.unwrap());
        world.kernel.start(Process::new(99, "qemu-system-x86").opens(&node));
        let (files, host) = (world.files(), world.picture());
        world.kernel.forget_writes();

        let Err(EngineError::Refused(refusals)) = world.set(gpu, ConfiguredType::Shared) else {
            panic!("{form}")
        };
        let codes: Vec<RefusalCode> = refusals.iter().map(|refusal| refusal.code).collect();
        assert_eq!(codes, [RefusalCode::VgpusAlive], "{form}");
        assert!(
            refusals[0].because.contains("held by") && refusals[0].because.contains("99"),
            "{refusals:?}"
        );
        assert_eq!((world.files(), world.picture()), (files, host.clone()), "{form}");
        assert!(world.kernel.writes().is_empty(), "{form}");

        // What may wait is stored, and says what it waits for.
        let idle = SwitchRequest { when: Some(When::Idle), ..switch(gpu, ConfiguredType::Shared) };
        let report = world.engine().configure(&idle).unwrap();
        assert!(report.pending.is_some() && report.outcome.is_changed(), "{form}: {report:?}");
        assert_eq!(world.picture(), host, "{form}");
        let again = world.engine().configure(&idle).unwrap();
        assert!(again.pending.is_some() && !again.outcome.is_changed(), "{form}: {again:?}");
    }
    frameworks.dedup();
    assert_eq!(frameworks, [Framework::Mdev, Framework::NvidiaVfio, Framework::Sriov]);
}

#[test]
fn it_follows_when_they_are_gone() {
    for (form, gpu, world) in forms().into_iter().filter(|(form, ..)| *form != "mdev on VFs") {
        let idle = SwitchRequest { when: Some(When::Idle), ..switch(gpu, ConfiguredType::Shared) };
        world.engine().configure(&idle).unwrap();
        let ids: Vec<VgpuId> = world.observed().vgpus.into_keys().collect();
        ids.into_iter().for_each(|id| drop(world.remove_vgpu(id).unwrap()));
        let report = world.engine().restore(at(gpu), std::time::Duration::from_secs(1)).unwrap();
        // Virtual functions that somebody else enabled stay, and the card is shared-direct by them.
        let theirs = form == "nvidia-vfio";
        assert_eq!(report.pending.is_some(), theirs, "{form}: {report:?}");
        let active = world.observed().gpus[&at(gpu)].active_type(Some(GraphicsType::Shared));
        assert_eq!(active == GraphicsType::Shared, !theirs, "{form}");
    }
}
