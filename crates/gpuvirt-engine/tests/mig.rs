//! GPU instances, over the fake kernel and a stand-in of the vendor's command.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use gpuvirt_engine::hook::CREATION_DEADLINE;
use gpuvirt_engine::{
    Cordon, CreateGpuInstances, CreateRequest, EngineError, Preparation, RemoveGpuInstances, Report,
    SwitchRequest,
};
use gpuvirt_fakekernel::{Errno, Fault, On, Program, SizeRule};
use gpuvirt_host::Sysfs as _;
use gpuvirt_model::{
    ConfiguredType, DesiredGpu, Domain, Hostdev, ProfileName, Refusal, RefusalCode, VgpuId, VgpuMode, When,
};
use uuid::Uuid;
use world::domain::{add_profile, by_hand, define, hooked};
use world::mig::{HALF, HALF_ID, SMALL, bare, command, cut, cut_of, instances, places, state, whole};
use world::patience::impatient;
use world::{COMMAND, GPU, Hold, TYPED, VF, World, at, switch};

fn order(profile: &str, count: u32) -> CreateGpuInstances {
    CreateGpuInstances { gpu: at(TYPED), profile: profile.to_owned(), count, dry_run: false, key: None }
}

fn create(world: &World, profile: &str, count: u32) -> Result<Report, EngineError> {
    world.engine().create_gpu_instances(&order(profile, count))
}

fn remove(world: &World, id: Option<u32>) -> Result<Report, EngineError> {
    let deadline = Duration::from_secs(1);
    let request = RemoveGpuInstances { gpu: at(TYPED), id, dry_run: false, deadline };
    world.engine().remove_gpu_instances(&request)
}

fn vgpu(world: &World, profile: &str) -> Result<VgpuId, EngineError> {
    let profile = ProfileName(profile.to_owned());
    let request = CreateRequest::one(at(TYPED), profile, Uuid::from_u128(1));
    world.engine().create_vgpus(&request).map(|report| report.vgpus[0])
}

fn mode(to: ConfiguredType, vgpu_mode: Option<VgpuMode>) -> SwitchRequest {
    let prepare = Preparation { vgpu_mode, vf_count: None };
    SwitchRequest { prepare, ..switch(TYPED, to) }
}

fn set(world: &World, to: ConfiguredType, vgpu_mode: Option<VgpuMode>) -> Result<Report, EngineError> {
    world.engine().set_type(&mode(to, vgpu_mode))
}

/// All calls of programs that changed something.
fn programs(world: &World) -> Vec<String> {
    let asks = ["-lgi", "-lci", "-lgip", "-lgipp", "--query-gpu"];
    let calls = world.kernel.writes().into_iter().filter(|write| write.path.starts_with("/usr/"));
    let calls =
        calls.filter(|call| !call.data.split(' ').any(|arg| asks.iter().any(|ask| arg.starts_with(ask))));
    calls.map(|call| call.data).collect()
}

#[test]
fn a_card_is_prepared_in_the_order_that_it_wants_and_led_back() {
    let world = bare();
    let before = world.picture();
    set(&world, ConfiguredType::SharedDirect, Some(VgpuMode::Mig)).unwrap();
    assert_eq!(programs(&world), [format!("-i {TYPED} -mig 1"), format!("-e {TYPED}")]);
    create(&world, HALF, 2).unwrap();
    assert_eq!(vgpu(&world, "nvidia_l40s-12q").unwrap(), VgpuId::Vf(at(VF)));
    // Not while something lives there.
    assert!(refused(set(&world, ConfiguredType::Shared, None)).contains(&RefusalCode::VgpusAlive));
    world.remove_vgpu(VgpuId::Vf(at(VF))).unwrap();
    // Asked again, all is as it was asked to be.
    assert!(!set(&world, ConfiguredType::SharedDirect, None).unwrap().outcome.is_changed());

    world.kernel.forget_writes();
    set(&world, ConfiguredType::Shared, None).unwrap();
    assert_eq!(programs(&world), [format!("-d {TYPED}"), format!("-i {TYPED} -mig 0")]);
    assert_eq!((world.picture(), state(&world).enabled), (before, false));
    let files = world.files();
    assert_eq!(files.records.gpu_instances, []);
    assert!(files.records.vgpu_modes.is_empty() && files.records.vfs.is_empty());
    assert!(files.desired.gpu(at(TYPED)).unwrap().gpu_instances.is_empty());
}

