//! Starts of domains, as libvirt's hook asks for them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

mod world;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use gpuvirt_engine::hook::{Asker, CREATION_DEADLINE, VALIDATION_DEADLINE};
use gpuvirt_engine::{CreateRequest, DeviceRequest, EngineError, SwitchRequest, VmRequest, Wish};
use gpuvirt_fakekernel::{Errno, On, Process};
use gpuvirt_model::{
    CardMatch, ConfiguredType, Domain, DomainState, HostMemory, Hostdev, ProfileName, RefusalCode, VgpuId,
    VgpuParams, Viommu,
};
use uuid::Uuid;
use world::domain::{DEFINITION, add_profile, by_hand, define, hooked, relist};
use world::{GPU, OTHER, TYPED, VF, World, at, switch};

const DEADLINE: Duration = Duration::from_secs(5);
fn uuid(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn pci(address: &str) -> Hostdev {
    Hostdev::Pci { address: at(address), managed: false }
}

#[track_caller]
fn codes<T: std::fmt::Debug>(result: Result<T, EngineError>) -> Vec<RefusalCode> {
    match result {
        Err(EngineError::Refused(refusals)) => refusals.iter().map(|refusal| refusal.code).collect(),
        other => panic!("{other:?}"),
    }
}

/// A host whose first GPU makes mediated devices: 8 GiB of them.
fn with_mdevs() -> World {
    let world = World::offering_vgpus(GPU);
    world.set(GPU, ConfiguredType::SharedDirect).unwrap();
    world
}

#[test]
fn a_profile_is_made_at_the_start_and_removed_after_it() {
    let world = with_mdevs();
    let engine = world.engine();
    define(&world, "web", 1);
    let before = world.definitions.lock().unwrap()["web"].clone();
    add_profile(&world, &engine, "web", "lab-4q", 7);
    assert!(world.observed().vgpus.is_empty(), "nothing is made before the start");
    assert_eq!(engine.hook_prepare(&hooked(&world, "web")).unwrap(), [VgpuId::Mdev(uuid(7))]);
    let files = world.files();
    assert_eq!(files.records.vgpus[&VgpuId::Mdev(uuid(7))].domain, Some(uuid(1)));
    assert!(files.desired.gpus.iter().all(|gpu| gpu.vgpus.is_empty()), "it is never restored");
    assert!(files.intents.is_empty());
    // Asked twice, it is there.
    assert!(engine.hook_prepare(&hooked(&world, "web")).unwrap().is_empty());
    // While the VM runs nothing removes it.
    engine.remove_released(DEADLINE).unwrap();
    assert_eq!(world.observed().vgpus.len(), 1);
    engine.hook_release(uuid(1));
    engine.remove_released(DEADLINE).unwrap();
    assert!(world.observed().vgpus.is_empty());
    assert!(world.files().records.vgpus.is_empty());
    let request = DeviceRequest::Vgpu(VgpuId::Mdev(uuid(7)));
    assert!(engine.vm_remove("web", request).unwrap().outcome.is_changed());
    assert_eq!(world.definitions.lock().unwrap()["web"], before);
}

#[test]
fn a_start_takes_over_what_its_own_end_left() {
    let world = with_mdevs();
    let engine = world.engine();
    define(&world, "web", 1);
    add_profile(&world, &engine, "web", "lab-4q", 7);
    for _ in 0..3 {
        engine.hook_prepare(&hooked(&world, "web")).unwrap();
        engine.hook_release(uuid(1));
        // The next start is faster than the removal.
        engine.hook_prepare(&hooked(&world, "web")).unwrap();
        engine.remove_released(DEADLINE).unwrap();
        assert_eq!(world.observed().vgpus.len(), 1);
        engine.hook_release(uuid(1));
        engine.remove_released(DEADLINE).unwrap();
        assert!(world.observed().vgpus.is_empty());
    }
}

#[test]
fn a_refused_start_takes_nothing_that_another_runs_on() {
    let world = with_mdevs();
    let engine = world.engine();
    define(&world, "web", 1);
    add_profile(&world, &engine, "web", "lab-4q", 7);
    engine.hook_prepare(&hooked(&world, "web")).unwrap();
    let other = by_hand("thief", 2, vec![Hostdev::Mdev { uuid: uuid(7) }]);
    assert_eq!(codes(engine.hook_prepare(&other)), [RefusalCode::VgpuInUse]);
    engine.hook_release(uuid(2));
    engine.remove_released(DEADLINE).unwrap();
    assert_eq!(world.observed().vgpus.len(), 1);
    // Not even our own restart, which forgets who runs: the kernel knows who has it open.
    world.kernel.start(Process::new(77, "qemu-system-x86").opens(&node(&world, 7)));
    let restarted = world.engine();
    assert_eq!(codes(restarted.hook_prepare(&other)), [RefusalCode::VgpuInUse]);
    restarted.hook_release(uuid(1));
    restarted.remove_released(DEADLINE).unwrap();
    assert_eq!(world.observed().vgpus.len(), 1);
    world.kernel.end(77);
    restarted.remove_released(DEADLINE).unwrap();
    assert!(world.observed().vgpus.is_empty());
}

/// The node by which a VM holds a mediated device.
fn node(world: &World, number: u128) -> String {
    let group = world.observed().vgpus[&VgpuId::Mdev(uuid(number))].iommu_group.unwrap();
    format!("/dev/vfio/{group}")
}

#[test]
fn what_fits_no_more_is_refused_and_nothing_is_left() {
    let world = with_mdevs();
    let engine = world.engine();
    for number in 1..=3 {
        define(&world, &format!("vm{number}"), number);
        add_profile(&world, &engine, &format!("vm{number}"), "lab-4q", 10 + number);
    }
    engine.hook_prepare(&hooked(&world, "vm1")).unwrap();
    engine.hook_prepare(&hooked(&world, "vm2")).unwrap();
    assert_eq!(codes(engine.hook_prepare(&hooked(&world, "vm3"))), [RefusalCode::NoCapacity]);
    assert_eq!(world.observed().vgpus.len(), 2);
    assert_eq!(world.files().records.vgpus.len(), 2);
    // A VM that has ended leaves its room to whoever needs it, removed or not.
    engine.hook_release(uuid(1));
    engine.hook_prepare(&hooked(&world, "vm3")).unwrap();
}

#[test]
fn several_new_vgpus_of_one_vm_are_judged_before_the_first_is_made() {
    let world = with_mdevs();
    let engine = world.engine();
    define(&world, "web", 1);
    add_profile(&world, &engine, "web", "lab-4q", 7);
    // The board is of the older kind, and a 4q is half of it.
    let profile = ProfileName("lab-4q".to_owned());
    let more = VmRequest::Profile { profile, params: VgpuParams::default(), uuids: vec![uuid(8)] };
    assert_eq!(codes(engine.vm_add("web", more, false)), [RefusalCode::NotFullSize]);
    // Written by hand, it is refused at the start, and nothing was made.
    let mut both = hooked(&world, "web");
    let mut second = both.requests.list[0].clone();
    (second.id, second.assigned) = (2, Some(Hostdev::Mdev { uuid: uuid(8) }));
    both.requests.list.push(second);
    both.config.push(Hostdev::Mdev { uuid: uuid(8) });
    assert_eq!(codes(engine.hook_prepare(&both)), [RefusalCode::NotFullSize]);
    assert!(world.observed().vgpus.is_empty() && world.files().records.vgpus.is_empty());
    // Three of them do not even fit, and both is said at once.
    both.requests.list.push(gpuvirt_model::Request {
        id: 3,
        assigned: Some(Hostdev::Mdev { uuid: uuid(9) }),
        ..both.requests.list[0].clone()
    });
    both.config.push(Hostdev::Mdev { uuid: uuid(9) });
    assert_eq!(codes(engine.hook_prepare(&both)), [RefusalCode::NotFullSize, RefusalCode::NoCapacity]);
    assert!(world.observed().vgpus.is_empty());
}

#[test]
fn room_is_kept_for_a_vm_that_starts_with_the_host() {
    let world = with_mdevs();
    let engine = world.engine();
    for (name, number) in [("cad", 1), ("first", 2), ("second", 3)] {
        define(&world, name, number);
        add_profile(&world, &engine, name, "lab-4q", 10 + number);
    }
    world.libvirt.lock().unwrap().iter_mut().find(|domain| domain.name == "cad").unwrap().autostart = true;
    engine.view().unwrap();
    engine.hook_prepare(&hooked(&world, "first")).unwrap();
    // The other half is for the VM that never ran yet: its request says what it wants.
    assert_eq!(codes(engine.hook_prepare(&hooked(&world, "second"))), [RefusalCode::CapacityReserved]);
    assert_eq!(codes(engine.vm_start("second", true)), [RefusalCode::NoSuitableGpu]);
    engine.hook_prepare(&hooked(&world, "cad")).unwrap();
    // It was seen to run, and has ended: it is still to start with the host, and nobody need list it again for that.
    let mut domains = world.libvirt.lock().unwrap();
    let cad = domains.iter_mut().find(|domain| domain.name == "cad").unwrap();
    (cad.state, cad.live) = (DomainState::Active, cad.config.clone());
    drop(domains);
    engine.view().unwrap();
    engine.hook_release(uuid(1));
    engine.remove_released(DEADLINE).unwrap();
    assert_eq!(codes(engine.hook_prepare(&hooked(&world, "second"))), [RefusalCode::CapacityReserved]);
    engine.hook_prepare(&hooked(&world, "cad")).unwrap();
}

/// libvirt has called the start off, and told of it before this came through: nobody tells of it again.
#[test]
fn who_has_given_up_gets_nothing_whether_it_was_made_or_is_there() {
    let gives_up = [
        Asker { since: Instant::now(), waits: &|| false },
        // Most of it in a queue: what is done here is quick.
        Asker { since: Instant::now() - CREATION_DEADLINE - Duration::from_millis(1), waits: &|| true },
    ];
    for asker in &gives_up {
        let world = with_mdevs();
        let engine = world.engine();
        define(&world, "web", 1);
        add_profile(&world, &engine, "web", "lab-4q", 7);
        engine.create_vgpus(&CreateRequest::one(at(GPU), ProfileName("lab-1q".to_owned()), uuid(8))).unwrap();
        let fixed = |number| by_hand("cad", number, vec![Hostdev::Mdev { uuid: uuid(8) }]);
        for domain in [hooked(&world, "web"), fixed(2)] {
            assert_eq!(codes(engine.hook_prepare_for(asker, &domain)), [RefusalCode::Busy]);
        }
        assert!(engine.has_released());
        engine.remove_released(DEADLINE).unwrap();
        assert_eq!(world.observed().vgpus.len(), 1, "what was made for it is gone");
        // What it would have had is free.
        engine.hook_prepare(&fixed(3)).unwrap();
    }
}

/// The daemon has been started anew, and nobody has asked it for anything.
#[test]
fn room_is_kept_by_a_daemon_that_made_nothing_yet() {
    let world = with_mdevs();
    let engine = world.engine();
    for (name, number) in [("cad", 1), ("first", 2), ("second", 3)] {
        define(&world, name, number);
        add_profile(&world, &engine, name, "lab-4q", 10 + number);
    }
    world.libvirt.lock().unwrap().iter_mut().find(|domain| domain.name == "cad").unwrap().autostart = true;
    // Where libvirt sleeps, its files tell.
    world.libvirt_has_files.store(true, Ordering::Relaxed);
    let engine = world.engine();
    engine.hook_prepare(&hooked(&world, "first")).unwrap();
    assert_eq!(codes(engine.hook_prepare(&hooked(&world, "second"))), [RefusalCode::CapacityReserved]);
    engine.hook_release(uuid(2));
    engine.remove_released(DEADLINE).unwrap();
    world.libvirt_has_files.store(false, Ordering::Relaxed);
    let engine = world.engine();
    assert!(engine.remove_forgotten(DEADLINE).unwrap());
    engine.hook_prepare(&hooked(&world, "first")).unwrap();
    assert_eq!(codes(engine.hook_prepare(&hooked(&world, "second"))), [RefusalCode::CapacityReserved]);
    // Another one that is to start with the host since: no event of libvirt's tells of it.
    engine.hook_release(uuid(2));
    engine.remove_released(DEADLINE).unwrap();
    world.libvirt.lock().unwrap().iter_mut().find(|domain| domain.name == "second").unwrap().autostart = true;
    assert!(engine.learn_awaited().unwrap());
    assert_eq!(codes(engine.hook_prepare(&hooked(&world, "first"))), [RefusalCode::CapacityReserved]);
    // A libvirt that does not answer tells nothing, and takes nothing back.
    world.libvirt_hangs.store(true, Ordering::Relaxed);
    assert!(!engine.learn_awaited().unwrap() && !engine.remove_forgotten(DEADLINE).unwrap());
    assert_eq!(codes(engine.hook_prepare(&hooked(&world, "first"))), [RefusalCode::CapacityReserved]);
}

#[test]
fn a_host_without_vgpus_asks_libvirt_nothing_for_them() {
    let world = World::new();
    world.set(GPU, ConfiguredType::Direct).unwrap();
    let engine = world.engine();
    world.libvirt_panics();
    assert!(engine.learn_awaited().unwrap() && engine.remove_forgotten(DEADLINE).unwrap());
}

#[test]
fn memory_and_an_iommu_of_the_guests_own_are_judged_at_edit_and_at_start() {
    let world = World::new();
    let engine = world.engine();
    world.set(GPU, ConfiguredType::Direct).unwrap();
    define(&world, "games", 1);
    let with = |inside: &str| {
        let mut definitions = world.definitions.lock().unwrap();
        let xml = DEFINITION.replace("NAME", "games").replace("UUID", &uuid(1).to_string());
        definitions.insert("games".to_owned(), xml.replace("  <os>", &format!("  {inside}\n  <os>")));
    };
    let card = || VmRequest::Device(DeviceRequest::Gpu(at(GPU)));
    with("<memory unit='GiB'>8</memory><memtune><hard_limit unit='GiB'>4</hard_limit></memtune>");
    relist(&world);
    assert_eq!(codes(engine.vm_add("games", card(), true)), [RefusalCode::MemoryNotLockable]);
    // An ordinary one is given the card, and its memory is judged again when it starts.
    with("<memory unit='GiB'>8</memory>");
    relist(&world);
    engine.vm_add("games", card(), false).unwrap();
    let memory = |available_kib| HostMemory { total_kib: 16 << 20, available_kib, ..HostMemory::default() };
    *world.memory.lock().unwrap() = Some(memory(7 << 20));
    assert_eq!(codes(engine.hook_prepare(&hooked(&world, "games"))), [RefusalCode::MemoryNotLockable]);
    *world.memory.lock().unwrap() = Some(memory(9 << 20));
    engine.hook_prepare(&hooked(&world, "games")).unwrap();
    engine.hook_release(uuid(1));
    // Only with vGPUs an IOMMU of the guest's own is refused.
    let viommu = Some(Viommu { model: "intel".to_owned(), caching_mode: true });
    let mut games = hooked(&world, "games");
    games.guest.viommu.clone_from(&viommu);
    engine.hook_prepare(&games).unwrap();
    let world = with_mdevs();
    let engine = world.engine();
    define(&world, "web", 1);
    add_profile(&world, &engine, "web", "lab-4q", 7);
    let mut web = hooked(&world, "web");
    web.guest.viommu = viommu;
    assert_eq!(codes(engine.hook_prepare(&web)), [RefusalCode::ViommuWithVgpu]);
    assert!(world.observed().vgpus.is_empty());
}

#[test]
fn a_domain_that_was_written_by_hand_is_adopted_and_keeps_what_qemu_gets() {
    let world = with_mdevs();
    let engine = world.engine();
    world.set(OTHER, ConfiguredType::Direct).unwrap();
    let profile = ProfileName("lab-4q".to_owned());
    engine.create_vgpus(&CreateRequest::one(at(GPU), profile, uuid(7))).unwrap();
    let hostdevs = format!(
        "<hostdev mode='subsystem' type='mdev' model='vfio-pci'><source><address uuid='{}'/></source></hostdev>\n    \
         <hostdev mode='subsystem' type='mdev' model='vfio-pci'><source><address uuid='{}'/></source></hostdev>\n    \
         <hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0' bus='2' slot='0' \
         function='0'/></source></hostdev>\n  ",
        uuid(7),
        uuid(8)
    );
    let xml = DEFINITION.replace("NAME", "web").replace("UUID", &uuid(1).to_string());
    let xml = xml.replace("</devices>", &format!("{hostdevs}</devices>"));
    world.definitions.lock().unwrap().insert("web".to_owned(), xml.clone());
    relist(&world);
    let devices = hooked(&world, "web").config;
    let report = engine.vm_adopt("web", true).unwrap();
    assert_eq!(world.definitions.lock().unwrap()["web"], xml, "a dry run");
    let text = report.outcome.value().clone();
    for said in
        ["request-1 for vGPU", "profile lab-4q", "managed='yes'", &format!("mdev {} is not there", uuid(8))]
    {
        assert!(text.contains(said), "{said}: {text}");
    }
    assert!(engine.vm_adopt("web", false).unwrap().outcome.is_changed());
    relist(&world);
    let now = hooked(&world, "web");
    assert_eq!((now.config.clone(), now.requests.list.len()), (devices, 2));
    assert!(now.requests.list.iter().all(|request| request.assigned.is_some()), "{:?}", now.requests);
    let adopted = world.definitions.lock().unwrap()["web"].clone();
    assert!(adopted.contains(&hostdevs), "{adopted}");
    // Again, there is nothing left to do; and both modes in one VM are refused as ever.
    assert!(!engine.vm_adopt("web", false).unwrap().outcome.is_changed());
    assert_eq!(codes(engine.hook_prepare(&now)), [RefusalCode::MixedModes]);
    // The request goes, the device stays: it is not ours.
    engine.vm_remove_request("web", 2).unwrap();
    engine.vm_remove_request("web", 1).unwrap();
    assert_eq!(world.definitions.lock().unwrap()["web"], xml);
    // A clone is told so; what nobody configured is no business of ours.
    let clone = adopted.replace(&uuid(1).to_string(), &uuid(9).to_string()).replacen("web", "copy", 1);
    let clone = clone.replace(&format!("domain='{}'", uuid(9)), &format!("domain='{}'", uuid(1)));
    world.definitions.lock().unwrap().insert("copy".to_owned(), clone);
    relist(&world);
    assert_eq!(codes(engine.vm_adopt("copy", false)), [RefusalCode::ClonedRequest]);
    assert_eq!(codes(engine.vm_adopt("nobody", false)), [RefusalCode::DomainNotFound]);
}

#[test]
fn a_vm_goes_from_one_mode_to_the_other_powered_off_and_by_no_other_way() {
    let world = with_mdevs();
    let engine = world.engine();
    world.set(OTHER, ConfiguredType::Direct).unwrap();
    define(&world, "vm", 1);
    add_profile(&world, &engine, "vm", "lab-4q", 7);
    let card = || VmRequest::Device(DeviceRequest::Gpu(at(OTHER)));
    assert_eq!(codes(engine.vm_add("vm", card(), false)), [RefusalCode::MixedModes]);
    let running = |state, devices: bool| {
        let mut domains = world.libvirt.lock().unwrap();
        domains[0].state = state;
        domains[0].live = if devices { domains[0].config.clone() } else { Vec::new() };
    };
    running(DomainState::Active, true);
    // Everything that is in the way is said at once, and how to go on.
    let Err(EngineError::Refused(refusals)) = engine.vm_add("vm", card(), false) else { panic!() };
    let named: Vec<RefusalCode> = refusals.iter().map(|refusal| refusal.code).collect();
    assert_eq!(named, [RefusalCode::DomainRunning, RefusalCode::MixedModes]);
    assert_eq!(refusals[0].remedy[0], "virsh shutdown -- vm");
    assert_eq!(codes(engine.vm_remove_request("vm", 1)), [RefusalCode::DomainRunning]);
    running(DomainState::ShutOff, false);
    engine.vm_remove_request("vm", 1).unwrap();
    relist(&world);
    engine.vm_add("vm", card(), false).unwrap();
    engine.hook_prepare(&hooked(&world, "vm")).unwrap();
}

#[test]
fn a_whole_gpu_must_be_direct_whatever_managed_says() {
    let world = World::new();
    let engine = world.engine();
    let managed = Hostdev::Pci { address: at(GPU), managed: true };
    let vm = by_hand("games", 1, vec![managed]);
    // Nobody configured it: libvirt's affair.
    assert!(engine.hook_prepare(&vm).is_ok());
    engine.hook_release(uuid(1));
    world.set(GPU, ConfiguredType::Shared).unwrap();
    assert_eq!(codes(engine.hook_prepare(&vm)), [RefusalCode::NotPassthrough]);
    world.set(GPU, ConfiguredType::Direct).unwrap();
    assert!(engine.hook_prepare(&vm).unwrap().is_empty());
    let other = by_hand("work", 2, vec![pci(GPU)]);
    assert_eq!(codes(engine.hook_prepare(&other)), [RefusalCode::GpuInUse]);
    // A VM that starts keeps its card, before libvirt knows of it.
    *world.libvirt.lock().unwrap() =
        vec![Domain { state: DomainState::ShutOff, ..by_hand("games", 1, vec![pci(GPU)]) }];
    let back = engine.set_type(&switch(GPU, ConfiguredType::Shared));
    assert!(back.is_ok() || codes(back) == [RefusalCode::DomainRunning]);
}

#[test]
fn both_modes_in_one_vm_another_card_and_a_clone_are_refused() {
    let world = with_mdevs();
    let engine = world.engine();
    world.set(OTHER, ConfiguredType::Direct).unwrap();
    define(&world, "web", 1);
    add_profile(&world, &engine, "web", "lab-4q", 7);
    let mut both = hooked(&world, "web");
    both.config.push(pci(OTHER));
    assert_eq!(codes(engine.hook_prepare(&both)), [RefusalCode::MixedModes]);
    let clone = Domain { uuid: uuid(99), ..hooked(&world, "web") };
    assert_eq!(codes(engine.hook_prepare(&clone)), [RefusalCode::ClonedRequest]);
    define(&world, "games", 2);
    let device = DeviceRequest::Gpu(at(OTHER));
    engine.vm_add("games", device, false).unwrap();
    let mut games = hooked(&world, "games");
    engine.hook_prepare(&games).unwrap();
    engine.hook_release(uuid(2));
    let gpuvirt_model::Wanted::Gpu { identity, .. } = &mut games.requests.list[0].wanted else { panic!() };
    identity.device ^= 1;
    assert_eq!(codes(engine.hook_prepare(&games)), [RefusalCode::IdentityChanged]);
    assert!(world.observed().vgpus.is_empty(), "nothing was made");
}

#[test]
fn a_virtual_function_gets_its_type_where_the_definition_names_it() {
    let world = World::typed();
    let engine = world.engine();
    define(&world, "web", 1);
    let profile = world.observed().gpus[&at(TYPED)].profiles[0].name.0.clone();
    add_profile(&world, &engine, "web", &profile, 7);
    assert!(hooked(&world, "web").has_configured(&pci(VF)));
    assert_eq!(engine.hook_prepare(&hooked(&world, "web")).unwrap(), [VgpuId::Vf(at(VF))]);
    engine.hook_release(uuid(1));
    engine.remove_released(DEADLINE).unwrap();
    assert!(world.observed().vgpus.is_empty());
    // The admin's own vGPU is in its place: the hint is no good, and vm start chooses another function.
    let wish = Wish::new(VgpuId::Vf(at(VF)), ProfileName(profile.clone()));
    engine.create_vgpus(&CreateRequest { gpu: Some(at(TYPED)), wishes: vec![wish], dry_run: false }).unwrap();
    world.kernel.start(Process::new(77, "qemu-system-x86").opens(&vf_node(&world)));
    let Err(EngineError::Refused(refused)) = engine.hook_prepare(&hooked(&world, "web")) else { panic!() };
    assert_eq!(refused.iter().map(|refusal| refusal.code).collect::<Vec<_>>(), [RefusalCode::VgpuInUse]);
    // What a hook has room for is the first remedy.
    assert!(refused[0].remedy[0].starts_with("gpuvirt vm start web"), "{refused:?}");
    relist(&world);
    let report = engine.vm_start("web", false).unwrap();
    assert!(report.outcome.is_changed());
    let now = hooked(&world, "web");
    assert!(!now.has_configured(&pci(VF)), "{:?}", now.config);
    assert_eq!(now.requests.list.len(), 1);
    assert_eq!(now.requests.list[0].assigned.as_ref(), now.config.first());
    assert_eq!(world.observed().vgpus.len(), 2);
    assert!(world.libvirt.lock().unwrap()[0].state == DomainState::Active);
}

#[test]
fn more_vms_are_defined_than_can_run_and_the_next_one_gets_what_ends() {
    let world = World::typed();
    let engine = world.engine();
    let profile = world.observed().gpus[&at(TYPED)].profiles[0].name.clone();
    let add = |number: u128| {
        let uuids = vec![uuid(100 + number)];
        let request = VmRequest::Profile { profile: profile.clone(), params: VgpuParams::default(), uuids };
        define(&world, &format!("vm{number}"), number);
        let report = engine.vm_add(&format!("vm{number}"), request, false).unwrap();
        relist(&world);
        report
    };
    let mut running = 0;
    for number in 1..=5 {
        assert!(add(number).outcome.is_changed(), "room is a matter of the start");
        running += u32::from(engine.vm_start(&format!("vm{number}"), false).is_ok());
    }
    assert_eq!(running as usize, world.observed().vgpus.len());
    assert!((1..5).contains(&running), "{running} run at once");
    let warnings = engine.vm_add("vm5", DeviceRequest::Gpu(at(TYPED)), true);
    assert!(codes(warnings).contains(&RefusalCode::MixedModes), "its virtual function is a vGPU");
    let refused = engine.vm_start("vm5", false);
    assert!(codes(refused).contains(&RefusalCode::NoSuitableGpu));
    // The first one ends; what it had is free.
    for ended in world.libvirt.lock().unwrap().iter_mut().filter(|domain| domain.name == "vm1") {
        (ended.state, ended.live) = (DomainState::ShutOff, Vec::new());
    }
    engine.hook_release(uuid(1));
    engine.remove_released(DEADLINE).unwrap();
    assert!(engine.vm_start("vm5", false).unwrap().outcome.is_changed());
}

fn vf_node(world: &World) -> String {
    let group = world.observed().functions[&at(VF)].iommu_group.unwrap();
    format!("/dev/vfio/{group}")
}

#[test]
fn any_card_of_a_kind_is_chosen_and_chosen_anew() {
    let world = World::new();
    let engine = world.engine();
    world.set(GPU, ConfiguredType::Direct).unwrap();
    let ids = world.observed().functions[&at(GPU)].identity;
    let kind =
        CardMatch { ids: format!("{:04x}:{:04x}", ids.vendor, ids.device).parse().unwrap(), label: None };
    define(&world, "games", 1);
    engine.vm_add("games", VmRequest::Match(kind), false).unwrap();
    relist(&world);
    assert!(hooked(&world, "games").has_configured(&pci(GPU)));
    engine.hook_prepare(&hooked(&world, "games")).unwrap();
    engine.hook_release(uuid(1));
    // A hint that is another card now: the hook refuses, vm start would choose one of the kind.
    let mut other = hooked(&world, "games");
    let gpuvirt_model::Wanted::Match { kind } = &mut other.requests.list[0].wanted else { panic!() };
    kind.ids.device ^= 1;
    assert_eq!(codes(engine.hook_prepare(&other)), [RefusalCode::RequestUnmet]);
    assert!(engine.vm_start("games", true).unwrap().outcome.value().contains("gets 0000:01:00.0 again"));
}

#[test]
fn a_card_that_lost_the_label_asked_for_is_not_started_with() {
    let world = World::new();
    let engine = world.engine();
    let label = |label: &str| {
        let label = Some(label.to_owned());
        engine.set_type(&SwitchRequest { label, ..switch(GPU, ConfiguredType::Direct) }).unwrap()
    };
    label("farm");
    let ids = world.observed().functions[&at(GPU)].identity;
    let ids = format!("{:04x}:{:04x}", ids.vendor, ids.device).parse().unwrap();
    let kind = CardMatch { ids, label: Some("farm".to_owned()) };
    define(&world, "games", 1);
    engine.vm_add("games", VmRequest::Match(kind), false).unwrap();
    relist(&world);
    engine.hook_prepare(&hooked(&world, "games")).unwrap();
    engine.hook_release(uuid(1));
    for other in ["bench", ""] {
        label(other);
        let Err(EngineError::Refused(refusals)) = engine.hook_prepare(&hooked(&world, "games")) else {
            panic!("started with the label {other:?}")
        };
        assert_eq!(refusals[0].code, RefusalCode::RequestUnmet);
        assert!(refusals[0].because.contains("labelled farm"), "{}", refusals[0].because);
    }
}

#[test]
fn starts_that_find_everything_there_wait_for_no_change_of_another_gpu() {
    let world = with_mdevs();
    let engine = Arc::new(world.engine());
    define(&world, "web", 1);
    define(&world, "late", 2);
    add_profile(&world, &engine, "web", "lab-1q", 7);
    add_profile(&world, &engine, "late", "lab-1q", 8);
    engine.hook_prepare(&hooked(&world, "web")).unwrap();
    engine.hook_release(uuid(1));
    // Somebody changes the other GPU, and takes long.
    let hold = world.hold_steps();
    let changing = std::thread::spawn({
        let engine = Arc::clone(&engine);
        move || engine.set_type(&SwitchRequest { ..switch(OTHER, ConfiguredType::Direct) }).is_ok()
    });
    hold.until_reached();
    engine.hook_prepare(&hooked(&world, "web")).unwrap();
    hold.release();
    assert!(changing.join().unwrap());
    engine.hook_prepare(&hooked(&world, "late")).unwrap();
    assert_eq!(world.observed().vgpus.len(), 2);
}

/// What libvirt waits for has an end: two seconds where nothing is to be made, ten where something is.
#[test]
fn a_start_gives_up_in_time_on_a_change_that_takes_long() {
    let world = with_mdevs();
    let engine = Arc::new(world.engine());
    for (name, number) in [("web", 1), ("late", 2)] {
        define(&world, name, number);
        add_profile(&world, &engine, name, "lab-1q", 6 + number);
    }
    engine.hook_prepare(&hooked(&world, "web")).unwrap();
    engine.hook_release(uuid(1));
    let hold = world.hold_steps();
    let changing = std::thread::spawn({
        let engine = Arc::clone(&engine);
        let more = CreateRequest::one(at(GPU), ProfileName("lab-1q".to_owned()), uuid(99));
        move || engine.create_vgpus(&more).is_ok()
    });
    hold.until_reached();
    let starts = [("web", VALIDATION_DEADLINE), ("late", CREATION_DEADLINE)].map(|(name, deadline)| {
        let (engine, domain) = (Arc::clone(&engine), hooked(&world, name));
        std::thread::spawn(move || {
            let began = Instant::now();
            (name, deadline, engine.hook_prepare(&domain), began.elapsed())
        })
    });
    for start in starts {
        let (name, deadline, result, took) = start.join().unwrap();
        assert_eq!(codes(result), [RefusalCode::Busy], "{name}");
        // The change waits until the test ends, and the longer deadline is five times the shorter one.
        let bounds = deadline.mul_f32(0.9)..deadline + Duration::from_secs(7);
        assert!(bounds.contains(&took), "{name}: {took:?}");
    }
    hold.release();
    assert!(changing.join().unwrap());
    for name in ["web", "late"] {
        engine.hook_prepare(&hooked(&world, name)).unwrap();
    }
    assert_eq!(world.observed().vgpus.len(), 3);
}

#[test]
fn many_starts_at_once_get_each_their_own() {
    let world = with_mdevs();
    let engine = Arc::new(world.engine());
    for number in 1..=8 {
        define(&world, &format!("vm{number}"), number);
        add_profile(&world, &engine, &format!("vm{number}"), "lab-1q", 100 + number);
    }
    let starts: Vec<_> = (1..=8)
        .map(|number| {
            let (engine, domain) = (Arc::clone(&engine), hooked(&world, &format!("vm{number}")));
            std::thread::spawn(move || engine.hook_prepare(&domain).map(|made| made.len()))
        })
        .collect();
    for start in starts {
        assert_eq!(start.join().unwrap().unwrap(), 1);
    }
    assert_eq!(world.observed().vgpus.len(), 8);
    (1..=8).for_each(|number| engine.hook_release(uuid(number)));
    engine.remove_released(DEADLINE).unwrap();
    assert!(world.observed().vgpus.is_empty());
}

#[test]
fn what_ended_unseen_is_removed_once_libvirt_says_so() {
    let world = with_mdevs();
    let engine = world.engine();
    define(&world, "web", 1);
    define(&world, "runs", 2);
    add_profile(&world, &engine, "web", "lab-1q", 7);
    add_profile(&world, &engine, "runs", "lab-1q", 8);
    engine.hook_prepare(&hooked(&world, "web")).unwrap();
    engine.hook_prepare(&hooked(&world, "runs")).unwrap();
    let running = |domain: &mut Domain| {
        domain.state = DomainState::Active;
        domain.live = domain.config.clone();
    };
    world.libvirt.lock().unwrap().iter_mut().filter(|d| d.name == "runs").for_each(running);
    // The daemon was away when "web" ended.
    let restarted = world.engine();
    restarted.remove_forgotten(DEADLINE).unwrap();
    let left: Vec<VgpuId> = world.observed().vgpus.keys().copied().collect();
    assert_eq!(left, [VgpuId::Mdev(uuid(8))]);
}

#[test]
fn a_card_that_is_lent_is_direct_while_its_vm_runs() {
    let world = World::new();
    let engine = world.engine();
    let when = Some(gpuvirt_model::When::Vm);
    engine.configure(&SwitchRequest { when, ..switch(GPU, ConfiguredType::Direct) }).unwrap();
    let before = world.picture();
    define(&world, "games", 1);
    engine.vm_add("games", DeviceRequest::Gpu(at(GPU)), false).unwrap();
    let desired = world.files().desired;
    for _ in 0..2 {
        engine.hook_prepare(&hooked(&world, "games")).unwrap();
        assert!(world.observed().gpus[&at(GPU)].on_vfio);
        engine.remove_released(DEADLINE).unwrap();
        assert!(world.observed().gpus[&at(GPU)].on_vfio, "its VM runs");
        engine.hook_release(uuid(1));
        engine.remove_released(DEADLINE).unwrap();
        assert_eq!(world.picture(), before);
        assert_eq!(world.files().desired, desired);
    }
    // Whoever holds it on the host keeps it, and the VM is told who that is.
    world.kernel.start(Process::new(77, "Xorg").opens("/dev/dri/card0"));
    assert_eq!(codes(engine.hook_prepare(&hooked(&world, "games"))), [RefusalCode::GpuInUse]);
    assert_eq!(world.picture(), before);
}

#[test]
fn a_lent_card_that_cannot_go_back_stays_with_vfio_and_says_why() {
    let world = World::new();
    let engine = world.engine();
    let when = Some(gpuvirt_model::When::Vm);
    let cards = [GPU, OTHER];
    let before = world.picture();
    for (number, card) in (1..).zip(cards) {
        engine.configure(&SwitchRequest { when, ..switch(card, ConfiguredType::Direct) }).unwrap();
        let name = format!("vm{number}");
        define(&world, &name, number);
        engine.vm_add(&name, DeviceRequest::Gpu(at(card)), false).unwrap();
        engine.hook_prepare(&hooked(&world, &name)).unwrap();
    }
    let driver = before.bindings[&at(GPU)].driver.clone().unwrap();
    let broken = On::Bind { driver: driver.to_string(), function: at(GPU) };
    world.kernel.fail(broken, Errno::ENODEV);
    (1..3).for_each(|number| engine.hook_release(uuid(number)));
    engine.remove_released(DEADLINE).unwrap();
    let kept = engine.kept_cards(&engine.view().unwrap());
    assert_eq!(kept.keys().copied().collect::<Vec<_>>(), [at(GPU)], "the other one went back: {kept:?}");
    assert!(kept[&at(GPU)].contains(driver.as_str()), "{kept:?}");
    let gpus = world.observed().gpus;
    assert!(gpus[&at(GPU)].on_vfio && !gpus[&at(OTHER)].on_vfio);
    assert!(world.files().intents.is_empty(), "it is with VFIO as it was, and not hands-off");
    // The next occasion is taken, and the reason is over.
    world.kernel.clear_faults();
    engine.remove_released(DEADLINE).unwrap();
    assert_eq!(engine.kept_cards(&engine.view().unwrap()), BTreeMap::new());
    assert_eq!(world.picture(), before);
}
