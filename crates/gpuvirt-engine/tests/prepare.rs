//! Preparing a card for vGPUs by its vendor's programs, and the way back.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

mod world;

use std::time::Duration;

use gpuvirt_engine::{CreateRequest, EngineError, Preparation, Report, SwitchRequest};
use gpuvirt_fakekernel::{Errno, Fault, On, Process};
use gpuvirt_host::Sysfs as _;
use gpuvirt_model::{
    ConfiguredType, Framework, GraphicsType, ProfileName, ProgramPath, RefusalCode, VgpuId, VgpuMode,
    Warning, WarningCode,
};
use gpuvirt_plan::Step;
use uuid::Uuid;
use world::{CLIENT, COMMAND, PLAIN, SERVICE, SYSTEMCTL, TOOL, TYPED, VF, World, at, switch};

fn prepare(world: &World, gpu: &str, prepare: Preparation) -> Result<Report, EngineError> {
    let request = switch(gpu, ConfiguredType::SharedDirect);
    world.engine().set_type(&SwitchRequest { prepare, ..request })
}

fn mode(vgpu_mode: VgpuMode) -> Preparation {
    Preparation { vgpu_mode: Some(vgpu_mode), vf_count: None }
}

fn count(vf_count: u16) -> Preparation {
    Preparation { vgpu_mode: None, vf_count: Some(vf_count) }
}

fn create(world: &World, profile: &str) -> Result<Report, EngineError> {
    let profile = ProfileName(profile.to_owned());
    let request = CreateRequest::one(at(TYPED), profile, Uuid::from_u128(1));
    world.engine().create_vgpus(&request)
}