#[test]
fn what_a_reboot_took_is_made_again_behind_the_virtual_functions() {
    let world = bare();
    set(&world, ConfiguredType::SharedDirect, Some(VgpuMode::Mig)).unwrap();
    create(&world, SMALL, 2).unwrap();
    create(&world, HALF, 1).unwrap();
    // A reboot: virtual functions and GPU instances are gone, MIG mode stays.
    let boot = Uuid::from_u128(0xb007).to_string();
    world.kernel.set_file("/proc/sys/kernel/random/boot_id", &format!("{boot}\n"));
    world.kernel.write(&format!("/sys/bus/pci/devices/{TYPED}/sriov_numvfs"), b"0").unwrap();
    world.kernel.forget_writes();
    set(&world, ConfiguredType::SharedDirect, None).unwrap();
    let card = format!("mig -i {TYPED}");
    let small = format!("{card} -cgi 19 -C");
    assert_eq!(
        programs(&world),
        [format!("-e {TYPED}"), format!("{card} -cgi {HALF_ID} -C"), small.clone(), small]
    );
    let records = world.files().records;
    assert!(state(&world).instances.iter().all(|one| records.made_instance(at(TYPED), one)));
    // And the way back still knows that the mode is ours.
    set(&world, ConfiguredType::Shared, None).unwrap();
    assert!(!state(&world).enabled);
}

#[test]
fn whatever_call_of_the_preparation_fails_the_card_is_as_before() {
    let prepared = |nth: Option<usize>, fault| {
        let world = bare();
        let before = (world.picture(), state(&world).enabled, world.files());
        world.kernel.forget_writes();
        if let Some(nth) = nth {
            world.kernel.inject_once(On::NthWrite { nth }, fault);
        }
        let end = set(&world, ConfiguredType::SharedDirect, Some(VgpuMode::Mig));
        let calls = world.kernel.writes().len();
        world.kernel.clear_faults();
        (world, before, end, calls)
    };
    let (.., calls) = prepared(None, Fault::Silent);
    for fault in [Fault::Errno(Errno::EIO), Fault::Silent, Fault::DoneThenErrno(Errno::EIO)] {
        for nth in 1..=calls {
            let (world, before, end, _) = prepared(Some(nth), fault);
            let now = (world.picture(), state(&world).enabled, world.files());
            match end {
                Ok(_) => assert!(now.1 && now.2.intents.is_empty(), "{fault:?} at {nth}"),
                Err(EngineError::Failed { now: text, .. }) => {
                    assert_eq!(
                        (text.as_str(), now),
                        ("everything is as it was before", before),
                        "{fault:?} at {nth}"
                    );
                }
                Err(EngineError::Port(_) | EngineError::Refused(_)) => {
                    assert_eq!(now, before, "{fault:?} at {nth}")
                }
                Err(bug) => panic!("{fault:?} at {nth}: {bug:?}"),
            }
        }
    }
}

#[test]
fn others_are_not_wiped_for_it() {
    let world = bare();
    assert!(command(&world, &["-i", TYPED, "-mig", "1"]).is_success());
    assert!(command(&world, &["mig", "-i", TYPED, "-cgi", "9", "-C"]).is_success());
    assert_eq!(
        refused(set(&world, ConfiguredType::SharedDirect, Some(VgpuMode::Mig))),
        [RefusalCode::NotOurs]
    );
    // Nor for a card that is to be shared by time: the tool wipes them all the same.
    for vgpu_mode in [None, Some(VgpuMode::SameSize)] {
        assert_eq!(refused(set(&world, ConfiguredType::SharedDirect, vgpu_mode)), [RefusalCode::NotOurs]);
    }
    assert_eq!(instances(&world).len(), 1);
    // With virtual functions of somebody else the mode can't be turned.
    let world = whole();
    world.kernel.install("/usr/lib/nvidia/sriov-manage", Program::VfTool);
    assert_eq!(
        refused(set(&world, ConfiguredType::SharedDirect, Some(VgpuMode::Mig))),
        [RefusalCode::VfsAlive]
    );
    // A mode that was on before us stays on.
    let world = bare();
    assert!(command(&world, &["-i", TYPED, "-mig", "1"]).is_success());
    set(&world, ConfiguredType::SharedDirect, Some(VgpuMode::Mig)).unwrap();
    set(&world, ConfiguredType::Shared, None).unwrap();
    assert!(state(&world).enabled);
}

