//! `power/control`: VFIO sets it to its own liking, and the host finds it as it had left it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

mod world;

use gpuvirt_engine::{EngineError, SwitchRequest};
use gpuvirt_fakekernel::{Fault, On};
use gpuvirt_host::Sysfs as _;
use gpuvirt_model::{ConfiguredType, PowerControl, WarningCode};
use gpuvirt_plan::{Step, explain};
use world::{GPU, TYPED, World, at, switch};

const AUDIO: &str = "0000:01:00.1";

fn power(world: &World, function: &str) -> String {
    world.picture().power[&at(function)].clone()
}

fn written(world: &World) -> Vec<(String, String)> {
    let mut writes = world.kernel.writes();
    writes.retain(|write| write.path.ends_with("power/control"));
    writes.into_iter().map(|write| (write.path, write.data)).collect()
}

fn file(function: &str) -> String {
    format!("/sys/bus/pci/devices/{function}/power/control")
}

#[test]
fn a_card_that_slept_sleeps_again_when_the_host_has_it_back() {
    let world = World::new();
    let before = world.picture();
    assert_eq!((power(&world, GPU), power(&world, AUDIO)), ("auto".to_owned(), "on".to_owned()));
    world.set(GPU, ConfiguredType::Direct).unwrap();
    let known = |function: &str| world.files().records.host_bindings[&at(function)].power_control;
    assert_eq!((known(GPU), known(AUDIO)), (Some(PowerControl::Auto), Some(PowerControl::On)));
    assert_eq!(written(&world), [], "VFIO sets it as it likes");

    let asked = SwitchRequest { dry_run: true, ..switch(GPU, ConfiguredType::Shared) };
    let plan = world.engine().set_type(&asked).unwrap().plan.unwrap();
    let told = explain::sentences(&plan);
    assert_eq!(
        told[told.len() - 2..],
        [format!("let {GPU} sleep while it is idle, as before"), format!("keep {AUDIO} awake, as before"),]
    );
    world.set(GPU, ConfiguredType::Shared).unwrap();
    assert_eq!(world.picture(), before);
    assert_eq!(written(&world), [(file(GPU), "auto".to_owned())], "the other is as it was already");

    // What the host sets while it has the card is the host's.
    world.kernel.write(&file(GPU), b"on").unwrap();
    let writes = world.kernel.writes().len();
    assert!(!world.set(GPU, ConfiguredType::Shared).unwrap().outcome.is_changed());
    assert_eq!(world.kernel.writes().len(), writes);
}

#[test]
fn a_change_that_is_taken_back_leaves_it_as_it_was() {
    let world = World::new();
    let before = world.picture();
    world.kernel.inject_once(On::Bind { driver: "vfio-pci".to_owned(), function: at(AUDIO) }, Fault::Silent);
    let Err(EngineError::Failed { now, .. }) = world.set(GPU, ConfiguredType::Direct) else { panic!() };
    assert_eq!((now.as_str(), world.picture()), ("everything is as it was before", before));

    // A card that an admin keeps awake for its VMs is kept so.
    let world = World::new();
    world.set(GPU, ConfiguredType::Direct).unwrap();
    world.kernel.write(&file(GPU), b"on").unwrap();
    let before = world.picture();
    world.kernel.inject_once(On::Bind { driver: "nouveau".to_owned(), function: at(GPU) }, Fault::Silent);
    let Err(EngineError::Failed { now, .. }) = world.set(GPU, ConfiguredType::Shared) else { panic!() };
    assert_eq!((now.as_str(), world.picture()), ("everything is as it was before", before));
}

#[test]
fn what_vfio_leaves_when_somebody_takes_the_card_from_it_is_not_the_hosts() {
    let world = World::new();
    let before = world.picture();
    let by_hand = |value: &str| {
        world.kernel.write(&format!("/sys/bus/pci/devices/{GPU}/driver_override"), b"\n").unwrap();
        world.kernel.write(&format!("/sys/bus/pci/devices/{GPU}/driver/unbind"), GPU.as_bytes()).unwrap();
        world.kernel.write("/sys/bus/pci/drivers_probe", GPU.as_bytes()).unwrap();
        assert_eq!(power(&world, GPU), "on", "VFIO leaves it so");
        world.kernel.write(&file(GPU), value.as_bytes()).unwrap();
    };
    world.set(GPU, ConfiguredType::Direct).unwrap();
    by_hand("on");
    assert!(world.set(GPU, ConfiguredType::Direct).unwrap().outcome.is_changed());
    world.set(GPU, ConfiguredType::Shared).unwrap();
    assert_eq!(world.picture(), before);

    // Given back by us, it is the host's to set.
    world.kernel.write(&file(GPU), b"on").unwrap();
    world.set(GPU, ConfiguredType::Direct).unwrap();
    world.set(GPU, ConfiguredType::Shared).unwrap();
    assert_eq!(power(&world, GPU), "on");
}

#[test]
fn what_a_driver_sets_when_it_takes_the_card_is_not_the_last_word() {
    let world = World::new();
    world.kernel.lets_sleep("snd_hda_intel");
    world.set(GPU, ConfiguredType::Direct).unwrap();
    world.set(GPU, ConfiguredType::Shared).unwrap();
    assert_eq!(power(&world, AUDIO), "on", "the admin had set it so");
    assert!(written(&world).contains(&(file(AUDIO), "on".to_owned())));
}

#[test]
fn where_it_is_not_known_nothing_is_written() {
    let dump = include_str!("../../../tests/hosts/two-gpus.umockdev");
    for other in ["A: power/control=sometimes\\n\n", ""] {
        let world = World::of(&dump.replace("A: power/control=on\\n\n", other));
        world.set(GPU, ConfiguredType::Direct).unwrap();
        let known = |function: &str| world.files().records.host_bindings[&at(function)].power_control;
        assert_eq!((known(GPU), known(AUDIO)), (None, None), "{other}");
        world.set(GPU, ConfiguredType::Shared).unwrap();
        assert_eq!(written(&world), [], "{other}");
    }
}

#[test]
fn a_card_that_is_managed_no_more_is_not_written_to() {
    let world = World::new();
    world.set(GPU, ConfiguredType::Direct).unwrap();
    world.kernel.forget_writes();
    world.engine().unset(at(GPU)).unwrap();
    world.engine().recover(std::time::Duration::from_secs(1)).unwrap();
    assert!(world.kernel.writes().is_empty(), "it stays with VFIO, as it is");
}

#[test]
fn what_somebody_sets_behind_us_is_told_and_undoes_nothing() {
    let world = World::vendor().lets_sleep(TYPED);
    world.set(TYPED, ConfiguredType::Direct).unwrap();
    let asked = SwitchRequest { dry_run: true, ..switch(TYPED, ConfiguredType::SharedDirect) };
    let steps = world.engine().set_type(&asked).unwrap().plan.unwrap().steps;
    let ours = steps.iter().position(|step| matches!(step, Step::SetPowerControl { .. })).unwrap();
    // A rule of udev's, behind our write.
    let kernel = world.kernel.clone();
    let rule = Box::new(move || drop(kernel.write(&file(TYPED), b"on")));
    *world.before_step.lock().unwrap() = Some((ours + 1, rule));
    let report = world.set(TYPED, ConfiguredType::SharedDirect).unwrap();
    assert!(report.plan.unwrap().steps.len() > ours + 1, "virtual functions come behind it");
    let told = report.warnings.iter().find(|warning| warning.code == WarningCode::PowerControlLost).unwrap();
    assert_eq!(told.text, format!("power/control of {TYPED} is on now; it was auto before"));
}
