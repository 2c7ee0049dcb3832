//! Changes that succeed, that find everything done, and that are refused.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

mod world;

use gpuvirt_engine::{CreateRequest, DeviceRequest, EngineError, SwitchRequest};
use gpuvirt_fakekernel::Process;
use gpuvirt_model::{
    ConfiguredType, Domain, DomainState, GraphicsType, Holder, Hostdev, ProfileName, RefusalCode, WarningCode,
};
use uuid::Uuid;
use world::{GPU, OTHER, World, at, switch};

#[track_caller]
fn refused(result: Result<gpuvirt_engine::Report, EngineError>) -> Vec<RefusalCode> {
    match result {
        Err(EngineError::Refused(refusals)) => refusals.iter().map(|refusal| refusal.code).collect(),
        other => panic!("{other:?}"),
    }
}

fn create(gpu: &str, profile: &str, uuid: u128) -> CreateRequest {
    CreateRequest::one(at(gpu), ProfileName(profile.to_owned()), Uuid::from_u128(uuid))
}

#[test]
fn what_is_stated_of_a_guests_driver_is_kept_and_forgotten() {
    let world = World::new();
    // While it runs, too: QEMU gets nothing of it.
    with_domain(&world, DomainState::Active, Vec::new());
    let definition = || world.definitions.lock().unwrap()["vm"].clone();
    let before = definition();
    let engine = world.engine();
    let state = |package| engine.vm_guest_driver("vm", package, false);
    assert!(engine.vm_guest_driver("vm", Some("550.127.05"), true).unwrap().outcome.is_changed());
    assert_eq!(definition(), before, "a dry run");
    assert!(state(Some("550.127.05")).unwrap().outcome.is_changed());
    assert!(definition().contains("guest-driver='550.127.05'"), "{}", definition());
    assert!(!state(Some("550.127.05")).unwrap().outcome.is_changed(), "again");
    assert!(state(None).unwrap().outcome.is_changed());
    assert_eq!(definition(), before);
    assert_eq!(refused(engine.vm_guest_driver("nobody", None, false)), [RefusalCode::DomainNotFound]);
}

#[test]
fn a_gpu_goes_direct_and_back_and_nothing_else_is_written() {
    let world = World::new();
    let before = world.observed();
    assert!(world.set(GPU, ConfiguredType::Direct).unwrap().outcome.is_changed());
    let functions = before.gpus[&at(GPU)].functions.clone();
    for written in world.kernel.writes() {
        let ours = functions
            .iter()
            .any(|f| written.path.contains(&f.to_string()) || written.data.contains(&f.to_string()));
        assert!(ours, "{written:?} is about none of {functions:?}");
    }
    let direct = world.observed();
    assert_eq!(direct.gpus[&at(GPU)].active_type(None), GraphicsType::Direct);
    assert_eq!(direct.gpus[&at(OTHER)], before.gpus[&at(OTHER)]);

    let written = world.kernel.writes().len();
    assert!(!world.set(GPU, ConfiguredType::Direct).unwrap().outcome.is_changed());
    assert_eq!(world.kernel.writes().len(), written);

    assert!(world.set(GPU, ConfiguredType::Shared).unwrap().outcome.is_changed());
    assert_eq!(world.observed().functions, before.functions);
    assert!(world.files().intents.is_empty());
    assert_eq!(world.files().desired.gpus[0].graphics_type, ConfiguredType::Shared);
}

#[test]
fn a_dry_run_writes_nothing_and_stores_nothing() {
    let world = World::new();
    let files = world.files();
    let report =
        world.engine().set_type(&SwitchRequest { dry_run: true, ..switch(GPU, ConfiguredType::Direct) });
    assert!(!report.unwrap().plan.unwrap().is_empty());
    assert_eq!(world.kernel.writes(), []);
    assert_eq!(world.files(), files);
}

#[test]
fn a_held_card_stays() {
    let world = World::new();
    world.kernel.start(Process::new(77, "Xorg").opens("/dev/dri/card0"));
    let is_process = |holder: &Holder| matches!(holder, Holder::Process { pid: 77, .. });
    let before = world.observed();
    let held = before.gpus.values().find(|gpu| gpu.holders.seen.iter().any(is_process));
    let holder = held.expect("somebody is seen holding a card").address.to_string();
    assert_eq!(refused(world.set(&holder, ConfiguredType::Direct)), [RefusalCode::GpuInUse]);
    assert_eq!(world.kernel.writes(), []);
    world.kernel.end(77);
    assert!(world.set(&holder, ConfiguredType::Direct).is_ok());
}

