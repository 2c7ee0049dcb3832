//! Parameters of vGPUs: set with the vGPU, changed, cleared, and led back with everything else.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

mod world;

use std::time::Duration;

use gpuvirt_engine::{CreateRequest, EngineError, ParamsRequest, Removal, RemoveRequest, Report};
use gpuvirt_fakekernel::{Errno, Fault, On, Process, SizeRule};
use gpuvirt_host::Sysfs as _;
use gpuvirt_model::{ConfiguredType, Domain, DomainState, ProfileName, RefusalCode, VgpuId, VgpuParams};
use uuid::Uuid;
use world::{OTHER, PLAIN, TYPED, VF, World, at};

const UUID: Uuid = Uuid::from_u128(7);

fn params(line: &str) -> VgpuParams {
    line.parse().unwrap()
}

/// A host whose card makes mediated devices as NVIDIA's driver does.
fn mediated() -> World {
    let world = World::offering_vgpus(OTHER);
    let types = [("nvidia-4", "NVIDIA X-4Q", 4096)];
    world.kernel.offer_mdev(at(OTHER), 8192, SizeRule::Same, &types);
    world.set(OTHER, ConfiguredType::SharedDirect).unwrap();
    world
}

fn create(world: &World, gpu: &str, profile: &str, line: &str) -> Result<Report, EngineError> {
    let mut request = CreateRequest::one(at(gpu), ProfileName(profile.to_owned()), UUID);
    request.wishes[0].params = params(line);
    world.engine().create_vgpus(&request)
}

fn set(world: &World, id: VgpuId, line: &str, clear: bool) -> Result<Report, EngineError> {
    let deadline = Duration::from_secs(1);
    let request = ParamsRequest { id, params: params(line), clear, dry_run: false, deadline };
    world.engine().set_vgpu_params(&request)
}

fn remove(world: &World, id: VgpuId) -> Result<Report, EngineError> {
    let deadline = Duration::from_secs(1);
    world.engine().remove_vgpus(&RemoveRequest { which: Removal::These(vec![id]), dry_run: false, deadline })
}

fn shown(world: &World, id: VgpuId) -> Option<String> {
    world.observed().vgpus.get(&id)?.known_params().map(ToString::to_string)
}

fn refused<T: std::fmt::Debug>(result: Result<T, EngineError>) -> Vec<RefusalCode> {
    match result {
        Err(EngineError::Refused(refusals)) => refusals.iter().map(|refusal| refusal.code).collect(),
        other => panic!("{other:?}"),
    }
}

/// Both kinds that have parameters: host, GPU, profile, what names the vGPU.
fn both() -> [(World, &'static str, &'static str, VgpuId); 2] {
    [
        (World::typed(), TYPED, "nvidia_l40s-12q", VgpuId::Vf(at(VF))),
        (mediated(), OTHER, "nvidia_x-4q", VgpuId::Mdev(UUID)),
    ]
}

#[test]
fn a_vgpu_is_made_with_its_parameters_and_keeps_them_in_the_desired_document() {
    for (world, gpu, profile, id) in both() {
        create(&world, gpu, profile, "frame_rate_limiter=0, disable_vnc=1").unwrap();
        assert_eq!(shown(&world, id).as_deref(), Some("disable_vnc=1, frame_rate_limiter=0"));
        let desired = world.files().desired.gpu(at(gpu)).unwrap().vgpus[0].clone();
        assert_eq!((desired.id, desired.params), (id, params("frame_rate_limiter=0, disable_vnc=1")));
        let report = set(&world, id, "frame_rate_limiter=1", false).unwrap();
        assert!(report.outcome.is_changed());
        assert_eq!(shown(&world, id).as_deref(), Some("disable_vnc=1, frame_rate_limiter=1"));
        assert_eq!(
            world.files().desired.gpu(at(gpu)).unwrap().vgpus[0].params.to_string(),
            shown(&world, id).unwrap()
        );
        assert!(!set(&world, id, "frame_rate_limiter=1", false).unwrap().outcome.is_changed(), "asked twice");
        set(&world, id, "", true).unwrap();
        assert_eq!(shown(&world, id).as_deref(), Some(""));
        set(&world, id, "enable_uvm=1", false).unwrap();
        set(&world, id, "loglevel=2", true).unwrap();
        assert_eq!(shown(&world, id).as_deref(), Some("loglevel=2"), "all others are cleared");
        let before = world.kernel.writes().len();
        remove(&world, id).unwrap();
        let writes = &world.kernel.writes()[before..];
        let cleared = writes.iter().any(|write| write.path.ends_with("vgpu_params") && write.data == " ");
        assert_eq!(cleared, id.vf().is_some(), "a virtual function goes without them: {writes:?}");
        assert!(world.files().desired.gpu(at(gpu)).unwrap().vgpus.is_empty());
    }
}