#[track_caller]
fn refused(result: Result<Report, EngineError>) -> Vec<RefusalCode> {
    match result {
        Err(EngineError::Refused(refusals)) => refusals.iter().map(|refusal| refusal.code).collect(),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn failed(result: Result<Report, EngineError>) -> (String, String) {
    match result {
        Err(EngineError::Failed { what, now }) => (what, now),
        other => panic!("{other:?}"),
    }
}

/// Warnings, but for the one that the recorded host has no modules: which driver that is can't be told there.
fn told(report: &Report) -> Vec<&Warning> {
    report.warnings.iter().filter(|warning| warning.code != WarningCode::HostDriverUnsure).collect()
}

/// Programs and writes since the world was made, the last part of a path each; not what is asked about GPU instances.
fn done(world: &World) -> Vec<String> {
    let writes = world.kernel.writes();
    let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let lines = writes.iter().map(|write| format!("{} {}", name(&write.path), write.data.trim()));
    lines.filter(|line| !line.contains("--query-gpu") && !line.contains(" -lg")).collect()
}

#[test]
fn the_tool_makes_the_virtual_functions_while_services_let_go_and_takes_them_again() {
    let world = World::vendor();
    let before = world.picture();
    assert!(world.observed().gpus[&at(TYPED)].frameworks.is_empty(), "it can't be told before they exist");
    let report = prepare(&world, TYPED, mode(VgpuMode::MixedSize)).unwrap();
    assert!(
        report.outcome.is_changed() && report.pending.is_none() && told(&report).is_empty(),
        "{report:?}"
    );
    let address = TYPED;
    assert_eq!(
        done(&world),
        [
            format!("systemctl --no-block stop {SERVICE}"),
            format!("sriov-manage -e {address}"),
            format!("nvidia-smi vgpu -i {address} -ghm"),
            format!("nvidia-smi vgpu -i {address} -shm 1"),
            format!("nvidia-smi vgpu -i {address} -ghm"),
            format!("systemctl --no-block start {SERVICE}"),
        ]
    );
    let now = world.observed();
    let gpu = &now.gpus[&at(TYPED)];
    assert_eq!((gpu.live_vfs, gpu.frameworks.as_slice()), (32, [Framework::NvidiaVfio].as_slice()));
    assert_eq!(gpu.active_type(None), GraphicsType::SharedDirect);
    // Sizes live side by side.
    create(&world, "nvidia_l40s-12q").unwrap();
    create(&world, "nvidia_l40s-1b").unwrap();
    let entry = world.files().desired.gpus[0].clone();
    assert_eq!(entry.vgpu_mode, Some(VgpuMode::MixedSize));
    assert!(!prepare(&world, TYPED, Preparation::default()).unwrap().outcome.is_changed());

    // Not while anything lives; not from under anybody.
    for to in [ConfiguredType::Shared, ConfiguredType::Direct] {
        assert!(refused(world.set(TYPED, to)).contains(&RefusalCode::VgpusAlive));
    }
    for id in world.observed().vgpus.into_keys() {
        world.remove_vgpu(id).unwrap();
    }
    world.kernel.forget_writes();
    world.set(TYPED, ConfiguredType::Shared).unwrap();
    assert_eq!(world.picture(), before);
    assert!(world.files().records.vfs.is_empty() && world.files().records.vgpu_modes.is_empty());
    assert_eq!(world.files().desired.gpus[0].vgpu_mode, None, "the mode goes with the type");
    assert_eq!(done(&world)[1], format!("sriov-manage -d {address}"));
}

#[test]
fn from_direct_in_one_go_and_back_under_the_drivers_lock() {
    let world = World::vendor();
    let before = world.picture();
    world.set(TYPED, ConfiguredType::Direct).unwrap();
    let lock = "unbindLock 1".to_owned();
    assert!(done(&world).contains(&lock), "{:?}", done(&world));
    let dry = SwitchRequest { dry_run: true, ..switch(TYPED, ConfiguredType::SharedDirect) };
    let planned = world.engine().set_type(&dry).unwrap();
    assert!(planned.outcome.value().contains("then"), "{planned:?}");

    let report = prepare(&world, TYPED, mode(VgpuMode::MixedSize)).unwrap();
    assert!(report.pending.is_none() && report.outcome.is_changed(), "{report:?}");
    assert_eq!(world.observed().gpus[&at(TYPED)].live_vfs, 32);
    assert!(world.files().intents.is_empty());
    create(&world, "nvidia_l40s-12q").unwrap();
    world.remove_vgpu(VgpuId::Vf(at(VF))).unwrap();

    // The virtual functions are ours: they go, and the card goes direct.
    world.kernel.forget_writes();
    world.set(TYPED, ConfiguredType::Direct).unwrap();
    let order = done(&world);
    let place = |what: &str| order.iter().position(|line| line.starts_with(what)).unwrap();
    assert!(place("systemctl --no-block stop") < place("sriov-manage -d"), "{order:?}");
    assert!(place("sriov-manage -d") < place("unbindLock 1"), "{order:?}");
    assert!(place("unbindLock 1") < place("unbind 0000:26:00.0"), "{order:?}");
    assert!(place("unbind 0000:26:00.0") < place("systemctl --no-block start"), "{order:?}");
    world.set(TYPED, ConfiguredType::Shared).unwrap();
    assert_eq!(world.picture(), before);
}

#[test]
fn whatever_fails_of_the_second_part_undoes_the_first_too() {
    let prepared = || {
        let world = World::vendor();
        world.set(TYPED, ConfiguredType::Direct).unwrap();
        world.kernel.forget_writes();
        world
    };
    let world = prepared();
    prepare(&world, TYPED, mode(VgpuMode::MixedSize)).unwrap();
    let count = world.kernel.writes().len();
    assert!(count > 6);
    for nth in 1..=count {
        for fault in [Fault::Errno(Errno::EIO), Fault::Silent] {
            let world = prepared();
            let (picture, files) = (world.picture(), world.files());
            world.kernel.inject_once(On::NthWrite { nth }, fault);
            match prepare(&world, TYPED, mode(VgpuMode::MixedSize)) {
                // A question that failed is asked again, and a service that stays down is told.
                Ok(report) => {
                    let down = report.warnings.iter().any(|w| w.code == WarningCode::ServiceDown);
                    assert!(down || report.pending.is_none(), "{nth} {fault:?} {report:?}");
                }
                Err(EngineError::Failed { now, what }) => {
                    assert_eq!(now, "everything is as it was before", "write {nth}, {fault:?}: {what}");
                    assert_eq!(world.picture(), picture, "write {nth}, {fault:?}");
                    assert_eq!(world.files(), files, "write {nth}, {fault:?}");
                    assert!(world.observed().host.running_services.len() == 1, "write {nth}, {fault:?}");
                }
                Err(other) => panic!("write {nth}, {fault:?}: {other:?}"),
            }
            world.kernel.clear_faults();
            prepare(&world, TYPED, mode(VgpuMode::MixedSize)).unwrap();
        }
    }
}

#[test]
fn a_client_that_no_rule_names_is_named_and_left_alone() {
    let world = World::vendor();
    world.kernel.start(Process::new(77, "dcgm-exporter").opens(CLIENT));
    world.kernel.forget_writes();
    for to in [ConfiguredType::SharedDirect, ConfiguredType::Direct] {
        let Err(EngineError::Refused(refusals)) = world.set(TYPED, to) else { panic!() };
        assert_eq!(refusals[0].code, RefusalCode::GpuInUse);
        assert!(
            refusals[0].because.contains("dcgm-exporter") && !refusals[0].because.contains("persistenced")
        );
    }
    assert_eq!(done(&world), [] as [String; 0]);

    // One that comes after the checks keeps the tool from the card, and is named by the failure.
    let tool = ProgramPath::parse(TOOL).unwrap();
    let step = Step::CycleVfs { function: at(TYPED), tool, from: 0, to: 32 };
    let error = world.host().perform(&step, Duration::from_millis(1)).unwrap_err();
    let text = gpuvirt_model::chain(&error);
    assert!(text.contains("dcgm-exporter") && text.contains("Cannot obtain unbindLock"), "{text}");
    // One that nobody can see.
    world.kernel.end(77);
    world.kernel.add_unbind_lock(at(TYPED), "nvidia", "/dev/hidden");
    world.kernel.start(Process::new(78, "hidden").opens("/dev/hidden"));
    let before = (world.picture(), world.files());
    for to in [ConfiguredType::SharedDirect, ConfiguredType::Direct] {
        let (what, now) = failed(world.set(TYPED, to));
        assert!(what.contains("unbindLock"), "{what}");
        assert_eq!(now, "everything is as it was before");
        assert_eq!((world.picture(), world.files()), before);
    }
}

#[test]
fn a_tool_that_does_nothing_and_says_that_all_is_well_is_not_believed() {
    let world = World::vendor();
    let before = (world.picture(), world.files());
    world.kernel.inject(On::Program { path: TOOL.to_owned() }, Fault::Silent);
    let (what, now) = failed(prepare(&world, TYPED, Preparation::default()));
    assert!(what.contains("sriov_numvfs is 0"), "{what}");
    assert_eq!(now, "everything is as it was before");
    assert_eq!((world.picture(), world.files()), before);
    assert_eq!(world.observed().host.running_services.len(), 1, "the service runs again");
}

#[test]
fn a_driver_that_makes_no_vgpus_on_them_gets_them_taken_again() {
    let world = World::vendor();
    let before = (world.picture(), world.files());
    world.kernel.offer_vgpu_types(at(PLAIN), 0, gpuvirt_fakekernel::SizeRule::Same, &[]);
    world.kernel.forget_vgpu_types(at(TYPED));
    let (what, now) = failed(prepare(&world, TYPED, Preparation::default()));
    assert!(what.contains("makes no vGPUs"), "{what}");
    assert_eq!((now.as_str(), (world.picture(), world.files())), ("everything is as it was before", before));
}

#[test]
fn a_tool_that_waits_in_the_kernel_is_left_alone_and_its_card_too() {
    let world = World::vendor();
    world.kernel.inject_once(On::Program { path: TOOL.to_owned() }, Fault::Block);
    let (_, now) = failed(prepare(&world, TYPED, Preparation::default()));
    assert!(now.contains("hands-off"), "{now}");
    assert_eq!(refused(prepare(&world, TYPED, Preparation::default())), [RefusalCode::HandsOff]);
    world.kernel.release();
    world.engine().recover(Duration::from_secs(1)).unwrap();
    assert_eq!(world.observed().gpus[&at(TYPED)].live_vfs, 0);
    assert_eq!(world.observed().host.running_services.len(), 1);
    prepare(&world, TYPED, Preparation::default()).unwrap();
}

#[test]
fn a_service_that_does_not_stop_is_a_failure_and_one_that_does_not_start_a_warning() {
    let world = World::vendor_with(true);
    let before = (world.picture(), world.files());
    let (what, now) = failed(prepare(&world, TYPED, Preparation::default()));
    assert!(what.contains(SERVICE) && what.contains("runs still"), "{what}");
    assert_eq!((now.as_str(), (world.picture(), world.files())), ("everything is as it was before", before));

    let world = World::vendor();
    // The second run of systemctl: after what asks for MIG mode, the stop and the tool.
    world.kernel.inject_once(On::NthWrite { nth: 4 }, Fault::Errno(Errno::EIO));
    let report = prepare(&world, TYPED, Preparation::default()).unwrap();
    let told = told(&report);
    assert_eq!(told[0].code, WarningCode::ServiceDown);
    assert!(told[0].text.contains(&format!("systemctl start {SERVICE}")));
    assert_eq!(done(&world).last().unwrap(), &format!("systemctl --no-block start {SERVICE}"));
    let _ = SYSTEMCTL;
}

#[test]
fn a_card_whose_sizes_cannot_be_mixed_is_refused_or_undone() {
    // The command says so, and only then it is known.
    let world = World::vendor();
    world.kernel.forbid_mixed_sizes(at(TYPED));
    let before = (world.picture(), world.files());
    let (what, now) = failed(prepare(&world, TYPED, mode(VgpuMode::MixedSize)));
    assert!(what.contains("not supported"), "{what}");
    assert_eq!((now.as_str(), (world.picture(), world.files())), ("everything is as it was before", before));
    // Plain virtual functions, whose sizes nobody chooses.
    let world = World::plain();
    assert_eq!(refused(prepare(&world, PLAIN, mode(VgpuMode::MixedSize))), [RefusalCode::NoMixedSize]);
    assert_eq!(world.kernel.writes(), []);
}

#[test]
fn a_mode_that_a_reboot_took_is_pending_and_set_again() {
    let world = World::vendor();
    prepare(&world, TYPED, mode(VgpuMode::MixedSize)).unwrap();
    assert_eq!(world.files().records.vgpu_modes[&at(TYPED)].mode, VgpuMode::MixedSize);
    let boot = Uuid::from_u128(0xb007).to_string();
    world.kernel.set_file("/proc/sys/kernel/random/boot_id", &format!("{boot}\n"));
    let file = format!("/sys/bus/pci/devices/{TYPED}/sriov_numvfs");
    world.kernel.write_that_may_block(&file, b"0", Duration::from_secs(1)).unwrap();
    world.kernel.forget_writes();
    let report = prepare(&world, TYPED, Preparation::default()).unwrap();
    assert!(report.outcome.is_changed() && report.pending.is_none());
    assert!(done(&world).contains(&format!("nvidia-smi vgpu -i {TYPED} -shm 1")), "{:?}", done(&world));
    // Back to one size, on the same virtual functions, once nothing lives on them.
    create(&world, "nvidia_l40s-12q").unwrap();
    assert_eq!(refused(prepare(&world, TYPED, mode(VgpuMode::SameSize))), [RefusalCode::VgpusAlive]);
    world.remove_vgpu(VgpuId::Vf(at(VF))).unwrap();
    world.kernel.forget_writes();
    prepare(&world, TYPED, mode(VgpuMode::SameSize)).unwrap();
    assert!(!done(&world).iter().any(|line| line.contains("sriov-manage")), "{:?}", done(&world));
    assert_eq!(world.files().records.vgpu_modes[&at(TYPED)].mode, VgpuMode::SameSize);
}

#[test]
fn numbers_of_virtual_functions_are_kept_and_checked() {
    let world = World::plain();
    assert_eq!(refused(prepare(&world, PLAIN, count(8))), [RefusalCode::TooManyVfs]);
    prepare(&world, PLAIN, count(3)).unwrap();
    assert_eq!(world.observed().gpus[&at(PLAIN)].live_vfs, 3);
    assert_eq!(world.files().desired.gpus[0].vf_count, Some(3));
    // Another number goes by way of none; asked without one, it stays.
    assert!(!prepare(&world, PLAIN, Preparation::default()).unwrap().outcome.is_changed());
    world.kernel.forget_writes();
    prepare(&world, PLAIN, count(5)).unwrap();
    assert_eq!(done(&world), ["sriov_numvfs 0", "sriov_numvfs 5"]);
    world.set(PLAIN, ConfiguredType::Shared).unwrap();
    assert_eq!(world.observed().gpus[&at(PLAIN)].live_vfs, 0);

    // Others' are theirs.
    let file = format!("/sys/bus/pci/devices/{PLAIN}/sriov_numvfs");
    world.kernel.write(&file, b"2").unwrap();
    assert_eq!(refused(prepare(&world, PLAIN, count(3))), [RefusalCode::VfsAlive]);
    // The tool knows all or none.
    let world = World::vendor();
    assert_eq!(refused(prepare(&world, TYPED, count(4))), [RefusalCode::VfCountFixed]);
    prepare(&world, TYPED, count(32)).unwrap();
}

#[test]
fn a_plain_card_goes_from_direct_to_virtual_functions_in_one_go() {
    let world = World::plain();
    let before = world.picture();
    world.set(PLAIN, ConfiguredType::Direct).unwrap();
    let report = prepare(&world, PLAIN, count(2)).unwrap();
    assert!(report.pending.is_none(), "{report:?}");
    assert_eq!(world.observed().gpus[&at(PLAIN)].live_vfs, 2);
    world.set(PLAIN, ConfiguredType::Shared).unwrap();
    assert_eq!(world.picture(), before);

    // A second part that fails takes the first along.
    world.set(PLAIN, ConfiguredType::Direct).unwrap();
    let direct = (world.picture(), world.files());
    world.kernel.inject(On::Numvfs { function: at(PLAIN) }, Fault::Errno(Errno::ENOMEM));
    let (what, now) = failed(prepare(&world, PLAIN, count(2)));
    assert!(what.contains("sriov_numvfs"), "{what}");
    assert_eq!((now.as_str(), (world.picture(), world.files())), ("everything is as it was before", direct));
}

#[test]
fn a_driver_that_needs_a_parameter_is_pending_with_the_line() {
    for (driver, total, line) in [
        ("gim", 7, "options gim vf_num=4"),
        ("i915", 0, "i915.enable_guc=3 i915.max_vfs=4"),
        ("xe", 0, "options xe max_vfs=4"),
        // Debian 13's kernel makes none by itself, and its initramfs may hold xe.
        ("xe", 0, "before Linux 6.17 it has to be told"),
        ("xe", 0, "update-initramfs -u"),
    ] {
        let world = World::plain_on(driver, total);
        let report = prepare(&world, PLAIN, count(4)).unwrap();
        let pending = report.pending.unwrap();
        assert!(pending.contains(line), "{driver}: {pending}");
        assert_eq!(world.kernel.writes(), [], "{driver}");
        assert_eq!(world.files().desired.gpus[0].vf_count, Some(4));
        let again = prepare(&world, PLAIN, Preparation::default()).unwrap();
        assert!(again.pending.unwrap().contains(line), "{driver}");
    }
}

#[test]
fn what_stays_is_said_when_a_card_is_nobodys_any_more() {
    let world = World::vendor();
    prepare(&world, TYPED, Preparation::default()).unwrap();
    let report = world.engine().unset(at(TYPED)).unwrap();
    let text = report.outcome.value();
    assert!(
        text.contains("32 virtual functions stay") && text.contains(&format!("{TOOL} -d {TYPED}")),
        "{text}"
    );
    let _ = COMMAND;
}

#[test]
fn the_way_back_takes_no_virtual_functions_from_under_somebodys_vgpu() {
    let world = World::vendor();
    let (kernel, path) =
        (world.kernel.clone(), format!("/sys/bus/pci/devices/{VF}/nvidia/current_vgpu_type"));
    let (vgpu_type, act) = (path.clone(), move || kernel.write(&path, b"1153").map(drop).unwrap());
    // Behind the tool, and the command then fails.
    *world.before_step.lock().unwrap() = Some((2, Box::new(act)));
    world.kernel.inject(On::Program { path: COMMAND.to_owned() }, Fault::Errno(Errno::EIO));
    let (_, now) = failed(prepare(&world, TYPED, mode(VgpuMode::MixedSize)));
    assert!(now.contains(&format!("held by the vGPU {VF}")) && now.contains("hands-off"), "{now}");
    assert_eq!(world.kernel.read(&vgpu_type, 16).unwrap().trim_ascii(), b"1153");
}