#[test]
fn only_acceptable_refusals_are_accepted_and_what_was_accepted_is_stored() {
    let world = World::new();
    let boot =
        world.observed().functions.values().find(|f| f.boot_vga == Some(true)).map(|f| f.address.to_string());
    let boot = boot.expect("the recorded host has a boot display");
    let bare = SwitchRequest { accept: Vec::new(), ..switch(&boot, ConfiguredType::Direct) };
    assert!(refused(world.engine().set_type(&bare)).contains(&RefusalCode::BootDisplay));
    let report = world.set(&boot, ConfiguredType::Direct).unwrap();
    assert!(report.warnings.iter().any(|warning| warning.code == WarningCode::Accepted));
    assert!(world.files().desired.gpu(at(&boot)).unwrap().accepted.contains(&RefusalCode::BootDisplay));
}

#[test]
fn vgpus_are_made_once_counted_and_removed_only_by_their_maker() {
    let world = World::offering_vgpus(OTHER);
    assert_eq!(refused(world.engine().create_vgpus(&create(OTHER, "lab-4q", 1))), [RefusalCode::Unmanaged]);
    world.set(OTHER, ConfiguredType::Shared).unwrap();
    assert_eq!(
        refused(world.engine().create_vgpus(&create(OTHER, "lab-4q", 1))),
        [RefusalCode::NotSharedDirect]
    );
    world.set(OTHER, ConfiguredType::SharedDirect).unwrap();
    for uuid in [1, 2] {
        assert!(world.engine().create_vgpus(&create(OTHER, "lab-4q", uuid)).unwrap().outcome.is_changed());
    }
    assert!(!world.engine().create_vgpus(&create(OTHER, "lab-4q", 1)).unwrap().outcome.is_changed());
    assert_eq!(refused(world.engine().create_vgpus(&create(OTHER, "lab-1q", 3))), [RefusalCode::NoCapacity]);
    assert_eq!(
        refused(world.engine().create_vgpus(&create(OTHER, "nope", 3))),
        [RefusalCode::ProfileNotOffered]
    );
    assert_eq!(refused(world.set(OTHER, ConfiguredType::Direct)), [RefusalCode::VgpusAlive]);

    world.files.lock().unwrap().records.vgpus.remove(&Uuid::from_u128(2).into());
    let remove = |uuid| world.remove_vgpu(Uuid::from_u128(uuid));
    assert_eq!(refused(remove(2)), [RefusalCode::NotOurs]);
    assert!(remove(1).unwrap().outcome.is_changed());
    assert_eq!(refused(remove(1)), [RefusalCode::VgpuNotFound]);
    assert!(world.engine().create_vgpus(&create(OTHER, "lab-1q", 3)).is_ok());
}

#[test]
fn a_label_is_that_of_several_gpus_and_taken_away_by_an_empty_one() {
    let world = World::new();
    let labelled = |gpu, label: &str| {
        let label = Some(label.to_owned());
        world.engine().set_type(&SwitchRequest { label, ..switch(gpu, ConfiguredType::Shared) })
    };
    let named = |label: &str| world.files().desired.labelled(label);
    labelled(GPU, "farm").unwrap();
    assert!(labelled(OTHER, "farm").unwrap().outcome.is_changed());
    assert!(!labelled(OTHER, "farm").unwrap().outcome.is_changed());
    assert_eq!(named("farm"), [at(GPU), at(OTHER)]);
    labelled(GPU, "").unwrap();
    assert_eq!(named("farm"), [at(OTHER)]);
    assert_eq!(world.files().desired.gpu(at(GPU)).unwrap().label, None);
    assert!(!labelled(GPU, "").unwrap().outcome.is_changed());
}

const DEFINITION: &str = "<domain type='kvm'>\n  <name>vm</name>\n  <!-- keep -->\n  <os><type arch='x86_64' machine='q35'>hvm</type></os>\n  <devices>\n    <graphics type='vnc' passwd='hunter2'/>\n  </devices>\n</domain>\n";

