//! Placement, reservations, cordons, maintenance and the host's defaults, over the production host code.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

mod world;

use std::time::Duration;

use gpuvirt_engine::{Cordon, CreateRequest, EngineError, HostRequest, Report};
use gpuvirt_fakekernel::{Process, SizeRule};
use gpuvirt_host::Sysfs as _;
use gpuvirt_model::{
    AssignmentPolicy, ConfiguredType, Domain, DomainState, GraphicsType, Hostdev, PciAddress, ProfileName,
    RefusalCode, Reservation, VgpuMode, WarningCode,
};
use uuid::Uuid;
use world::{GPU, OTHER, World, at};

/// Two GPUs of 40 GiB, each for one size at a time.
fn two() -> World {
    let world = World::new();
    for gpu in [GPU, OTHER] {
        let types = [("lab-10q", "LAB-10Q", 10_240), ("lab-20q", "LAB-20Q", 20_480)];
        world.kernel.offer_mdev(at(gpu), 40_960, SizeRule::Same, &types);
        world.set(gpu, ConfiguredType::SharedDirect).unwrap();
    }
    world
}

fn create(world: &World, profile: &str, uuid: u128) -> Result<Report, EngineError> {
    create_on(world, None, profile, uuid)
}

fn create_on(world: &World, gpu: Option<&str>, profile: &str, uuid: u128) -> Result<Report, EngineError> {
    let (profile, uuid) = (ProfileName(profile.to_owned()), Uuid::from_u128(uuid));
    world
        .engine()
        .create_vgpus(&CreateRequest { gpu: gpu.map(at), ..CreateRequest::one(at(GPU), profile, uuid) })
}

fn placed(result: Result<Report, EngineError>) -> PciAddress {
    result.unwrap().placement.unwrap().gpu
}

#[track_caller]
fn refused(result: Result<Report, EngineError>) -> Vec<RefusalCode> {
    match result {
        Err(EngineError::Refused(refusals)) => refusals.iter().map(|refusal| refusal.code).collect(),
        other => panic!("{other:?}"),
    }
}

fn nothing() -> HostRequest {
    HostRequest {
        default_type: None,
        assignment_policy: None,
        maintenance: None,
        reserve: None,
        yes: false,
        deadline: Duration::from_secs(1),
    }
}

fn reserve(profile: &str, count: u32) -> HostRequest {
    HostRequest {
        reserve: Some(Reservation { profile: ProfileName(profile.to_owned()), count }),
        ..nothing()
    }
}

fn default_type(to: ConfiguredType, yes: bool) -> HostRequest {
    HostRequest { default_type: Some(to), yes, ..nothing() }
}

#[test]
fn two_gpus_are_filled_as_the_policy_says() {
    let world = two();
    assert_eq!(placed(create(&world, "lab-10q", 1)), at(GPU));
    assert_eq!(placed(create(&world, "lab-10q", 2)), at(OTHER));
    assert_eq!(refused(create(&world, "lab-20q", 3)), [RefusalCode::NoSuitableGpu]);
    assert_eq!(world.observed().vgpus.len(), 2);

    let world = two();
    let grouped = HostRequest { assignment_policy: Some(AssignmentPolicy::Consolidation), ..nothing() };
    assert!(world.engine().set_host(&grouped).unwrap().outcome.is_changed());
    assert!(!world.engine().set_host(&grouped).unwrap().outcome.is_changed());
    assert_eq!(placed(create(&world, "lab-10q", 1)), at(GPU));
    assert_eq!(placed(create(&world, "lab-10q", 2)), at(GPU));
    assert_eq!(placed(create(&world, "lab-20q", 3)), at(OTHER));
    // Asked again, it is found where it is.
    assert!(!create(&world, "lab-20q", 3).unwrap().outcome.is_changed());
}

#[test]
fn a_policy_says_where_it_does_not_act() {
    let world = two();
    world.files.lock().unwrap().desired.gpus[1].vgpu_mode = Some(VgpuMode::MixedSize);
    let grouped = HostRequest { assignment_policy: Some(AssignmentPolicy::Consolidation), ..nothing() };
    let warnings = world.engine().set_host(&grouped).unwrap().warnings;
    assert_eq!(warnings.iter().map(|w| w.code).collect::<Vec<_>>(), [WarningCode::PolicyNotInEffect]);
    assert!(warnings[0].text.ends_with(&format!("{OTHER} (mixed-size)")), "{warnings:?}");
}