fn refused<T: std::fmt::Debug>(result: Result<T, EngineError>) -> Vec<RefusalCode> {
    refusals(result).iter().map(|refusal| refusal.code).collect()
}

fn refusals<T: std::fmt::Debug>(result: Result<T, EngineError>) -> Vec<Refusal> {
    match result {
        Err(EngineError::Refused(refusals)) => refusals,
        other => panic!("{other:?}"),
    }
}

/// The calls of the command that changed something.
fn acts(world: &World) -> Vec<String> {
    let asks = ["-lgi", "-lci", "-lgip", "-lgipp", "--query-gpu"];
    let calls = world.kernel.writes().into_iter().filter(|write| write.path == COMMAND).map(|call| call.data);
    calls.filter(|call| !call.split(' ').any(|arg| asks.iter().any(|ask| arg.starts_with(ask)))).collect()
}

#[test]
fn they_are_made_until_none_fits_and_removed_again() {
    let world = cut();
    let names: Vec<String> =
        state(&world).profiles.iter().map(|p| format!("{} {}/{}", p.name, p.free, p.total)).collect();
    assert_eq!(names, ["1g.6gb 7/7", "3g.24gb 2/2"]);
    create(&world, HALF, 1).unwrap();
    create(&world, SMALL, 3).unwrap();
    assert_eq!(
        places(&world),
        [(SMALL, "1:1"), (SMALL, "2:1"), (SMALL, "3:1"), (HALF, "4:4")]
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
    );
    let full = refusals(create(&world, SMALL, 2));
    assert_eq!(full[0].code, RefusalCode::NoCapacity);
    assert!(full[0].because.starts_with("1 more of 1g.6gb fit"), "{}", full[0].because);
    create(&world, SMALL, 1).unwrap();
    assert_eq!(refused(create(&world, HALF, 1)), [RefusalCode::NoCapacity]);

    let files = world.files();
    assert_eq!(files.desired.gpu(at(TYPED)).unwrap().gpu_instances, [SMALL, SMALL, SMALL, SMALL, HALF]);
    assert_eq!((files.records.gpu_instances.len(), files.intents.len()), (5, 0));

    let half = instances(&world).into_iter().find(|(_, profile, _)| profile == HALF).unwrap().0;
    remove(&world, Some(half)).unwrap();
    assert_eq!(world.files().desired.gpu(at(TYPED)).unwrap().gpu_instances, [SMALL; 4]);
    remove(&world, None).unwrap();
    assert_eq!(instances(&world), []);
    assert_eq!(world.files().records.gpu_instances, []);
    assert!(world.files().desired.gpu(at(TYPED)).unwrap().gpu_instances.is_empty());
    assert!(!remove(&world, None).unwrap().outcome.is_changed());
    assert_eq!(refused(remove(&world, Some(half))), [RefusalCode::GpuInstanceNotFound]);
}

#[test]
fn a_vgpu_needs_one_and_keeps_it() {
    let world = cut();
    // Without any the driver offers no type.
    assert_eq!(refused(vgpu(&world, "nvidia_l40s-12q")), [RefusalCode::ProfileNotOffered]);
    create(&world, HALF, 1).unwrap();
    assert_eq!(refused(vgpu(&world, "nvidia_l40s-4q")), [RefusalCode::ProfileNotOffered]);
    assert_eq!(vgpu(&world, "nvidia_l40s-12q").unwrap(), VgpuId::Vf(at(VF)));
    assert!(refused(vgpu(&world, "nvidia_l40s-12q")).iter().all(|code| *code != RefusalCode::UuidInUse));

    let id = instances(&world)[0].0;
    assert_eq!(world.observed().vgpus[&VgpuId::Vf(at(VF))].gpu_instance, Some(id));
    let in_use = refusals(remove(&world, Some(id)));
    assert_eq!(in_use[0].code, RefusalCode::GpuInstanceInUse);
    assert!(in_use[0].because.contains(VF) && in_use[0].remedy[0].contains("vgpu remove"), "{in_use:?}");
    assert_eq!(refused(remove(&world, None)), [RefusalCode::GpuInstanceInUse]);
    assert_eq!(instances(&world).len(), 1);

    world.remove_vgpu(VgpuId::Vf(at(VF))).unwrap();
    remove(&world, Some(id)).unwrap();
    assert_eq!(instances(&world), []);
}