fn with_domain(world: &World, state: DomainState, config: Vec<Hostdev>) {
    let (name, uuid) = ("vm".to_owned(), Uuid::from_u128(9));
    *world.libvirt.lock().unwrap() = vec![Domain {
        name,
        uuid,
        state,
        autostart: false,
        config,
        live: Vec::new(),
        requests: Default::default(),
        guest: Default::default(),
    }];
    world.definitions.lock().unwrap().insert("vm".to_owned(), DEFINITION.to_owned());
}

#[test]
fn a_domain_gets_a_card_and_gives_it_back_byte_for_byte() {
    let world = World::new();
    with_domain(&world, DomainState::ShutOff, Vec::new());
    let device = DeviceRequest::Gpu(at(GPU));
    assert_eq!(refused(world.engine().vm_add("vm", device, false)), [RefusalCode::NotPassthrough]);
    world.set(GPU, ConfiguredType::Direct).unwrap();
    let report = world.engine().vm_add("vm", device, false).unwrap();
    assert!(report.outcome.is_changed());
    assert!(!format!("{report:?}").contains("hunter2"));
    let edited = world.definitions.lock().unwrap()["vm"].clone();
    assert!(
        edited.contains("hunter2") && edited.contains("<!-- keep -->") && edited.contains("managed='no'")
    );
    assert!(!world.engine().vm_add("vm", device, false).unwrap().outcome.is_changed());
    world.engine().vm_remove("vm", device).unwrap();
    assert_eq!(world.definitions.lock().unwrap()["vm"], DEFINITION);
    assert_eq!(refused(world.engine().vm_remove("vm", device)), [RefusalCode::DeviceNotFound]);
}

#[test]
fn a_domain_that_runs_is_absent_or_would_mix_modes_is_not_edited() {
    let world = World::new();
    world.set(GPU, ConfiguredType::Direct).unwrap();
    let device = DeviceRequest::Gpu(at(GPU));
    assert_eq!(refused(world.engine().vm_add("vm", device, false)), [RefusalCode::DomainNotFound]);
    with_domain(&world, DomainState::Active, Vec::new());
    assert_eq!(refused(world.engine().vm_add("vm", device, false)), [RefusalCode::DomainRunning]);
    assert_eq!(refused(world.engine().vm_remove("vm", device)), [RefusalCode::DomainRunning]);
    with_domain(&world, DomainState::ShutOff, vec![Hostdev::Mdev { uuid: Uuid::from_u128(1) }]);
    assert_eq!(refused(world.engine().vm_add("vm", device, false)), [RefusalCode::MixedModes]);
    assert_eq!(world.definitions.lock().unwrap()["vm"], DEFINITION);
}

#[test]
fn an_admins_own_override_comes_back_with_the_card() {
    let world = World::new();
    let driver = world.observed().functions[&at(GPU)].binding.driver.clone().unwrap();
    let path = format!("/sys/bus/pci/devices/{GPU}/driver_override");
    gpuvirt_host::Sysfs::write(&*world.kernel, &path, driver.as_str().as_bytes()).unwrap();
    let before = world.picture();
    world.set(GPU, ConfiguredType::Direct).unwrap();
    world.set(GPU, ConfiguredType::Shared).unwrap();
    assert_eq!(world.picture(), before);
}

#[test]
fn a_card_that_turns_out_to_offer_no_vgpus_did_not_become_shared_direct() {
    let world = World::new();
    world.set(GPU, ConfiguredType::Direct).unwrap();
    let report = world.set(GPU, ConfiguredType::SharedDirect).unwrap();
    assert!(!report.outcome.value().contains("became shared-direct"), "{report:?}");
    assert!(report.pending.unwrap().contains("offers no vGPUs"));
}

