//! vGPUs that are virtual functions: made by a type, named by an address.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

mod world;

use std::time::Duration;

use gpuvirt_engine::{CreateRequest, DeviceRequest, EngineError, Removal, RemoveRequest, Report};
use gpuvirt_fakekernel::{Errno, Fault, On, Process};
use gpuvirt_host::Sysfs;
use gpuvirt_model::{
    ConfiguredType, Domain, DomainState, Framework, Hostdev, ProfileName, RefusalCode, VgpuId,
};
use uuid::Uuid;
use world::{PLAIN, PLAIN_VF, TYPED, VF, World, at};

const SECOND: &str = "0000:26:00.5";

fn create(world: &World, profile: &str) -> Result<Report, EngineError> {
    let profile = ProfileName(profile.to_owned());
    world.engine().create_vgpus(&CreateRequest::one(at(TYPED), profile, Uuid::from_u128(1)))
}

fn remove(world: &World, vf: &str) -> Result<Report, EngineError> {
    world.remove_vgpu(VgpuId::Vf(at(vf)))
}

fn refused<T: std::fmt::Debug>(result: Result<T, EngineError>) -> Vec<RefusalCode> {
    match result {
        Err(EngineError::Refused(refusals)) => refusals.iter().map(|refusal| refusal.code).collect(),
        other => panic!("{other:?}"),
    }
}

fn file(vf: &str, name: &str) -> String {
    format!("/sys/bus/pci/devices/{vf}/nvidia/{name}")
}

fn available(world: &World, profile: &str) -> u32 {
    let gpus = world.observed().gpus;
    gpus[&at(TYPED)].profiles.iter().filter(|p| p.name.0 == profile).map(|p| p.available).sum()
}

#[test]
fn they_are_made_until_nothing_fits_and_taken_again() {
    let world = World::typed();
    assert_eq!(world.observed().gpus[&at(TYPED)].frameworks, [Framework::NvidiaVfio]);
    assert_eq!(available(&world, "nvidia_l40s-48q"), 4);
    let before = world.picture();
    let report = create(&world, "nvidia_l40s-12q").unwrap();
    assert_eq!(report.vgpus, [VgpuId::Vf(at(VF))]);
    // One size at a time, on the virtual functions that are left.
    assert_eq!(available(&world, "nvidia_l40s-12q"), 3);
    assert_eq!(refused(create(&world, "nvidia_l40s-48q")), [RefusalCode::ProfileNotOffered]);
    for _ in 0..3 {
        create(&world, "nvidia_l40s-12q").unwrap();
    }
    assert_eq!(refused(create(&world, "nvidia_l40s-12q")), [RefusalCode::NoCapacity]);
    assert_eq!(
        refused(world.set(TYPED, ConfiguredType::Direct)),
        [RefusalCode::VfsAlive, RefusalCode::VgpusAlive]
    );

    let vgpus = world.observed().vgpus;
    assert_eq!(vgpus.len(), 4);
    for (id, vgpu) in vgpus {
        assert!(world.files().records.made(&vgpu), "{id}");
        remove(&world, &id.to_string()).unwrap();
    }
    assert_eq!(world.picture(), before);
    assert!(world.files().records.vgpus.is_empty());
    assert_eq!(refused(remove(&world, VF)), [RefusalCode::VgpuNotFound]);
    // The driver keeps its virtual functions throughout.
    assert!(world.kernel.writes().iter().all(|write| write.path.ends_with("/current_vgpu_type")));
}

#[test]
fn one_that_somebody_else_made_is_shown_counted_and_left_alone() {
    let world = World::typed();
    world.kernel.write(&file(SECOND, "current_vgpu_type"), b"1153").unwrap();
    world.kernel.forget_writes();
    assert_eq!(world.observed().vgpus[&VgpuId::Vf(at(SECOND))].type_id, "1153");
    assert_eq!(refused(remove(&world, SECOND)), [RefusalCode::NotOurs]);
    assert_eq!(world.kernel.writes(), []);
    // Ours goes on another virtual function, and the address alone makes nothing ours.
    create(&world, "nvidia_l40s-12q").unwrap();
    world.kernel.write(&file(VF, "current_vgpu_type"), b"0").unwrap();
    world.kernel.write(&file(SECOND, "current_vgpu_type"), b"0").unwrap();
    world.kernel.write(&file(VF, "current_vgpu_type"), b"1145").unwrap();
    assert_eq!(refused(remove(&world, VF)), [RefusalCode::NotOurs]);
}