#[test]
fn what_others_made_is_listed_and_left_alone() {
    let world = cut();
    assert!(command(&world, &["mig", "-i", TYPED, "-cgi", "9", "-C"]).is_success());
    create(&world, HALF, 1).unwrap();
    let (_, found) = world.engine().mig(None).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].state.as_ref().unwrap().instances.len(), 2);
    let theirs = instances(&world).iter().find(|(_, _, place)| place == "4:4").unwrap().0;
    assert_eq!(refused(remove(&world, Some(theirs))), [RefusalCode::NotOurs]);
    remove(&world, None).unwrap();
    assert_eq!(places(&world), [(HALF.to_owned(), "4:4".to_owned())]);
    // Its number comes again elsewhere, and is not ours for that.
    create(&world, SMALL, 1).unwrap();
    let ours = instances(&world).iter().find(|(_, profile, _)| profile == SMALL).unwrap().0;
    let id = ours.to_string();
    assert!(command(&world, &["mig", "-i", TYPED, "-dci", "-gi", &id]).is_success());
    assert!(command(&world, &["mig", "-i", TYPED, "-dgi", "-gi", &id]).is_success());
    assert!(command(&world, &["mig", "-i", TYPED, "-cgi", "9:0", "-C"]).is_success());
    assert!(instances(&world).iter().any(|(again, ..)| *again == ours));
    assert_eq!(refused(remove(&world, Some(ours))), [RefusalCode::NotOurs]);
}

#[test]
fn a_card_that_is_not_for_it_is_refused() {
    let world = whole();
    assert_eq!(refused(create(&world, SMALL, 1)), [RefusalCode::MigOff]);
    assert!(refusals(create(&world, SMALL, 1))[0].because.ends_with("is off"));
    // Asked for with virtual functions on: it comes with the next reset.
    assert!(command(&world, &["-i", TYPED, "-mig", "1"]).is_success());
    assert!(refusals(create(&world, SMALL, 1))[0].because.ends_with("with its next reset"));

    let world = cut();
    let unknown = refusals(create(&world, "3g.20gb", 1));
    assert_eq!(unknown[0].code, RefusalCode::ProfileNotOffered);
    assert!(unknown[0].because.ends_with("offers 3g.24gb, 1g.6gb"), "{}", unknown[0].because);
    for name in ["", "1g.6gb -C", &"x".repeat(100_000)] {
        assert_eq!(refused(create(&world, name, 1)), [RefusalCode::ProfileNotOffered]);
    }
    assert_eq!(refused(create(&world, SMALL, u32::MAX)), [RefusalCode::NoCapacity]);
    let absent = CreateGpuInstances { gpu: at("0000:99:00.0"), ..order(SMALL, 1) };
    assert_eq!(refused(world.engine().create_gpu_instances(&absent)), [RefusalCode::GpuNotFound]);

    let mut files = world.files.lock().unwrap();
    let entry = files.desired.gpu(at(TYPED)).unwrap().clone();
    files.desired =
        files.desired.with_gpu(DesiredGpu { vgpu_mode: Some(VgpuMode::SameSize), ..entry.clone() });
    drop(files);
    assert_eq!(refused(create(&world, SMALL, 1)), [RefusalCode::MigOff]);
    let mut files = world.files.lock().unwrap();
    files.desired = files.desired.without_gpu(at(TYPED));
    drop(files);
    assert_eq!(refused(create(&world, SMALL, 1)), [RefusalCode::Unmanaged]);
    assert_eq!(refused(remove(&world, None)), [RefusalCode::Unmanaged]);
    assert_eq!(acts(&world), [] as [&str; 0]);

    // No command is known for this card's driver.
    let world = World::new();
    assert_eq!(refused(world.engine().mig(Some(at(GPU)))), [RefusalCode::NoMig]);
}

#[test]
fn a_dry_run_says_what_the_change_then_does() {
    let world = cut();
    let dry = CreateGpuInstances { dry_run: true, ..order(SMALL, 2) };
    let plan = world.engine().create_gpu_instances(&dry).unwrap().plan.unwrap();
    let shell: Vec<String> = plan.steps.iter().map(gpuvirt_host::shell).collect();
    assert_eq!(shell, vec![format!("{COMMAND} mig -i {TYPED} -cgi 19 -C"); 2]);
    assert_eq!((acts(&world), world.files().intents.len()), (Vec::new(), 0));
    create(&world, SMALL, 2).unwrap();
    assert_eq!(acts(&world), vec![format!("mig -i {TYPED} -cgi 19 -C"); 2]);
    let id = instances(&world)[0].0;
    world.kernel.forget_writes();
    remove(&world, Some(id)).unwrap();
    let card = format!("mig -i {TYPED}");
    assert_eq!(acts(&world), [format!("{card} -dci -gi {id}"), format!("{card} -dgi -gi {id}")]);
}