#[test]
fn a_step_that_fails_takes_the_vgpu_with_it() {
    for (world, gpu, profile, _) in both() {
        let before = (world.picture(), world.files());
        let long = format!(
            "a={}, b={}, c={}, d={}, e=1",
            "x".repeat(64),
            "x".repeat(64),
            "x".repeat(64),
            "x".repeat(64)
        );
        let EngineError::Failed { what, now } = create(&world, gpu, profile, &long).unwrap_err() else {
            panic!("it must fail")
        };
        assert!(what.contains("parameters") && now == "everything is as it was before", "{what}; {now}");
        assert_eq!((world.picture(), world.files()), before);
    }
}

#[test]
fn every_write_that_fails_leaves_everything_as_it_was() {
    for errno in [Errno::EIO, Errno::EPERM] {
        for nth in 1..=2 {
            for (world, gpu, profile, id) in both() {
                let before = (world.picture(), world.files());
                world.kernel.inject_once(On::NthWrite { nth }, Fault::Errno(errno));
                create(&world, gpu, profile, "a=1").unwrap_err();
                assert_eq!((world.picture(), world.files()), before, "creation, write {nth}");

                create(&world, gpu, profile, "a=1").unwrap();
                world.kernel.inject_once(On::NthWrite { nth: 1 }, Fault::DoneThenErrno(errno));
                assert!(set(&world, id, "a=2", false).is_ok(), "what is there counts, not the errno");
                set(&world, id, "a=1", false).unwrap();
                let before = (world.picture(), world.files(), shown(&world, id));
                world.kernel.inject_once(On::NthWrite { nth: 1 }, Fault::Silent);
                set(&world, id, "a=2", false).unwrap_err();
                assert_eq!((world.picture(), world.files(), shown(&world, id)), before, "a change");

                world.kernel.inject_once(On::NthWrite { nth }, Fault::Errno(errno));
                if remove(&world, id).is_err() {
                    assert_eq!((world.picture(), world.files(), shown(&world, id)), before, "removal, {nth}");
                }
            }
        }
    }
}

#[test]
fn a_daemon_that_dies_between_two_steps_leads_both_back() {
    for (world, gpu, profile, id) in both() {
        let before = (world.picture(), world.files());
        *world.dies_before.lock().unwrap() = Some(1);
        let dying = world.clone();
        assert!(std::thread::spawn(move || create(&dying, gpu, profile, "a=1").map(drop)).join().is_err());
        *world.dies_before.lock().unwrap() = None;
        world.engine().recover(Duration::from_secs(1)).unwrap();
        assert_eq!((world.picture(), world.files()), before);
        create(&world, gpu, profile, "a=1").unwrap();
        assert_eq!(shown(&world, id).as_deref(), Some("a=1"));
    }
}

