//! A card whose driver keeps a write waiting costs that card alone: every other card is changed, given to VMs and taken back
//! as before, and what they store meanwhile stands.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

mod world;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};

use gpuvirt_engine::hook::CREATION_DEADLINE;
use gpuvirt_engine::{Cordon, Engine, EngineError, HostRequest, Report, VmRequest};
use gpuvirt_fakekernel::{Errno, Fault, On};
use gpuvirt_model::{
    ConfiguredType, Domain, DomainState, Hostdev, ProfileName, Refusal, RefusalCode, VgpuParams,
};
use uuid::Uuid;
use world::domain::{as_hook_sees, by_hand};
use world::patience::{impatient, in_time};
use world::vgpu::{SMALL, create, mdev, remove, two_offering};
use world::{GPU, Hold, OTHER, World, at, switch};

const DEADLINE: Duration = Duration::from_secs(5);

/// Two GPUs that can make vGPUs; the second is prepared for it.
fn world() -> World {
    let world = two_offering();
    world.set(OTHER, ConfiguredType::SharedDirect).unwrap();
    world
}

type Request<'a> = dyn Fn() -> Result<Report, EngineError> + 'a;
type Change = JoinHandle<Result<Report, EngineError>>;

/// A switch of [`GPU`] whose first write waits for as long as the test likes.
fn stalled(world: &World, engine: &Arc<Engine>) -> (Change, Arc<Hold>) {
    let hold = world.hold_steps_of(GPU);
    let engine = Arc::clone(engine);
    let change = spawn(move || engine.set_type(&switch(GPU, ConfiguredType::Direct)));
    hold.until_reached();
    (change, hold)
}

#[track_caller]
fn refused(result: Result<impl std::fmt::Debug, EngineError>) -> Refusal {
    match result {
        Err(EngineError::Refused(refusals)) => refusals[0].clone(),
        other => panic!("{other:?}"),
    }
}

/// A VM that asks for a vGPU of a profile, as the hook sees it.
fn vm_with_request(world: &World, engine: &Engine, name: &str, number: u128) -> Domain {
    let xml = format!(
        "<domain type='kvm'><name>{name}</name><uuid>{}</uuid><os><type machine='q35'>hvm</type></os>\
         <devices><emulator>q</emulator></devices></domain>",
        Uuid::from_u128(number)
    );
    world.definitions.lock().unwrap().insert(name.to_owned(), xml.clone());
    world.libvirt.lock().unwrap().push(Domain { state: DomainState::ShutOff, ..as_hook_sees(&xml) });
    let profile = ProfileName(SMALL.to_owned());
    let uuids = vec![Uuid::from_u128(number + 1000)];
    engine.vm_add(name, VmRequest::Profile { profile, params: VgpuParams::default(), uuids }, false).unwrap();
    as_hook_sees(&world.definitions.lock().unwrap()[name])
}

#[test]
fn everything_of_another_card_goes_on_while_a_write_waits_and_both_are_stored() {
    let world = world();
    let engine = impatient(&world);
    let (change, hold) = stalled(&world, &engine);
    let starting = in_time("vm add", || vm_with_request(&world, &engine, "web", 1));
    assert_eq!(in_time("a start", || engine.hook_prepare(&starting)).unwrap(), [mdev(1001)]);
    in_time("create", || create(&engine, Some(OTHER), 7)).unwrap();
    in_time("create anywhere", || create(&engine, None, 8)).unwrap();
    assert_eq!(world.observed().vgpus.len(), 3);
    engine.hook_release(starting.uuid);
    in_time("release", || engine.remove_released(DEADLINE)).unwrap();
    for number in [7, 8] {
        in_time("remove", || remove(&engine, number)).unwrap();
    }
    assert!(world.observed().vgpus.is_empty());
    in_time("switch", || engine.set_type(&switch(OTHER, ConfiguredType::Direct))).unwrap();
    let host = HostRequest {
        default_type: None,
        assignment_policy: None,
        maintenance: Some(true),
        reserve: None,
        yes: false,
        deadline: DEADLINE,
    };
    in_time("maintenance", || engine.set_host(&host)).unwrap();
    assert!(!change.is_finished());
    let shown = engine.working();
    assert_eq!(shown.iter().map(|working| working.gpu).collect::<Vec<_>>(), [at(GPU)]);
    assert_eq!(engine.changing(), BTreeSet::from([at(GPU)]));
    let generation = world.files().desired.generation;

    hold.release();
    change.join().unwrap().unwrap();
    let files = world.files();
    for gpu in [GPU, OTHER] {
        assert_eq!(files.desired.gpu(at(gpu)).unwrap().graphics_type, ConfiguredType::Direct, "{gpu}");
        assert!(files.records.host_bindings.contains_key(&at(gpu)), "{gpu}");
        assert!(world.observed().gpus[&at(gpu)].on_vfio, "{gpu}");
    }
    assert!(files.desired.host.maintenance && files.intents.is_empty() && files.records.vgpus.is_empty());
    assert_eq!(files.desired.generation, generation + 1);
    assert!(engine.changing().is_empty() && engine.working().is_empty());
    engine.set_type(&switch(GPU, ConfiguredType::Shared)).unwrap();
}