#[test]
fn an_acceptance_holds_for_the_type_that_it_was_given_for() {
    let world = World::new();
    let boot =
        world.observed().functions.values().find(|f| f.boot_vga == Some(true)).map(|f| f.address.to_string());
    let boot = boot.expect("the recorded host has a boot display");
    // Given beforehand, where nothing is refused, it is not kept.
    world.set(&boot, ConfiguredType::Shared).unwrap();
    assert_eq!(world.files().desired.gpu(at(&boot)).unwrap().accepted, []);
    world.set(&boot, ConfiguredType::Direct).unwrap();
    world.set(&boot, ConfiguredType::Shared).unwrap();
    assert_eq!(world.files().desired.gpu(at(&boot)).unwrap().accepted, []);
    let bare = SwitchRequest { accept: Vec::new(), ..switch(&boot, ConfiguredType::Direct) };
    assert!(refused(world.engine().set_type(&bare)).contains(&RefusalCode::BootDisplay));
}

#[test]
fn a_gpu_with_vgpus_of_ours_stays_managed() {
    let world = World::offering_vgpus(OTHER);
    world.set(OTHER, ConfiguredType::SharedDirect).unwrap();
    world.engine().create_vgpus(&create(OTHER, "lab-1q", 1)).unwrap();
    assert_eq!(refused(world.engine().unset(at(OTHER))), [RefusalCode::VgpusAlive]);
    world.remove_vgpu(Uuid::from_u128(1)).unwrap();
    assert!(world.engine().unset(at(OTHER)).unwrap().outcome.is_changed());
    assert!(!world.engine().unset(at(OTHER)).unwrap().outcome.is_changed());
    assert!(world.files().desired.gpus.is_empty());
}

#[test]
fn a_vgpu_of_the_same_uuid_that_others_made_is_not_ours() {
    let world = World::offering_vgpus(OTHER);
    world.set(OTHER, ConfiguredType::SharedDirect).unwrap();
    world.engine().create_vgpus(&create(OTHER, "lab-1q", 1)).unwrap();
    let uuid = Uuid::from_u128(1);
    // A reboot took ours, and another tool made one of the same uuid and of another type.
    let write = |path: String, data: &str| {
        gpuvirt_host::Sysfs::write(&*world.kernel, &path, data.as_bytes()).unwrap()
    };
    write(format!("/sys/bus/mdev/devices/{uuid}/remove"), "1");
    let kind = world.observed().gpus[&at(OTHER)]
        .profiles
        .iter()
        .find(|p| p.name.0 == "lab-4q")
        .unwrap()
        .type_id
        .clone();
    write(format!("/sys/bus/pci/devices/{OTHER}/mdev_supported_types/{kind}/create"), &uuid.to_string());
    assert_eq!(refused(world.remove_vgpu(uuid)), [RefusalCode::NotOurs]);
}

#[test]
fn what_others_edit_meanwhile_is_kept_and_endless_edits_end_ours() {
    let world = World::new();
    world.set(GPU, ConfiguredType::Direct).unwrap();
    with_domain(&world, DomainState::ShutOff, Vec::new());
    let device = DeviceRequest::Gpu(at(GPU));
    *world.others_edits.lock().unwrap() = vec!["theirs".to_owned()];
    world.engine().vm_add("vm", device, false).unwrap();
    let edited = world.definitions.lock().unwrap()["vm"].clone();
    assert!(
        edited.contains("theirs") && edited.contains("managed='no'") && edited.contains("hunter2"),
        "{edited}"
    );
    world.engine().vm_remove("vm", device).unwrap();
    *world.others_edits.lock().unwrap() = vec!["again".to_owned(); 100];
    assert_eq!(refused(world.engine().vm_add("vm", device, false)), [RefusalCode::DomainNotEditable]);
    assert!(!world.definitions.lock().unwrap()["vm"].contains("<hostdev"));
}

#[test]
fn whoever_waits_can_see_which_step_is_under_way() {
    let world = World::new();
    let engine = std::sync::Arc::new(world.engine());
    assert_eq!(engine.working(), []);
    let hold = world.hold_steps();
    let changing = std::thread::spawn({
        let engine = std::sync::Arc::clone(&engine);
        move || engine.set_type(&switch(GPU, ConfiguredType::Direct)).is_ok()
    });
    hold.until_reached();
    let working = engine.working().remove(0);
    assert_eq!((working.gpu, working.number), (at(GPU), 1));
    assert!(working.count > 3 && !working.step.is_empty(), "{working:?}");
    hold.release();
    assert!(changing.join().unwrap());
    assert_eq!(engine.working(), []);
}