#[test]
fn after_a_reboot_an_address_is_anybodys() {
    let world = World::typed();
    create(&world, "nvidia_l40s-12q").unwrap();
    let boot = Uuid::from_u128(0xb007).to_string();
    world.kernel.set_file("/proc/sys/kernel/random/boot_id", &format!("{boot}\n"));
    // The same type on the same virtual function, and yet another vGPU.
    assert_eq!(refused(remove(&world, VF)), [RefusalCode::NotOurs]);

    let world = World::plain();
    world.set(PLAIN, ConfiguredType::SharedDirect).unwrap();
    world.kernel.set_file("/proc/sys/kernel/random/boot_id", &format!("{boot}\n"));
    assert_eq!(refused(world.set(PLAIN, ConfiguredType::Direct)), [RefusalCode::VfsAlive]);
}

#[test]
fn whoever_holds_one_keeps_it() {
    let world = World::typed();
    create(&world, "nvidia_l40s-12q").unwrap();
    let group = world.observed().functions[&at(VF)].iommu_group.unwrap();
    world.kernel.start(Process::new(99, "qemu-system-x86").opens(&format!("/dev/vfio/{group}")));
    assert_eq!(refused(remove(&world, VF)), [RefusalCode::VgpuInUse]);
    world.kernel.end(99);
    let (name, uuid, config) = ("vm".to_owned(), Uuid::from_u128(9), Vec::new());
    let live = vec![Hostdev::Pci { address: at(VF), managed: false }];
    *world.libvirt.lock().unwrap() = vec![Domain {
        name,
        uuid,
        state: DomainState::Active,
        autostart: false,
        config,
        live,
        requests: Default::default(),
        guest: Default::default(),
    }];
    assert_eq!(refused(remove(&world, VF)), [RefusalCode::VgpuInUse]);
    world.libvirt.lock().unwrap().clear();
    assert!(remove(&world, VF).is_ok());
}

#[test]
fn a_driver_that_still_takes_a_guest_down_is_asked_again_until_the_deadline() {
    let world = World::typed();
    create(&world, "nvidia_l40s-12q").unwrap();
    let at_vf = || On::VgpuType { vf: at(VF) };
    for _ in 0..2 {
        world.kernel.inject_once(at_vf(), Fault::Errno(Errno::EPERM));
    }
    let which = Removal::These(vec![VgpuId::Vf(at(VF))]);
    let deadline = Duration::from_secs(30);
    world.engine().remove_vgpus(&RemoveRequest { which, dry_run: false, deadline }).unwrap();

    create(&world, "nvidia_l40s-12q").unwrap();
    world.kernel.inject(at_vf(), Fault::Errno(Errno::EPERM));
    let before = world.picture();
    let Err(EngineError::Failed { now, .. }) = remove(&world, VF) else { panic!() };
    assert_eq!((now.as_str(), world.picture()), ("everything is as it was before", before));
    // What no waiting will change is not waited for.
    world.kernel.clear_faults();
    world.kernel.forget_writes();
    world.kernel.inject(at_vf(), Fault::Errno(Errno::ENODEV));
    let Err(EngineError::Failed { .. }) = remove(&world, VF) else { panic!() };
    assert_eq!(world.kernel.writes().len(), 1);
}

#[test]
fn a_type_that_the_driver_does_not_take_leaves_nothing() {
    for errno in [Errno::EIO, Errno::EPERM, Errno::ENODEV, Errno::EINVAL] {
        let world = World::typed();
        let (host, files) = (world.picture(), world.files());
        world.kernel.inject(On::VgpuType { vf: at(VF) }, Fault::Errno(errno));
        let Err(EngineError::Failed { what, now }) = create(&world, "nvidia_l40s-12q") else { panic!() };
        assert!(what.contains("creatable_vgpu_types"), "{what}");
        assert_eq!(now, "everything is as it was before", "{errno}");
        assert_eq!((world.picture(), world.files()), (host, files), "{errno}");
    }
}

#[test]
fn files_that_make_no_sense_offer_nothing_and_are_named() {
    for (name, text) in [
        ("current_vgpu_type", "\n"),
        ("current_vgpu_type", "-1\n"),
        ("current_vgpu_type", "1153 1154\n"),
        ("current_vgpu_type", "99999999999999\n"),
    ] {
        let world = World::typed();
        world.kernel.set_file(&folder_file(name), text);
        let now = world.observed();
        assert!(now.host.oddities.iter().any(|odd| odd.contains(name)), "{text:?}: {:?}", now.host.oddities);
        assert_eq!((now.vgpus.len(), available(&world, "nvidia_l40s-12q")), (0, 3), "{text:?}");
        // Another virtual function serves.
        assert_eq!(create(&world, "nvidia_l40s-12q").unwrap().vgpus, [VgpuId::Vf(at(SECOND))]);
    }
    let world = World::typed();
    world.kernel.set_file(&folder_file("creatable_vgpu_types"), "1153 NVIDIA\n: x\n\u{0}1153 : \n");
    assert_eq!(available(&world, "nvidia_l40s-12q"), 3);
}

