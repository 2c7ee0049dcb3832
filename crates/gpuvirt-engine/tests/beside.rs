//! What a VM has beside its GPUs, which no rule of ours counts; and a card that two VMs name, of which one can run.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

mod world;

use gpuvirt_engine::{DeviceRequest, EngineError, Report, VmRequest};
use gpuvirt_fakekernel::SizeRule;
use gpuvirt_host::Sysfs as _;
use gpuvirt_model::{
    ConfiguredType, Domain, DomainState, Hostdev, ProfileName, RefusalCode, VgpuParams, WarningCode,
};
use gpuvirt_plan::checks::several::{MOST_DEVICES, devices_of};
use uuid::Uuid;
use world::domain::as_hook_sees;
use world::{GPU, OTHER, World, at};

/// The lab's host: GPUs, network cards and disks.
const LAB: &str = include_str!("../../../tests/hosts/lab.umockdev");
const WHOLE: &str = "0000:01:00.0";
const SHARED: &str = "0000:03:00.0";
const NIC: &str = "0000:05:00.0";
const NIC_VF: &str = "0000:05:10.0";
const DISK: &str = "0000:06:00.0";

fn hostdev(address: &str, managed: &str) -> String {
    let [domain, bus, rest]: [&str; 3] = address.split(':').collect::<Vec<_>>().try_into().unwrap();
    let (slot, function) = rest.split_once('.').unwrap();
    format!(
        "<hostdev mode='subsystem' type='pci' managed='{managed}'><source><address domain='0x{domain}' bus='0x{bus}' \
         slot='0x{slot}' function='0x{function}'/></source></hostdev>"
    )
}

/// As other tools give a guest a network card: an interface of its own kind, and a pool's.
fn interface(address: &str) -> String {
    let source = hostdev(address, "yes").replace("mode='subsystem' type='pci' ", "");
    let address = source.split_once("<source>").unwrap().1.split_once("</source>").unwrap().0.to_owned();
    let address = address.replace("<address ", "<address type='pci' ");
    format!("<interface type='hostdev' managed='yes'><source>{address}</source></interface>")
}

fn definition(name: &str, number: u128, devices: &str) -> String {
    format!(
        "<domain type='kvm'><name>{name}</name><uuid>{}</uuid><os><type machine='q35'>hvm</type></os>\
         <devices><emulator>q</emulator>{devices}</devices></domain>",
        Uuid::from_u128(number)
    )
}

/// libvirt knows these domains; none runs.
fn define(world: &World, definitions: &[String]) {
    let read: Vec<Domain> =
        definitions.iter().map(|xml| Domain { state: DomainState::ShutOff, ..as_hook_sees(xml) }).collect();
    let named = read.iter().map(|domain| domain.name.clone()).zip(definitions.iter().cloned());
    *world.definitions.lock().unwrap() = named.collect();
    *world.libvirt.lock().unwrap() = read;
}

fn relist(world: &World) {
    let definitions: Vec<String> = world.definitions.lock().unwrap().values().cloned().collect();
    define(world, &definitions);
}

fn stored(world: &World, name: &str) -> Domain {
    as_hook_sees(&world.definitions.lock().unwrap()[name])
}

fn profile(name: &str, numbers: std::ops::Range<u128>) -> VmRequest {
    let uuids = numbers.map(Uuid::from_u128).collect();
    VmRequest::Profile { profile: ProfileName(name.to_owned()), params: VgpuParams::default(), uuids }
}

fn whole(gpu: &str) -> VmRequest {
    VmRequest::Device(DeviceRequest::Gpu(at(gpu)))
}

#[track_caller]
fn codes<T: std::fmt::Debug>(result: Result<T, EngineError>) -> Vec<RefusalCode> {
    match result {
        Err(EngineError::Refused(refusals)) => refusals.iter().map(|refusal| refusal.code).collect(),
        other => panic!("{other:?}"),
    }
}

fn warned(report: &Report) -> Vec<(WarningCode, &str)> {
    report.warnings.iter().map(|warning| (warning.code, warning.text.as_str())).collect()
}

/// One card is direct, one makes vGPUs, and the network card has virtual functions.
fn lab() -> World {
    let world = World::of(LAB);
    world.kernel.offer_mdev(at(SHARED), 32 * 1024, SizeRule::Mixed, &[("lab-1q", "LAB-1Q", 1024)]);
    world.set(WHOLE, ConfiguredType::Direct).unwrap();
    world.set(SHARED, ConfiguredType::SharedDirect).unwrap();
    let file = |device: &str, name: &str| format!("/sys/bus/pci/devices/{device}/{name}");
    world.kernel.write(&file(NIC, "sriov_numvfs"), b"2").unwrap();
    assert!(world.kernel.read_link(&file(NIC_VF, "physfn")).unwrap().ends_with(NIC));
    world
}

