//! Types that come into force later: nothing is written before their time, and nothing twice.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

mod world;

use std::collections::BTreeSet;
use std::time::Duration;

use gpuvirt_engine::{CreateRequest, EngineError, Report, Stirred, SwitchRequest};
use gpuvirt_fakekernel::Process;
use gpuvirt_model::{ConfiguredType, GraphicsType, Hostdev, ProfileName, RefusalCode, When};
use uuid::Uuid;
use world::domain::by_hand;
use world::{GPU, OTHER, TYPED, VF, World, at, switch};

const UUID: Uuid = Uuid::from_u128(5);

const TWO_GPUS: &str = include_str!("../../../tests/hosts/two-gpus.umockdev");

fn configure(world: &World, to: ConfiguredType, when: When) -> Result<Report, EngineError> {
    let request = SwitchRequest { when: Some(when), ..switch(GPU, to) };
    world.engine().configure(&request)
}

fn restore(world: &World) -> Report {
    world.engine().restore(at(GPU), Duration::from_secs(1)).unwrap()
}

fn active(world: &World) -> GraphicsType {
    world.observed().gpus[&at(GPU)].active_type(None)
}

fn due(world: &World, stirred: &Stirred) -> Vec<String> {
    world.engine().due(stirred).unwrap().iter().map(ToString::to_string).collect()
}

#[test]
fn idle_waits_for_a_holder_and_for_nothing_else() {
    let world = World::new();
    world.kernel.start(Process::new(77, "Xorg").opens("/dev/dri/card0"));
    let report = configure(&world, ConfiguredType::Direct, When::Idle).unwrap();
    assert!(report.pending.unwrap().contains("waits until nothing is in the way"));
    assert!(world.kernel.writes().is_empty(), "the host is as it was");
    assert_eq!(due(&world, &Stirred::default()), [GPU]);
    let again = configure(&world, ConfiguredType::Direct, When::Idle).unwrap();
    assert!(!again.outcome.is_changed() && again.pending.is_some());
    world.kernel.end(77);
    assert!(restore(&world).outcome.is_changed());
    assert_eq!(active(&world), GraphicsType::Direct);

    // With nothing in the way it is done at once, and what never passes is refused at once.
    let world = World::new();
    assert_eq!(configure(&world, ConfiguredType::Direct, When::Idle).unwrap().pending, None);
    assert_eq!(active(&world), GraphicsType::Direct);
}

/// Its end is told; whoever waits for a process has to look.
#[test]
fn a_vm_that_runs_with_a_card_is_known_to() {
    let world = World::new();
    let engine = world.engine();
    let audio = Hostdev::Pci { address: at("0000:01:00.1"), managed: false };
    let domain = by_hand("games", 1, vec![audio]);
    assert!(!engine.is_with_a_vm(at(GPU)));
    engine.hook_runs(&domain);
    assert!(engine.is_with_a_vm(at(GPU)) && !engine.is_with_a_vm(at(OTHER)));
    engine.hook_release(domain.uuid);
    assert!(!engine.is_with_a_vm(at(GPU)));
    // With a part of it.
    let world = World::typed();
    let engine = world.engine();
    engine.hook_runs(&by_hand("web", 2, vec![Hostdev::Pci { address: at(VF), managed: false }]));
    assert!(engine.is_with_a_vm(at(TYPED)));
    let world = World::offering_vgpus(GPU);
    world.set(GPU, ConfiguredType::SharedDirect).unwrap();
    let engine = world.engine();
    engine.create_vgpus(&CreateRequest::one(at(GPU), ProfileName("lab-1q".to_owned()), UUID)).unwrap();
    engine.hook_runs(&by_hand("web", 3, vec![Hostdev::Mdev { uuid: UUID }]));
    assert!(engine.is_with_a_vm(at(GPU)));
}