#[test]
fn nothing_is_placed_on_a_cordoned_gpu_and_what_is_there_stays() {
    let world = two();
    create_on(&world, Some(GPU), "lab-10q", 1).unwrap();
    let engine = world.engine();
    assert!(engine.set_cordon(at(GPU), Cordon::On).unwrap().outcome.is_changed());
    assert!(!engine.set_cordon(at(GPU), Cordon::On).unwrap().outcome.is_changed());
    assert_eq!(placed(create(&world, "lab-10q", 2)), at(OTHER));
    assert_eq!(refused(create_on(&world, Some(GPU), "lab-10q", 3)), [RefusalCode::Cordoned]);
    assert_eq!(
        refused(create_on(&world, Some(GPU), "none", 3)),
        [RefusalCode::ProfileNotOffered, RefusalCode::Cordoned],
        "all refusals at once"
    );
    assert_eq!(world.observed().vgpus.len(), 2);
    assert!(world.remove_vgpu(Uuid::from_u128(1)).is_ok());
    assert!(engine.set_cordon(at(GPU), Cordon::Off).unwrap().outcome.is_changed());
    assert!(create_on(&world, Some(GPU), "lab-10q", 3).is_ok());

    let unmanaged = World::new();
    assert_eq!(refused(unmanaged.engine().set_cordon(at(GPU), Cordon::On)), [RefusalCode::Unmanaged]);
    assert_eq!(refused(unmanaged.engine().set_cordon(at("99:00.0"), Cordon::On)), [RefusalCode::GpuNotFound]);
}

/// Two running VMs, one with a vGPU of the first GPU and one with the whole of another card; one that is off names the same.
fn run_two(world: &World, vgpu: Uuid) {
    let domain = |name: &str, number, state, devices: Vec<Hostdev>| Domain {
        name: name.to_owned(),
        uuid: Uuid::from_u128(number),
        state,
        autostart: false,
        live: if state == DomainState::Active { devices.clone() } else { Vec::new() },
        config: devices,
        requests: gpuvirt_model::Requests::default(),
        guest: gpuvirt_model::Guest::default(),
    };
    let whole = || vec![Hostdev::Pci { address: at(OTHER), managed: false }];
    *world.libvirt.lock().unwrap() = vec![
        domain("cad", 70, DomainState::Active, vec![Hostdev::Mdev { uuid: vgpu }]),
        domain("games", 71, DomainState::Active, whole()),
        domain("off", 72, DomainState::ShutOff, whole()),
    ];
}

#[test]
fn what_still_runs_is_listed_and_again_when_asked_again() {
    let world = two();
    create_on(&world, Some(GPU), "lab-10q", 1).unwrap();
    run_two(&world, Uuid::from_u128(1));
    let names = |report: &gpuvirt_engine::Report| -> Vec<String> {
        report.still_running.iter().map(|one| format!("{} {}", one.vm, one.gpu)).collect()
    };
    let engine = world.engine();
    for changed in [true, false] {
        let cordoned = engine.set_cordon(at(GPU), Cordon::On).unwrap();
        assert_eq!(cordoned.outcome.is_changed(), changed);
        assert_eq!(names(&cordoned), [format!("cad {GPU}")], "and no other card's");
        let text = cordoned.outcome.value();
        assert!(text.ends_with(&format!("still running: VM cad with {GPU}")), "{text}");
    }
    let maintenance = |on| HostRequest { maintenance: Some(on), ..nothing() };
    for changed in [true, false] {
        let on = engine.set_host(&maintenance(true)).unwrap();
        assert_eq!((on.outcome.is_changed(), names(&on).len()), (changed, 2), "{on:?}");
        assert!(on.outcome.value().contains(&format!("VM games with {OTHER}")), "{on:?}");
    }
    assert_eq!(names(&engine.set_cordon(at(GPU), Cordon::Off).unwrap()), Vec::<String>::new());
    assert_eq!(names(&engine.set_host(&maintenance(false)).unwrap()), Vec::<String>::new());
    world.libvirt.lock().unwrap().clear();
    let on = engine.set_host(&maintenance(true)).unwrap();
    assert!(on.outcome.value().ends_with("no VM runs there"), "{on:?}");
}

#[test]
fn a_gpu_that_must_be_left_alone_is_passed_over() {
    let world = two();
    let path = format!("/sys/bus/pci/devices/{GPU}/driver_override");
    world.kernel.write(&path, b"a/b").unwrap();
    let report = create(&world, "lab-10q", 1).unwrap();
    let choice = report.placement.unwrap();
    assert_eq!(choice.gpu, at(OTHER));
    assert!(choice.rejected[0].because.contains(&path), "{choice:?}");
    let view = world.engine().view().unwrap();
    let capacity = world.engine().capacity(&view).unwrap();
    assert!(capacity[0].gpus[0].closed.as_ref().unwrap().contains(&path), "{capacity:?}");
}

#[test]
fn nothing_is_placed_in_maintenance() {
    let world = two();
    let maintenance = |on| HostRequest { maintenance: Some(on), ..nothing() };
    world.engine().set_host(&maintenance(true)).unwrap();
    assert_eq!(refused(create(&world, "lab-10q", 1)), [RefusalCode::Maintenance]);
    assert_eq!(refused(create_on(&world, Some(GPU), "lab-10q", 1)), [RefusalCode::Maintenance]);
    world.engine().set_host(&maintenance(false)).unwrap();
    assert!(create(&world, "lab-10q", 1).is_ok());
}