/// A card with one of the large ones.
fn with_half() -> World {
    let world = cut();
    create(&world, HALF, 1).unwrap();
    world.kernel.forget_writes();
    world
}

#[test]
fn whatever_call_fails_the_card_is_as_before_or_as_asked() {
    let world = with_half();
    create(&world, SMALL, 2).unwrap();
    let calls = world.kernel.writes().len();
    for fault in [Fault::Errno(Errno::EIO), Fault::Silent, Fault::DoneThenErrno(Errno::EIO)] {
        for nth in 1..=calls {
            let world = with_half();
            let before = (places(&world), world.files());
            world.kernel.inject_once(On::NthWrite { nth }, fault);
            let end = create(&world, SMALL, 2);
            world.kernel.clear_faults();
            let now = (places(&world), world.files());
            match end {
                Ok(_) => assert_eq!((now.0.len(), now.1.intents.len()), (3, 0), "{fault:?} at {nth}"),
                Err(EngineError::Failed { now: text, .. }) => {
                    assert_eq!(text, "everything is as it was before", "{fault:?} at {nth}");
                    assert_eq!(now, before, "{fault:?} at {nth}");
                }
                Err(EngineError::Port(_) | EngineError::Refused(_)) => {
                    assert_eq!(now, before, "{fault:?} at {nth}");
                }
                Err(bug) => panic!("{fault:?} at {nth}: {bug:?}"),
            }
        }
    }
}

#[test]
fn a_failed_removal_makes_again_what_was_removed_where_it_was() {
    let with_three = || {
        let world = cut();
        create(&world, SMALL, 3).unwrap();
        world.kernel.forget_writes();
        world
    };
    let world = with_three();
    remove(&world, None).unwrap();
    let calls = world.kernel.writes().len();
    let mut failed = 0;
    for nth in 1..=calls {
        let world = with_three();
        let before = places(&world);
        world.kernel.inject_once(On::NthWrite { nth }, Fault::Errno(Errno::EIO));
        let end = remove(&world, None);
        world.kernel.clear_faults();
        if end.is_ok() {
            assert_eq!(places(&world), [], "at {nth}");
            continue;
        }
        failed += 1;
        assert_eq!(places(&world), before, "at {nth}: {end:?}");
        // What came back has another number, maybe, and is ours still.
        let records = world.files().records;
        assert!(state(&world).instances.iter().all(|one| records.made_instance(at(TYPED), one)), "at {nth}");
    }
    assert!(failed > calls / 2, "{failed} of {calls}");
}

#[test]
fn a_daemon_that_dies_at_any_step_is_recovered_from() {
    for step in 0..3 {
        let world = cut();
        create(&world, HALF, 1).unwrap();
        let before = (places(&world), world.files());
        *world.dies_before.lock().unwrap() = Some(step);
        let end = catch_unwind(AssertUnwindSafe(|| create(&world, SMALL, 2)));
        *world.dies_before.lock().unwrap() = None;
        if step == 2 {
            assert!(end.is_ok());
            continue;
        }
        assert!(end.is_err());
        assert_eq!(refused(create(&world, SMALL, 1)), [RefusalCode::HandsOff]);
        world.engine().recover(Duration::from_secs(1)).unwrap();
        assert_eq!((places(&world), world.files()), before, "died before step {step}");
    }
}

#[test]
fn a_command_that_does_not_end_is_left_alone() {
    let world = cut();
    world.kernel.inject_once(On::NthWrite { nth: 6 }, Fault::Block);
    let Err(EngineError::Failed { now, .. }) = create(&world, SMALL, 1) else { panic!() };
    assert!(now.contains("hands-off"), "{now}");
    assert_eq!(refused(create(&world, SMALL, 1)), [RefusalCode::HandsOff]);
    assert_eq!(world.kernel.release(), 0);
    world.engine().recover(Duration::from_secs(1)).unwrap();
    assert_eq!((places(&world), world.files().intents.len()), (Vec::new(), 0));
}