#[test]
fn boot_waits_for_the_next_one_and_for_no_restart_of_ours() {
    let world = World::new();
    let report = configure(&world, ConfiguredType::Direct, When::Boot).unwrap();
    assert_eq!(report.pending.as_deref(), Some("it comes into force at the next boot"));
    assert!(!restore(&world).outcome.is_changed());
    assert!(world.kernel.writes().is_empty(), "the host is as it was");
    assert_eq!(due(&world, &Stirred::default()), Vec::<String>::new());
    let world = world.rebooted(TWO_GPUS);
    assert!(restore(&world).outcome.is_changed());
    assert_eq!(active(&world), GraphicsType::Direct);
}

#[test]
fn a_card_for_whichever_vm_starts_is_the_hosts_and_nothing_is_pending() {
    let world = World::new();
    let report = configure(&world, ConfiguredType::Direct, When::Vm).unwrap();
    assert_eq!((report.outcome.is_changed(), report.pending), (true, None));
    assert!(world.kernel.writes().is_empty());
    let Err(EngineError::Refused(refusals)) = configure(&world, ConfiguredType::SharedDirect, When::Vm)
    else {
        panic!("vGPUs don't change hands as a whole")
    };
    assert_eq!(refusals[0].code, RefusalCode::NotPassthrough);
}

/// Nobody loaded its driver: a VM gets it all the same.
#[test]
fn a_card_without_a_driver_waits_for_its_vm_too() {
    let driverless = |block: &str| {
        let of_card = block.lines().next().is_some_and(|path| path.ends_with(GPU));
        let bound = |line: &str| line.starts_with("L: driver=") || line.starts_with("E: DRIVER=");
        let lines = block.lines().filter(|line| !of_card || !bound(line));
        lines.collect::<Vec<_>>().join("\n")
    };
    let dump: Vec<String> = TWO_GPUS.split("\n\n").map(driverless).collect();
    let world = World::of(&dump.join("\n\n"));
    assert_eq!(active(&world), GraphicsType::Basic);
    assert_eq!(configure(&world, ConfiguredType::Direct, When::Vm).unwrap().pending, None);
}

#[test]
fn what_is_refused_for_ever_is_refused_for_later_too() {
    let world = World::new();
    let boot = world.observed().functions.values().find(|f| f.boot_vga == Some(true)).unwrap().address;
    for when in [When::Idle, When::Boot, When::Vm] {
        let request = SwitchRequest {
            when: Some(when),
            accept: Vec::new(),
            ..switch(&boot.to_string(), ConfiguredType::Direct)
        };
        let Err(EngineError::Refused(refusals)) = world.engine().configure(&request) else {
            panic!("{when}")
        };
        assert!(refusals.iter().any(|refusal| refusal.code == RefusalCode::BootDisplay), "{refusals:?}");
        assert_eq!(world.files().desired.generation, 0, "{when}");
    }
}

#[test]
fn a_card_that_comes_back_is_due_and_one_that_somebody_took_is_not() {
    let world = World::new();
    world.set(GPU, ConfiguredType::Direct).unwrap();
    world.set(OTHER, ConfiguredType::Shared).unwrap();
    let both = BTreeSet::from([at(GPU), at(OTHER)]);
    assert_eq!(due(&world, &Stirred { came: both.clone(), ..Stirred::default() }), [GPU, OTHER]);
    // A driver took both: the passthrough one was taken from us by somebody, who may know why.
    assert_eq!(due(&world, &Stirred { driven: both, ..Stirred::default() }), [OTHER]);
}

#[test]
fn where_events_were_lost_every_configured_card_is_looked_at() {
    let world = World::new();
    world.set(GPU, ConfiguredType::Direct).unwrap();
    assert_eq!(due(&world, &Stirred::default()), Vec::<String>::new());
    assert_eq!(due(&world, &Stirred { lost: true, ..Stirred::default() }), [GPU], "and nobody else's");
}

#[test]
fn asking_for_now_ends_the_waiting() {
    let world = World::new();
    configure(&world, ConfiguredType::Direct, When::Boot).unwrap();
    assert!(configure(&world, ConfiguredType::Direct, When::Now).unwrap().outcome.is_changed());
    assert_eq!(active(&world), GraphicsType::Direct);
    let entry = world.files().desired.gpus[0].clone();
    assert_eq!((entry.when, entry.asked_in), (When::Now, None));
}