#[test]
fn a_reservation_is_kept_and_taken_back() {
    let world = two();
    let engine = world.engine();
    assert_eq!(refused(engine.set_host(&reserve("lab-10q", 9))), [RefusalCode::NoCapacity]);
    assert_eq!(refused(engine.set_host(&reserve("lab-11q", 1))), [RefusalCode::ProfileNotOffered]);
    assert_eq!(refused(engine.set_host(&reserve("lab-10q", u32::MAX))), [RefusalCode::NoCapacity]);
    assert!(engine.set_host(&reserve("lab-20q", 4)).unwrap().outcome.is_changed());
    assert!(!engine.set_host(&reserve("lab-20q", 4)).unwrap().outcome.is_changed());
    assert_eq!(refused(create(&world, "lab-10q", 1)), [RefusalCode::CapacityReserved]);
    assert_eq!(refused(create_on(&world, Some(OTHER), "lab-10q", 1)), [RefusalCode::CapacityReserved]);
    assert!(create(&world, "lab-20q", 2).is_ok(), "one of those that are reserved");
    let view = engine.view().unwrap();
    let large = engine.capacity(&view).unwrap().into_iter().find(|c| c.profile.0 == "lab-20q").unwrap();
    assert_eq!((large.max, large.consumed, large.remaining, large.reserved), (Some(4), 1, 0, 3));
    // Fewer of them, and there is room for others.
    engine.set_host(&reserve("lab-20q", 2)).unwrap();
    assert_eq!(placed(create(&world, "lab-10q", 1)), at(OTHER));
    assert!(engine.set_host(&reserve("lab-20q", 0)).unwrap().outcome.is_changed());
    assert!(world.files().desired.host.reservations.is_empty());
    assert!(!engine.set_host(&reserve("lab-20q", 0)).unwrap().outcome.is_changed());
}

#[test]
fn a_vm_that_starts_with_the_host_finds_its_vgpu_again() {
    let world = two();
    world.engine().set_cordon(at(OTHER), Cordon::On).unwrap();
    create(&world, "lab-20q", 1).unwrap();
    let uuid = Uuid::from_u128(1);
    // The host starts anew: the device is gone, our record of it is not.
    let records = world.files().records;
    world.remove_vgpu(uuid).unwrap();
    world.files.lock().unwrap().records = records;
    *world.libvirt.lock().unwrap() = vec![Domain {
        name: "cad".to_owned(),
        uuid: Uuid::from_u128(70),
        state: DomainState::ShutOff,
        autostart: true,
        config: vec![Hostdev::Mdev { uuid }],
        live: Vec::new(),
        requests: Default::default(),
        guest: Default::default(),
    }];
    assert_eq!(refused(create(&world, "lab-10q", 2)), [RefusalCode::CapacityReserved]);
    assert!(create(&world, "lab-20q", 1).is_ok(), "it is kept for this one");
}

#[test]
fn gpus_that_follow_the_default_type_are_named_before_they_change() {
    let world = World::offering_vgpus(GPU);
    world.set(GPU, ConfiguredType::Default).unwrap();
    world.set(OTHER, ConfiguredType::Shared).unwrap();
    let engine = world.engine();
    let Err(EngineError::Refused(refusals)) =
        engine.set_host(&default_type(ConfiguredType::SharedDirect, false))
    else {
        panic!("not refused")
    };
    assert_eq!(refusals[0].code, RefusalCode::AffectsOthers);
    assert!(refusals[0].because.contains(GPU) && !refusals[0].because.contains(OTHER), "{}", refusals[0]);
    assert_eq!(world.files().desired.host.default_type, ConfiguredType::Shared);

    let report = engine.set_host(&default_type(ConfiguredType::SharedDirect, true)).unwrap();
    assert!(report.outcome.value().contains(GPU), "{report:?}");
    assert_eq!(report.pending, None);
    let active = world.observed().gpus[&at(GPU)].active_type(Some(GraphicsType::SharedDirect));
    assert_eq!(active, GraphicsType::SharedDirect);
    assert_eq!(world.files().desired.host.default_type, ConfiguredType::SharedDirect);
}

#[test]
fn a_gpu_that_cannot_follow_is_pending_and_says_why() {
    let world = World::new();
    world.set(OTHER, ConfiguredType::Default).unwrap();
    world.kernel.start(Process::new(77, "Xorg").opens("/dev/dri/card0"));
    let report = world.engine().set_host(&default_type(ConfiguredType::SharedDirect, true)).unwrap();
    let pending = report.pending.unwrap();
    assert!(pending.contains(OTHER) && pending.contains("[wrong-host-driver]"), "{pending}");
    assert!(report.outcome.value().contains("does not follow yet"));
    // Nobody follows: no word about others is needed.
    world.engine().unset(at(OTHER)).unwrap();
    assert!(world.engine().set_host(&default_type(ConfiguredType::Shared, false)).is_ok());
}