#[test]
fn after_a_reboot_none_is_ours() {
    let world = cut();
    create(&world, SMALL, 1).unwrap();
    let boot = Uuid::from_u128(0xb007).to_string();
    world.kernel.set_file("/proc/sys/kernel/random/boot_id", &format!("{boot}\n"));
    let id = instances(&world)[0].0;
    assert_eq!(refused(remove(&world, Some(id))), [RefusalCode::NotOurs]);
    // What is wanted of the card stays.
    assert_eq!(world.files().desired.gpu(at(TYPED)).unwrap().gpu_instances, [SMALL]);
}

/// Somebody else makes one by hand, right before the step with this number.
fn others_make_before(world: &World, step: usize) {
    let other = world.clone();
    let id = "19".to_owned();
    let act = move || drop(command(&other, &["mig", "-i", TYPED, "-cgi", &id, "-C"]));
    *world.before_step.lock().unwrap() = Some((step, Box::new(act)));
}

fn count(world: &World) -> usize {
    state(world).instances.len()
}

#[test]
fn what_others_make_at_the_same_time_is_theirs() {
    for step in 0..2 {
        let world = cut();
        others_make_before(&world, step);
        let Err(EngineError::Failed { what, now }) = create(&world, SMALL, 2) else { panic!("{step}") };
        assert!(what.contains(SMALL) && now == "everything is as it was before", "{step}: {what}; {now}");
        assert_eq!(count(&world), 1, "{step}: theirs stays");
        let records = world.files().records;
        assert!(records.gpu_instances.is_empty() && world.files().intents.is_empty(), "{step}: {records:?}");
        assert!(!create(&world, SMALL, 1).unwrap().plan.unwrap().is_empty());
        assert_eq!((count(&world), world.files().records.gpu_instances.len()), (2, 1), "{step}");
    }
}

#[test]
fn a_daemon_that_dies_behind_one_that_others_made_takes_its_own_back_only() {
    let world = cut();
    *world.dies_before.lock().unwrap() = Some(1);
    assert!(catch_unwind(AssertUnwindSafe(|| create(&world, SMALL, 2))).is_err());
    *world.dies_before.lock().unwrap() = None;
    let ours = state(&world).instances[0].id;
    for _ in 0..2 {
        assert!(command(&world, &["mig", "-i", TYPED, "-cgi", "19", "-C"]).is_success());
    }
    assert_eq!(count(&world), 3);
    // It died between two: no other was being made.
    world.files.lock().unwrap().intents[0].marks.making.clear();
    world.engine().recover(Duration::from_secs(1)).unwrap();
    assert!(state(&world).instances.iter().all(|one| one.id != ours));
    assert_eq!(count(&world), 2, "theirs stay");
    assert!(world.files().records.gpu_instances.is_empty() && world.files().intents.is_empty());
}

#[test]
fn nothing_is_cut_on_a_cordoned_card_nor_in_maintenance() {
    let world = cut();
    create(&world, SMALL, 1).unwrap();
    world.engine().set_cordon(at(TYPED), Cordon::On).unwrap();
    world.files.lock().unwrap().desired.host.maintenance = true;
    world.kernel.forget_writes();
    assert_eq!(refused(create(&world, SMALL, 1)), [RefusalCode::Maintenance, RefusalCode::Cordoned]);
    let unknown = refused(create(&world, "7g.1gb", 1));
    assert_eq!(unknown, [RefusalCode::ProfileNotOffered, RefusalCode::Maintenance, RefusalCode::Cordoned]);
    assert_eq!(acts(&world), [] as [&str; 0]);
    // What is there may go.
    assert!(remove(&world, None).unwrap().outcome.is_changed());
}

#[test]
fn what_is_asked_for_later_is_judged_by_the_card_too() {
    let later = |world: &World, dry_run| {
        let request = SwitchRequest {
            when: Some(When::Boot),
            dry_run,
            ..mode(ConfiguredType::SharedDirect, Some(VgpuMode::Mig))
        };
        world.engine().configure(&request)
    };
    let world = bare();
    let mut files = world.files.lock().unwrap();
    let entry = files.desired.gpu(at(TYPED)).unwrap().clone();
    let gpu_instances = vec!["9g.999gb".to_owned()];
    files.desired = files.desired.with_gpu(DesiredGpu { gpu_instances, ..entry });
    drop(files);
    for dry_run in [true, false] {
        assert_eq!(refused(later(&world, dry_run)), [RefusalCode::ProfileNotOffered], "{dry_run}");
    }
    let world = bare();
    assert!(later(&world, false).unwrap().pending.is_some());
    assert_eq!(acts(&world), [] as [&str; 0]);
}