/// The file by its place without links, as `set_file` wants it.
fn folder_file(name: &str) -> String {
    format!("/sys/devices/pci0000:00/0000:00:03.0/{VF}/nvidia/{name}")
}

const DEFINITION: &str = "<domain type='kvm'>\n  <name>vm</name>\n  <os><type machine='q35'>hvm</type></os>\n  <devices>\n  </devices>\n</domain>\n";

#[test]
fn a_domain_gets_one_as_a_pci_device_and_gives_it_back() {
    let world = World::typed();
    let (name, uuid) = ("vm".to_owned(), Uuid::from_u128(9));
    let domain = Domain {
        name,
        uuid,
        state: DomainState::ShutOff,
        autostart: false,
        config: Vec::new(),
        live: Vec::new(),
        requests: Default::default(),
        guest: Default::default(),
    };
    *world.libvirt.lock().unwrap() = vec![domain];
    world.definitions.lock().unwrap().insert("vm".to_owned(), DEFINITION.to_owned());
    let vgpu = DeviceRequest::Vgpu(VgpuId::Vf(at(VF)));
    assert_eq!(refused(world.engine().vm_add("vm", vgpu, false)), [RefusalCode::VgpuNotFound]);
    create(&world, "nvidia_l40s-12q").unwrap();
    let xml = world.engine().vm_add("vm", vgpu, false).unwrap().xml.unwrap();
    assert!(xml.contains("type='pci' managed='no'") && xml.contains("ua-gpuvirt-0000-26-00-4"), "{xml}");
    assert!(!world.engine().vm_add("vm", vgpu, false).unwrap().outcome.is_changed());
    assert!(world.engine().vgpu_xml(VgpuId::Vf(at(VF))).unwrap().contains("function='0x4'"));
    // By its bare address, too: never the slot that it shares with the card.
    world.engine().vm_remove("vm", DeviceRequest::Gpu(at(VF))).unwrap();
    assert_eq!(world.definitions.lock().unwrap()["vm"], DEFINITION);

    let config = vec![Hostdev::Pci { address: at(VF), managed: false }];
    world.libvirt.lock().unwrap()[0].config = config;
    assert!(
        refused(world.engine().vm_add("vm", DeviceRequest::Gpu(at(TYPED)), false))
            .contains(&RefusalCode::MixedModes)
    );
}

fn create_plain(world: &World) -> Result<Report, EngineError> {
    let profile = ProfileName("vf".to_owned());
    world.engine().create_vgpus(&CreateRequest::one(at(PLAIN), profile, Uuid::from_u128(1)))
}

#[test]
fn plain_ones_are_enabled_bound_and_taken_away_again() {
    let world = World::plain();
    let before = world.picture();
    assert!(world.set(PLAIN, ConfiguredType::SharedDirect).unwrap().outcome.is_changed());
    assert!(!world.set(PLAIN, ConfiguredType::SharedDirect).unwrap().outcome.is_changed());
    let now = world.observed();
    assert_eq!(now.gpus[&at(PLAIN)].live_vfs, 7);
    let vfs = || now.functions.values().filter(|function| function.physfn == Some(at(PLAIN)));
    assert!(vfs().all(|vf| vf.binding.driver.is_none()), "the host's driver took none");
    assert_eq!((vfs().count(), now.vgpus.len()), (7, 0));

    for _ in 0..7 {
        create_plain(&world).unwrap();
    }
    assert_eq!(refused(create_plain(&world)), [RefusalCode::NoCapacity]);
    for to in [ConfiguredType::Shared, ConfiguredType::Direct] {
        assert_eq!(refused(world.set(PLAIN, to)), [RefusalCode::VgpusAlive]);
    }
    for id in world.observed().vgpus.into_keys() {
        remove(&world, &id.to_string()).unwrap();
    }
    world.set(PLAIN, ConfiguredType::Shared).unwrap();
    assert_eq!(world.picture(), before);
    assert!(world.files().records.vfs.is_empty() && world.files().records.vgpus.is_empty());
    let counts = world.kernel.writes().into_iter().filter(|write| write.path.ends_with("/sriov_numvfs"));
    assert_eq!(counts.map(|write| write.data).collect::<Vec<_>>(), ["7", "0"]);
}