#[test]
fn while_a_vm_runs_with_it_nothing_is_set() {
    for (world, gpu, profile, id) in both() {
        create(&world, gpu, profile, "a=1").unwrap();
        let device = id.hostdev();
        world.libvirt.lock().unwrap().push(Domain {
            name: "vm-1".to_owned(),
            uuid: Uuid::nil(),
            state: DomainState::Active,
            config: vec![device.clone()],
            autostart: false,
            requests: Default::default(),
            guest: Default::default(),
            live: vec![device],
        });
        assert_eq!(refused(set(&world, id, "a=2", false)), [RefusalCode::VgpuInUse]);
        world.libvirt.lock().unwrap().clear();
        let group = world.observed().vgpus[&id].iommu_group.unwrap();
        world.kernel.start(Process::new(77, "qemu-system-x86").opens(&format!("/dev/vfio/{group}")));
        assert_eq!(refused(set(&world, id, "a=2", false)), [RefusalCode::VgpuInUse]);
        world.kernel.end(77);
        set(&world, id, "a=2", false).unwrap();
    }
}

#[test]
fn what_takes_no_parameters_is_refused_before_anything_is_written() {
    let world = World::plain();
    world.set(PLAIN, ConfiguredType::SharedDirect).unwrap();
    let before = world.kernel.writes().len();
    assert_eq!(refused(create(&world, PLAIN, "vf", "a=1")), [RefusalCode::NoVgpuParams]);
    assert_eq!(world.kernel.writes().len(), before);
    let report = create(&world, PLAIN, "vf", "").unwrap();
    assert_eq!(refused(set(&world, report.vgpus[0], "a=1", false)), [RefusalCode::NoVgpuParams]);
    assert_eq!(refused(set(&world, VgpuId::Mdev(Uuid::nil()), "a=1", false)), [RefusalCode::VgpuNotFound]);
}

#[test]
fn a_driver_without_the_file_is_found_out_and_the_vgpu_goes_again() {
    let world = World::offering_vgpus(OTHER);
    world.set(OTHER, ConfiguredType::SharedDirect).unwrap();
    let before = (world.picture(), world.files());
    let error = create(&world, OTHER, "lab-4q", "a=1").unwrap_err();
    assert!(error.to_string().contains("its driver has no"), "{error}");
    assert_eq!((world.picture(), world.files()), before);
    create(&world, OTHER, "lab-4q", "").unwrap();
    assert_eq!(refused(set(&world, VgpuId::Mdev(UUID), "a=1", false)), [RefusalCode::NoVgpuParams]);
}

#[test]
fn others_vgpus_keep_their_parameters() {
    let world = World::typed();
    world.kernel.write(&format!("/sys/bus/pci/devices/{VF}/nvidia/current_vgpu_type"), b"1153").unwrap();
    assert_eq!(refused(set(&world, VgpuId::Vf(at(VF)), "a=1", false)), [RefusalCode::NotOurs]);
}

#[test]
fn the_same_again_is_done_already_and_another_wish_is_not() {
    let world = mediated();
    create(&world, OTHER, "nvidia_x-4q", "a=1").unwrap();
    assert!(!create(&world, OTHER, "nvidia_x-4q", "a=1").unwrap().outcome.is_changed());
    let before = world.files();
    assert_eq!(refused(create(&world, OTHER, "nvidia_x-4q", "a=2")), [RefusalCode::UuidInUse]);
    assert_eq!(refused(create(&world, OTHER, "nvidia_x-4q", "")), [RefusalCode::UuidInUse]);
    assert_eq!((world.files(), shown(&world, VgpuId::Mdev(UUID)).as_deref()), (before, Some("a=1")));
}

#[test]
fn a_removal_that_could_not_be_stored_brings_the_parameters_back() {
    for (world, gpu, profile, id) in both() {
        create(&world, gpu, profile, "a=1, b=2").unwrap();
        let before = (world.picture(), shown(&world, id));
        world.files.lock().unwrap().commit_fails = true;
        let EngineError::Failed { now, .. } = remove(&world, id).unwrap_err() else { panic!("it must fail") };
        assert_eq!(now, "everything is as it was before");
        assert_eq!((world.picture(), shown(&world, id)), before);
        let failed = set(&world, id, "c=3", true).unwrap_err();
        let EngineError::Failed { now, .. } = failed else { panic!("it must fail") };
        assert_eq!(now, "everything is as it was before");
        assert_eq!((world.picture(), shown(&world, id)), before);
    }
}