/// A VM that somebody wrote by hand, with the whole card.
fn with_the_card() -> Domain {
    by_hand("whole", 7, vec![Hostdev::Pci { address: at(TYPED), managed: false }])
}

#[test]
fn a_start_waits_for_the_vendors_command_no_longer_than_for_anything() {
    let world = bare();
    set(&world, ConfiguredType::SharedDirect, Some(VgpuMode::Mig)).unwrap();
    // The mode is ours and on, so that lending the card turns it off: that takes a look.
    let lent = SwitchRequest { when: Some(When::Vm), ..switch(TYPED, ConfiguredType::Direct) };
    world.engine().configure(&lent).unwrap();
    world.waits.lock().unwrap().clear();
    world.engine().hook_prepare(&with_the_card()).unwrap();
    let waits = world.waits.lock().unwrap().clone();
    assert!(!waits.is_empty() && waits.iter().all(|wait| *wait <= CREATION_DEADLINE), "{waits:?}");
    assert!(world.observed().gpus[&at(TYPED)].on_vfio);
}

const L40S: &str = "nvidia_l40s-12q";

/// A card with GPU instances whose driver's command hangs, and beside it one that makes mediated devices of these types.
fn beside_a_hung_command(profile: &'static str) -> World {
    let world = cut_of(World::typed_beside(include_str!("../../../tests/hosts/two-gpus.umockdev")));
    world.kernel.offer_mdev(at(GPU), 98304, SizeRule::Mixed, &[("beside-1", profile, 12288)]);
    world.set(GPU, ConfiguredType::SharedDirect).unwrap();
    create(&world, HALF, 1).unwrap();
    world.waits.lock().unwrap().clear();
    world.command_hangs.store(true, Ordering::Relaxed);
    world
}

#[test]
fn a_card_that_does_not_make_the_profile_is_not_asked_for_room() {
    let world = beside_a_hung_command("BESIDE-1Q");
    let request = CreateRequest::one(at(GPU), ProfileName("beside-1q".to_owned()), Uuid::from_u128(1));
    world.engine().create_vgpus(&CreateRequest { gpu: None, ..request }).unwrap();
    assert!(world.waits.lock().unwrap().is_empty());
}

#[test]
fn a_command_that_hangs_leaves_a_start_the_time_that_its_vgpu_takes() {
    let world = beside_a_hung_command("NVIDIA_L40S-12Q");
    let engine = world.engine();
    define(&world, "web", 5);
    add_profile(&world, &engine, "web", L40S, 1005);
    world.waits.lock().unwrap().clear();
    let made = engine.hook_prepare(&hooked(&world, "web")).unwrap();
    assert_eq!(made, [VgpuId::Mdev(Uuid::from_u128(1005))]);
    let waits = world.waits.lock().unwrap().clone();
    assert!(!waits.is_empty(), "the test tests nothing");
    assert!(engine.hook_prepare(&hooked(&world, "web")).unwrap().is_empty());
}

#[test]
fn a_listing_that_waits_for_the_command_keeps_nobody_from_other_cards() {
    let world = cut_of(World::typed_beside(include_str!("../../../tests/hosts/two-gpus.umockdev")));
    let engine = impatient(&world);
    let hold = Arc::<Hold>::default();
    *world.command_hold.lock().unwrap() = Some(Arc::clone(&hold));
    let listing = std::thread::spawn({
        let engine = Arc::clone(&engine);
        move || engine.mig(None).map(|(_, found)| found)
    });
    hold.until_reached();
    engine.set_type(&switch(GPU, ConfiguredType::Direct)).unwrap();
    // No change of that card comes between.
    let order = order(SMALL, 1);
    assert_eq!(refused(engine.create_gpu_instances(&order)), [RefusalCode::Busy]);
    assert_eq!(engine.working().iter().map(|working| working.gpu).collect::<Vec<_>>(), [at(TYPED)]);
    assert!(!listing.is_finished());
    hold.release();
    let found = listing.join().unwrap().unwrap();
    assert!(found.iter().any(|card| card.gpu == at(TYPED) && card.state.is_ok()), "{found:?}");
    assert!(engine.working().is_empty() && engine.changing().is_empty());
    engine.create_gpu_instances(&order).unwrap();
}