#[test]
fn plain_ones_that_somebody_else_enabled_or_bound_are_left_alone() {
    let world = World::plain();
    let numvfs = format!("/sys/bus/pci/devices/{PLAIN}/sriov_numvfs");
    world.kernel.write(&numvfs, b"2").unwrap();
    world.kernel.forget_writes();
    // The host's driver has them: they are nobody's to take.
    world.set(PLAIN, ConfiguredType::SharedDirect).unwrap();
    assert_eq!(refused(create_plain(&world)), [RefusalCode::NoCapacity]);
    world.set(PLAIN, ConfiguredType::Shared).unwrap();
    assert_eq!(refused(world.set(PLAIN, ConfiguredType::Direct)), [RefusalCode::VfsAlive]);
    assert_eq!(world.kernel.writes(), []);

    let world = World::plain();
    world.set(PLAIN, ConfiguredType::SharedDirect).unwrap();
    let file = |name: &str| format!("/sys/bus/pci/devices/{PLAIN_VF}/{name}");
    world.kernel.write(&file("driver_override"), b"xe").unwrap();
    world.kernel.write("/sys/bus/pci/drivers_probe", PLAIN_VF.as_bytes()).unwrap();
    assert_eq!(refused(world.set(PLAIN, ConfiguredType::Shared)), [RefusalCode::VfsAlive]);
}

#[test]
fn a_domain_keeps_the_plain_one_that_it_runs_with() {
    let world = World::plain();
    world.set(PLAIN, ConfiguredType::SharedDirect).unwrap();
    assert_eq!(create_plain(&world).unwrap().vgpus, [VgpuId::Vf(at(PLAIN_VF))]);
    let group = world.observed().functions[&at(PLAIN_VF)].iommu_group.unwrap();
    world.kernel.start(Process::new(99, "qemu-system-x86").opens(&format!("/dev/vfio/{group}")));
    assert_eq!(refused(remove(&world, PLAIN_VF)), [RefusalCode::VgpuInUse]);
    world.kernel.end(99);
    world.kernel.inject_once(On::Unbind { function: at(PLAIN_VF) }, Fault::Block);
    let Err(EngineError::Failed { now, .. }) = remove(&world, PLAIN_VF) else { panic!() };
    assert!(now.contains("hands-off"), "{now}");
    world.kernel.release();
    world.engine().recover(Duration::from_secs(1)).unwrap();
    assert!(remove(&world, PLAIN_VF).is_ok());
}

#[test]
fn a_plain_one_that_no_guest_could_use_is_refused() {
    let enabled = || {
        let world = World::plain();
        world.set(PLAIN, ConfiguredType::SharedDirect).unwrap();
        world.kernel.forget_writes();
        world
    };
    let world = enabled();
    world.kernel.forget_module("vfio-pci");
    assert_eq!(refused(create_plain(&world)), [RefusalCode::VfioMissing]);
    assert_eq!(world.kernel.writes(), []);

    let world = enabled();
    let group = world.observed().functions[&at(PLAIN_VF)].iommu_group.unwrap();
    let card = "/sys/devices/pci0000:00/0000:00:03.0";
    world.kernel.set_file(&format!("/sys/kernel/iommu_groups/{group}/devices/{PLAIN}"), "");
    assert_eq!(refused(create_plain(&world)), [RefusalCode::GroupNotViable]);
    for vf in world.observed().functions.values().filter(|function| function.physfn.is_some()) {
        world.kernel.delete(&format!("{card}/{}/iommu_group", vf.address));
    }
    assert_eq!(refused(create_plain(&world)), [RefusalCode::NoIommu]);
    assert_eq!(world.kernel.writes(), []);
}

#[test]
fn a_driver_that_makes_none_is_said_to() {
    let world = World::plain();
    let before = (world.picture(), world.files());
    world.kernel.inject(On::Numvfs { function: at(PLAIN) }, Fault::Errno(Errno::ENOENT));
    let Err(EngineError::Failed { what, now }) = world.set(PLAIN, ConfiguredType::SharedDirect) else {
        panic!()
    };
    assert!(what.contains("which its driver does not make"), "{what}");
    assert_eq!(now, "everything is as it was before");
    assert_eq!((world.picture(), world.files()), before);
}