#[test]
fn another_change_of_that_card_is_refused_and_told_what_it_waits_for() {
    let world = world();
    let engine = impatient(&world);
    let (change, hold) = stalled(&world, &engine);
    let writes = world.kernel.writes().len();
    let requests: [(&str, &Request<'_>); 4] = [
        ("set", &|| engine.set_type(&switch(GPU, ConfiguredType::Shared))),
        ("create", &|| create(&engine, Some(GPU), 9)),
        ("unset", &|| engine.unset(at(GPU))),
        ("restore", &|| engine.restore(at(GPU), DEADLINE)),
    ];
    for (what, request) in requests {
        let busy = refused(in_time(what, request));
        assert_eq!(busy.code, RefusalCode::Busy, "{what}: {busy:?}");
        assert!(busy.because.contains(GPU) && busy.because.contains("waited"), "{what}: {busy:?}");
    }
    // It is under way, not left behind: nothing takes it back.
    let recovered = in_time("recover", || engine.recover(DEADLINE)).unwrap();
    assert!(!recovered.outcome.is_changed(), "{recovered:?}");
    assert_eq!((world.files().intents.len(), world.kernel.writes().len()), (1, writes));
    hold.release();
    change.join().unwrap().unwrap();
    assert_eq!(world.files().desired.gpu(at(GPU)).unwrap().graphics_type, ConfiguredType::Direct);
}

#[test]
fn a_cordon_reaches_a_card_whose_write_waits() {
    let world = world();
    world.set(GPU, ConfiguredType::SharedDirect).unwrap();
    let engine = impatient(&world);
    let (change, hold) = stalled(&world, &engine);
    in_time("cordon", || engine.set_cordon(at(GPU), Cordon::On)).unwrap();
    hold.release();
    change.join().unwrap().unwrap();
    let entry = world.files().desired.gpu(at(GPU)).unwrap().clone();
    assert!(entry.cordoned && entry.graphics_type == ConfiguredType::Direct);
}

#[test]
fn a_change_of_the_same_card_waits_for_one_that_is_merely_slow() {
    let world = world();
    let engine = Arc::new(world.engine().with_patience(Duration::from_millis(10), Duration::from_secs(30)));
    let (change, hold) = stalled(&world, &engine);
    let second = spawn({
        let engine = Arc::clone(&engine);
        move || engine.set_type(&switch(GPU, ConfiguredType::Shared))
    });
    in_time("switch", || engine.set_type(&switch(OTHER, ConfiguredType::Direct))).unwrap();
    assert!(!second.is_finished());
    hold.release();
    change.join().unwrap().unwrap();
    second.join().unwrap().unwrap();
    assert_eq!(world.files().desired.gpu(at(GPU)).unwrap().graphics_type, ConfiguredType::Shared);
}

#[test]
fn a_start_with_that_card_waits_for_it_and_is_told_of_it_when_it_takes_too_long() {
    let world = world();
    let engine = impatient(&world);
    let (change, hold) = stalled(&world, &engine);
    let pci = |address: &str| Hostdev::Pci { address: at(address), managed: false };
    let domain = by_hand("cad", 5, vec![pci(GPU), pci("0000:01:00.1")]);
    let began = Instant::now();
    let busy = refused(engine.hook_prepare(&domain));
    // Two seconds, for nothing is to be made for it. The write waits until the test ends.
    assert!(began.elapsed() < CREATION_DEADLINE, "{:?}", began.elapsed());
    assert_eq!(busy.code, RefusalCode::Busy, "{busy:?}");
    assert!(busy.because.contains(GPU), "{busy:?}");
    engine.hook_release(domain.uuid);
    let starting = spawn({
        let (engine, domain) = (Arc::clone(&engine), domain.clone());
        move || engine.hook_prepare(&domain)
    });
    // Meanwhile it keeps nobody from anything.
    in_time("create", || create(&engine, Some(OTHER), 7)).unwrap();
    hold.release();
    change.join().unwrap().unwrap();
    assert!(starting.join().unwrap().unwrap().is_empty());
}

#[test]
fn a_start_is_placed_where_no_write_waits() {
    let world = world();
    world.set(GPU, ConfiguredType::SharedDirect).unwrap();
    let engine = impatient(&world);
    let hold = world.hold_steps_of(GPU);
    let creating = spawn({
        let engine = Arc::clone(&engine);
        move || create(&engine, Some(GPU), 50)
    });
    hold.until_reached();
    for number in [1, 2] {
        let starting = vm_with_request(&world, &engine, &format!("vm{number}"), number);
        in_time("a start", || engine.hook_prepare(&starting)).unwrap();
        assert_eq!(world.observed().vgpus[&mdev(number + 1000)].gpu, at(OTHER));
    }
    hold.release();
    creating.join().unwrap().unwrap();
    assert_eq!(world.files().records.vgpus.len(), 3);
}

#[test]
fn a_change_that_fails_after_it_waited_is_taken_back_and_others_stand() {
    let world = world();
    let engine = impatient(&world);
    let before = world.picture().bindings;
    world.kernel.inject_once(On::Unbind { function: at(GPU) }, Fault::Errno(Errno::EIO));
    let (change, hold) = stalled(&world, &engine);
    create(&engine, Some(OTHER), 7).unwrap();
    hold.release();
    let Err(EngineError::Failed { now, .. }) = change.join().unwrap() else { panic!() };
    assert!(now.contains("as it was before"), "{now}");
    let files = world.files();
    assert!(files.intents.is_empty() && files.records.vgpus.contains_key(&mdev(7)));
    assert!(files.desired.has_vgpu(mdev(7)) && files.desired.gpu(at(GPU)).is_none());
    assert_eq!(world.picture().bindings, before);
}

#[test]
fn a_write_that_is_given_up_leaves_its_card_hands_off_and_no_other() {
    let world = world();
    let engine = impatient(&world);
    world.kernel.inject_once(On::Unbind { function: at(GPU) }, Fault::Block);
    let (change, hold) = stalled(&world, &engine);
    create(&engine, Some(OTHER), 7).unwrap();
    hold.release();
    let Err(EngineError::Failed { now, .. }) = change.join().unwrap() else { panic!() };
    assert!(now.contains("hands-off"), "{now}");
    assert_eq!(refused(engine.set_type(&switch(GPU, ConfiguredType::Shared))).code, RefusalCode::HandsOff);
    remove(&engine, 7).unwrap();
    assert_eq!(engine.take_given_up(), BTreeSet::from([at(GPU)]));
    world.kernel.release();
    engine.recover(DEADLINE).unwrap();
    assert!(world.files().intents.is_empty());
    engine.set_type(&switch(GPU, ConfiguredType::Direct)).unwrap();
}

#[test]
fn a_daemon_that_dies_with_two_changes_open_takes_both_back() {
    let world = world();
    let engine = impatient(&world);
    let before = world.picture();
    let files = world.files();
    let (change, hold) = stalled(&world, &engine);
    *world.dies_before.lock().unwrap() = Some(2);
    let died = catch_unwind(AssertUnwindSafe(|| engine.set_type(&switch(OTHER, ConfiguredType::Direct))));
    assert!(died.is_err());
    let shown: Vec<_> = engine.working().iter().map(|working| working.gpu).collect();
    assert_eq!(shown, [at(GPU)], "who panicked works no more");
    *world.dies_before.lock().unwrap() = None;
    *world.before_step.lock().unwrap() = Some((0, Box::new(|| std::panic::panic_any("and here"))));
    hold.release();
    assert!(change.join().is_err());
    // Two panics may leave the locks of this test's world poisoned, as no death of a process does.
    world.before_step.clear_poison();
    let open: BTreeSet<_> = world.files().intents.iter().map(|plan| plan.gpu).collect();
    assert_eq!(open, BTreeSet::from([at(GPU), at(OTHER)]));
    *world.before_step.lock().unwrap() = None;
    let next = world.engine();
    assert!(next.recover(DEADLINE).unwrap().outcome.is_changed());
    assert!(world.files().intents.is_empty());
    assert_eq!((world.picture(), world.files().desired), (before, files.desired));
    next.set_type(&switch(GPU, ConfiguredType::Direct)).unwrap();
}