#[test]
fn network_cards_and_disks_count_neither_with_a_vgpu_nor_with_a_gpu() {
    for (what, beside) in [
        ("a network card", hostdev(NIC, "yes")),
        ("its virtual function", hostdev(NIC_VF, "yes")),
        ("one as an interface", interface(NIC_VF)),
        ("a disk", hostdev(DISK, "no")),
        ("all of them", [hostdev(DISK, "yes"), hostdev(NIC, "no"), interface(NIC_VF)].concat()),
    ] {
        for request in [profile("lab-1q", 1..2), whole(WHOLE)] {
            let world = lab();
            let engine = world.engine();
            define(&world, &[definition("vm", 9, &beside)]);
            // Alone they are no business of ours, bound to a host's driver or not.
            assert!(engine.hook_prepare(&stored(&world, "vm")).unwrap().is_empty(), "{what}");
            engine.hook_release(Uuid::from_u128(9));
            let report = engine.vm_add("vm", request.clone(), false).unwrap();
            assert!(report.outcome.is_changed() && report.warnings.is_empty(), "{what}: {report:?}");
            let before = world.picture().bindings;
            let made = engine.hook_prepare(&stored(&world, "vm"));
            let made = made.unwrap_or_else(|error| panic!("{what} beside {request}: {error}"));
            assert_eq!(made.len(), usize::from(matches!(request, VmRequest::Profile { .. })), "{what}");
            assert_eq!(world.picture().bindings, before, "{what} is left to libvirt");
        }
    }
}

#[test]
fn the_sixteen_are_sixteen_of_ours() {
    let world = lab();
    let engine = world.engine();
    let beside = [hostdev(DISK, "yes"), hostdev(NIC, "no"), interface(NIC_VF)].concat();
    define(&world, &[definition("vm", 9, &beside)]);
    engine.vm_add("vm", profile("lab-1q", 1..1 + MOST_DEVICES as u128), false).unwrap();
    relist(&world);
    let domain = stored(&world, "vm");
    assert_eq!(devices_of(&domain, &world.observed()).len(), MOST_DEVICES);
    assert_eq!(engine.hook_prepare(&domain).unwrap().len(), MOST_DEVICES);
    engine.hook_release(Uuid::from_u128(9));
    assert_eq!(codes(engine.vm_add("vm", profile("lab-1q", 50..51), false)), [RefusalCode::TooManyDevices]);
}

#[test]
fn both_modes_are_refused_beside_whatever_else_there_is() {
    let world = lab();
    let engine = world.engine();
    define(&world, &[definition("vm", 9, &[hostdev(NIC, "yes"), hostdev(DISK, "yes")].concat())]);
    engine.vm_add("vm", profile("lab-1q", 1..2), false).unwrap();
    relist(&world);
    assert_eq!(codes(engine.vm_add("vm", whole(WHOLE), false)), [RefusalCode::MixedModes]);
    let mut both = stored(&world, "vm");
    both.config.push(Hostdev::Pci { address: at(WHOLE), managed: true });
    assert_eq!(codes(engine.hook_prepare(&both)), [RefusalCode::MixedModes]);
}

#[test]
fn two_vms_may_name_one_card_and_one_of_them_runs() {
    let world = World::new();
    let engine = world.engine();
    for gpu in [GPU, OTHER] {
        world.set(gpu, ConfiguredType::Direct).unwrap();
    }
    let disk = hostdev("0000:00:1d.0", "yes");
    define(
        &world,
        &["work", "play"]
            .map(|name| definition(name, name.len() as u128 + name.as_bytes()[0] as u128, &disk)),
    );
    // The same disk in both is said by nobody: it is none of ours.
    let first = engine.vm_add("work", whole(GPU), false).unwrap();
    assert_eq!(warned(&first), []);
    relist(&world);
    // Another card is another matter.
    assert_eq!(warned(&engine.vm_add("play", whole(OTHER), true).unwrap()), []);
    let said = [(WarningCode::AlsoDefinedIn, "work has the same device: only one of them can run at a time")];
    for dry_run in [true, false] {
        let second = engine.vm_add("play", whole(GPU), dry_run).unwrap();
        assert!(second.outcome.is_changed());
        assert_eq!(warned(&second), said, "dry run: {dry_run}");
    }
    relist(&world);
    let (work, play) = (stored(&world, "work"), stored(&world, "play"));
    engine.hook_prepare(&work).unwrap();
    assert_eq!(codes(engine.hook_prepare(&play)), [RefusalCode::GpuInUse]);
    engine.hook_release(play.uuid);
    engine.hook_release(work.uuid);
    engine.hook_prepare(&play).unwrap();
    assert_eq!(codes(engine.hook_prepare(&work)), [RefusalCode::GpuInUse]);
}

#[test]
fn a_card_that_another_vm_names_by_its_audio_alone_is_said_too_and_a_vgpu_of_ones_own_is_not() {
    let world = World::new();
    let engine = world.engine();
    world.set(GPU, ConfiguredType::Direct).unwrap();
    define(&world, &[definition("vm", 1, ""), definition("sound", 2, &hostdev("0000:01:00.1", "yes"))]);
    let report = engine.vm_add("vm", whole(GPU), false).unwrap();
    assert!(
        matches!(warned(&report)[..], [(WarningCode::AlsoDefinedIn, text)] if text.starts_with("sound "))
    );
    let world = lab();
    let engine = world.engine();
    define(&world, &[definition("one", 1, ""), definition("two", 2, "")]);
    for (name, number) in [("one", 1), ("two", 2)] {
        let report = engine.vm_add(name, profile("lab-1q", number..number + 1), false).unwrap();
        assert_eq!(warned(&report), [], "{name}");
        relist(&world);
    }
}
