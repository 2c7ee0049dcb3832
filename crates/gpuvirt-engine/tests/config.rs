//! A whole document made so: everything checked first, then GPU by GPU.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use gpuvirt_engine::{ConfigReport, ConfigRequest, CreateRequest, EngineError, Strangers, Until, Wish};
use gpuvirt_fakekernel::{Errno, On, Process};
use gpuvirt_host::Sysfs;
use gpuvirt_model::{
    AssignmentPolicy, Configuration, ConfiguredType, Desired, DesiredVgpu, GpuSettings, GraphicsType,
    HostSettings, ProfileName, RefusalCode, VgpuId, When,
};
use gpuvirt_plan::config::Unnamed;
use uuid::Uuid;
use world::{GPU, OTHER, World, at};

/// A document of these GPUs, with what the host's own display needs to be accepted.
fn document(gpus: &[(&str, ConfiguredType)]) -> Configuration {
    let settings = |(address, kind): &(&str, ConfiguredType)| GpuSettings {
        accepted: Some(vec![RefusalCode::BootDisplay, RefusalCode::ConsoleActive]),
        ..GpuSettings::at(at(address), *kind)
    };
    Configuration { gpus: gpus.iter().map(settings).collect(), ..Configuration::default() }
}

fn request(config: Configuration) -> ConfigRequest {
    ConfigRequest {
        config,
        unnamed: Unnamed::Kept,
        until: Until::Done,
        yes: false,
        strangers: Strangers::Left,
        deadline: Duration::from_secs(1),
    }
}

fn apply(world: &World, config: Configuration) -> Result<ConfigReport, EngineError> {
    world.engine().apply_config(&request(config))
}

/// Which GPUs a report says are changed.
fn changed(report: &ConfigReport) -> Vec<bool> {
    report.gpus.iter().map(|gpu| gpu.result.as_ref().unwrap().outcome.is_changed()).collect()
}

fn active(world: &World, gpu: &str) -> GraphicsType {
    world.observed().gpus[&at(gpu)].active_type(None)
}

const BOTH: [(&str, ConfiguredType); 2] = [(GPU, ConfiguredType::Direct), (OTHER, ConfiguredType::Shared)];

#[test]
fn a_document_is_made_so_and_the_second_time_nothing_is_to_do() {
    let world = World::new();
    let report = apply(&world, document(&BOTH)).unwrap();
    assert_eq!(changed(&report), [true, true]);
    assert_eq!((active(&world, GPU), active(&world, OTHER)), (GraphicsType::Direct, GraphicsType::Shared));
    let (files, written) = (world.files(), world.kernel.writes().len());
    let report = apply(&world, document(&BOTH)).unwrap();
    assert_eq!(changed(&report), [false, false]);
    assert!(report.gpus.iter().all(|gpu| gpu.differences.is_empty()));
    assert_eq!((world.files(), world.kernel.writes().len()), (files, written));
    // What is exported is the same document, to this host.
    let exported = world.engine().export_config().unwrap();
    assert_eq!(changed(&apply(&world, exported).unwrap()), [false, false]);
}

#[test]
fn a_host_that_drifted_is_led_back() {
    let world = World::new();
    apply(&world, document(&BOTH)).unwrap();
    let world = world.rebooted(include_str!("../../../tests/hosts/two-gpus.umockdev"));
    let report = apply(&world, document(&BOTH)).unwrap();
    assert_eq!(changed(&report), [true, false]);
    assert_eq!(active(&world, GPU), GraphicsType::Direct);
}

#[test]
fn a_dry_run_shows_the_plans_and_a_diff_the_differences_and_neither_writes() {
    let world = World::new();
    let files = world.files();
    for (until, plans) in [(Until::Plans, true), (Until::Differences, false)] {
        let report =
            world.engine().apply_config(&ConfigRequest { until, ..request(document(&BOTH)) }).unwrap();
        let gpu = report.gpus[0].result.as_ref().unwrap();
        assert_eq!(gpu.plan.as_ref().is_some_and(|plan| !plan.is_empty()), plans);
        assert_eq!(report.gpus[0].differences[0].to_string(), "type: - -> direct");
    }
    assert_eq!(world.files(), files);
    assert!(world.kernel.writes().is_empty());
}

#[test]
fn any_refusal_of_any_gpu_stops_it_before_the_first_write() {
    let world = World::new();
    let files = world.files();
    world.kernel.start(Process::new(77, "Xorg").opens("/dev/dri/card0"));
    let both = [(GPU, ConfiguredType::Direct), (OTHER, ConfiguredType::Direct)];
    let Err(EngineError::Refused(refusals)) = apply(&world, document(&both)) else {
        panic!("it was not refused")
    };
    assert_eq!(refusals.iter().map(|refusal| refusal.code).collect::<Vec<_>>(), [RefusalCode::GpuInUse]);
    assert_eq!(world.files(), files);
    assert!(world.kernel.writes().is_empty());
}

#[test]
fn a_gpu_that_fails_stops_no_other() {
    let world = World::new();
    let before = world.picture();
    world.kernel.fail(On::Bind { driver: "vfio-pci".to_owned(), function: at(GPU) }, Errno::EINVAL);
    let both = [(GPU, ConfiguredType::Direct), (OTHER, ConfiguredType::Direct)];
    let report = apply(&world, document(&both)).unwrap();
    assert!(matches!(report.gpus[0].result, Err(EngineError::Failed { .. })));
    assert!(report.gpus[1].result.as_ref().unwrap().outcome.is_changed());
    assert_eq!(world.picture().bindings[&at(GPU)], before.bindings[&at(GPU)]);
    let desired = world.files().desired;
    assert_eq!(desired.gpus.iter().map(|gpu| gpu.address).collect::<Vec<_>>(), [at(OTHER)]);
}

#[test]
fn a_failed_store_leaves_documents_and_host_as_they_were() {
    let world = World::new();
    world.set(GPU, ConfiguredType::Shared).unwrap();
    let (files, before) = (world.files(), world.picture());
    world.files.lock().unwrap().commit_fails = true;
    let report = apply(&world, document(&[(GPU, ConfiguredType::Direct)])).unwrap();
    assert!(report.gpus[0].result.is_err());
    world.files.lock().unwrap().commit_fails = false;
    assert_eq!((world.files(), world.picture()), (files, before));
}

#[test]
fn who_is_not_named_is_kept_unless_that_is_asked_for() {
    let world = World::new();
    apply(&world, document(&BOTH)).unwrap();
    let one = document(&[(OTHER, ConfiguredType::Shared)]);
    assert_eq!(apply(&world, one.clone()).unwrap().gpus.len(), 1);
    assert_eq!(world.files().desired.gpus.len(), 2);
    let prune = ConfigRequest { unnamed: Unnamed::Forgotten, ..request(one) };
    let report = world.engine().apply_config(&prune).unwrap();
    assert_eq!(changed(&report), [true, false]);
    assert_eq!(world.files().desired.gpus.len(), 1);
    assert_eq!(active(&world, GPU), GraphicsType::Direct, "the host stays as it is");
}

#[test]
fn what_is_to_come_later_is_stored_and_pending() {
    let world = World::new();
    let mut config = document(&[(GPU, ConfiguredType::Direct)]);
    config.gpus[0].when = Some(When::Boot);
    let report = apply(&world, config.clone()).unwrap();
    let gpu = report.gpus[0].result.as_ref().unwrap();
    assert_eq!(gpu.pending.as_deref(), Some("it comes into force at the next boot"));
    assert!(world.kernel.writes().is_empty());
    assert_eq!(changed(&apply(&world, config).unwrap()), [false]);
    let world = world.rebooted(include_str!("../../../tests/hosts/two-gpus.umockdev"));
    world.engine().restore(at(GPU), Duration::from_secs(1)).unwrap();
    assert_eq!(active(&world, GPU), GraphicsType::Direct);
}

#[test]
fn the_hosts_defaults_and_a_gpus_settings_are_stored() {
    let world = World::new();
    let mut config = document(&[(GPU, ConfiguredType::Shared)]);
    config.host.assignment_policy = Some(AssignmentPolicy::Consolidation);
    config.gpus[0].label = Some(Some("desk".to_owned()));
    config.gpus[0].vf_count = Some(Some(4));
    let report = apply(&world, config).unwrap();
    assert_eq!(report.host[0].to_string(), "assignmentPolicy: performance -> consolidation");
    let desired = world.files().desired;
    assert_eq!(desired.host.assignment_policy, AssignmentPolicy::Consolidation);
    assert_eq!((desired.gpus[0].label.as_deref(), desired.gpus[0].vf_count), (Some("desk"), Some(4)));
}

#[test]
fn vgpus_come_and_go_with_the_document() {
    let world = World::offering_vgpus(OTHER);
    let mut config = document(&[(OTHER, ConfiguredType::SharedDirect)]);
    let vgpu = |n: u128, profile: &str| DesiredVgpu {
        id: Uuid::from_u128(n).into(),
        profile: ProfileName(profile.to_owned()),
        params: gpuvirt_model::VgpuParams::default(),
    };
    let alive = |world: &World| world.observed().vgpus.keys().copied().collect::<Vec<_>>();
    config.gpus[0].vgpus = Some(vec![vgpu(1, "lab-1q"), vgpu(2, "lab-1q")]);
    assert_eq!(changed(&apply(&world, config.clone()).unwrap()), [true]);
    assert_eq!(alive(&world).len(), 2);
    assert_eq!(changed(&apply(&world, config.clone()).unwrap()), [false]);

    config.gpus[0].vgpus = Some(vec![vgpu(2, "lab-1q"), vgpu(3, "lab-4q")]);
    assert_eq!(changed(&apply(&world, config.clone()).unwrap()), [true]);
    assert_eq!(alive(&world), [2, 3].map(|n| VgpuId::Mdev(Uuid::from_u128(n))));

    // Not named, they stay; what can't be is refused, with nothing changed.
    config.gpus[0].vgpus = None;
    assert_eq!(changed(&apply(&world, config.clone()).unwrap()), [false]);
    config.gpus[0].vgpus = Some(vec![vgpu(4, "lab-9q")]);
    assert!(matches!(apply(&world, config.clone()), Err(EngineError::Refused(_))));
    assert_eq!(alive(&world).len(), 2);
    config.gpus[0].vgpus = Some(Vec::new());
    apply(&world, config.clone()).unwrap();
    assert!(alive(&world).is_empty());
    assert!(world.files().desired.gpus[0].vgpus.is_empty());

    // The last one goes, and the card with it is the host's again: one document.
    config.gpus[0].vgpus = Some(vec![vgpu(5, "lab-1q")]);
    apply(&world, config.clone()).unwrap();
    config.gpus[0] = GpuSettings {
        vgpus: Some(Vec::new()),
        ..document(&[(OTHER, ConfiguredType::Shared)]).gpus.remove(0)
    };
    apply(&world, config).unwrap();
    assert!(alive(&world).is_empty());
    assert_eq!(world.files().desired.gpus[0].graphics_type, ConfiguredType::Shared);
}

#[test]
fn vgpus_that_somebody_took_are_made_again_by_what_the_doctor_says() {
    let world = World::offering_vgpus(OTHER);
    let mut config = document(&[(OTHER, ConfiguredType::SharedDirect)]);
    let id = Uuid::from_u128(1);
    config.gpus[0].vgpus = Some(vec![DesiredVgpu {
        id: id.into(),
        profile: ProfileName("lab-1q".to_owned()),
        params: gpuvirt_model::VgpuParams::default(),
    }]);
    apply(&world, config).unwrap();
    let (files, picture) = (world.files(), world.picture());
    let take = || {
        world.kernel.write(&format!("/sys/bus/mdev/devices/{id}/remove"), b"1").unwrap();
        assert!(world.observed().vgpus.is_empty());
    };

    // The whole document, as it is stored.
    take();
    let report = apply(&world, world.engine().export_config().unwrap()).unwrap();
    assert_eq!(changed(&report), [true]);
    assert_eq!((world.files(), world.picture()), (files.clone(), picture.clone()));

    // The one vGPU, by its name.
    take();
    let wishes = vec![Wish::new(id.into(), ProfileName("lab-1q".to_owned()))];
    let request = CreateRequest { gpu: Some(at(OTHER)), wishes, dry_run: false };
    assert!(world.engine().create_vgpus(&request).unwrap().outcome.is_changed());
    assert_eq!((world.files(), world.picture()), (files, picture));
}

#[test]
fn a_new_default_type_lists_those_who_follow_it_and_wants_yes() {
    let world = World::new();
    apply(&world, document(&[(OTHER, ConfiguredType::Default)])).unwrap();
    let files = world.files();
    let codes = |gpus: &[(&str, ConfiguredType)], until: Until, yes: bool| {
        let mut config = document(gpus);
        config.host.default_type = Some(ConfiguredType::SharedDirect);
        match world.engine().apply_config(&ConfigRequest { until, yes, ..request(config) }) {
            Err(EngineError::Refused(refusals)) => refusals,
            other => panic!("{other:?}"),
        }
    };
    let affects = |refusals: &[gpuvirt_model::Refusal]| {
        refusals.iter().find(|r| r.code == RefusalCode::AffectsOthers).map(|r| r.because.clone())
    };
    // Check mode says the same as the real thing.
    for until in [Until::Plans, Until::Done] {
        let because = affects(&codes(&[], until, false)).unwrap();
        assert!(because.contains(OTHER), "{because}");
        assert!(affects(&codes(&[(OTHER, ConfiguredType::Default)], until, false)).is_some());
    }
    // With yes what is left is whatever else is in the way: this card makes no vGPUs.
    assert_eq!(affects(&codes(&[(OTHER, ConfiguredType::Default)], Until::Done, true)), None);
    assert_eq!(world.files(), files);
    // One that the document gives a type of its own does not follow any more.
    let mut config = document(&[(OTHER, ConfiguredType::Shared)]);
    config.host.default_type = Some(ConfiguredType::SharedDirect);
    assert_eq!(changed(&apply(&world, config).unwrap()), [true]);
}

#[test]
fn vgpus_that_another_tool_made_are_taken_over_where_that_is_asked_for() {
    let world = World::offering_vgpus(OTHER);
    let stranger = Uuid::from_u128(7);
    let create = format!("/sys/bus/pci/devices/{OTHER}/mdev_supported_types/lab-1q/create");
    world.kernel.write(&create, stranger.to_string().as_bytes()).unwrap();
    let wanted = |profile: &str| {
        let mut config = document(&[(OTHER, ConfiguredType::SharedDirect)]);
        let (id, profile) = (stranger.into(), ProfileName(profile.to_owned()));
        config.gpus[0].vgpus =
            Some(vec![DesiredVgpu { id, profile, params: gpuvirt_model::VgpuParams::default() }]);
        config
    };
    let adopting = |profile| ConfigRequest { strangers: Strangers::Adopted, ..request(wanted(profile)) };
    let refused = |request: &ConfigRequest| match world.engine().apply_config(request) {
        Err(EngineError::Refused(refusals)) => {
            refusals.iter().map(|refusal| refusal.code).collect::<Vec<_>>()
        }
        other => panic!("it was not refused: {other:?}"),
    };
    let files = world.files();
    assert_eq!(refused(&request(wanted("lab-1q"))), [RefusalCode::UuidInUse]);
    assert_eq!(refused(&adopting("lab-4q")), [RefusalCode::UuidInUse], "another profile is another vGPU");
    let plans = ConfigRequest { until: Until::Plans, ..adopting("lab-1q") };
    world.engine().apply_config(&plans).unwrap();
    assert_eq!(world.files(), files);

    world.kernel.forget_writes();
    assert_eq!(changed(&world.engine().apply_config(&adopting("lab-1q")).unwrap()), [true]);
    assert!(world.kernel.writes().is_empty(), "only our files say that it is ours");
    assert!(world.files().desired.has_vgpu(stranger.into()));
    assert_eq!(changed(&world.engine().apply_config(&adopting("lab-1q")).unwrap()), [false]);
    // Ours now: it comes back after a reboot, and can be removed.
    world.remove_vgpu(stranger).unwrap();
    assert!(world.observed().vgpus.is_empty());
}

#[test]
fn a_card_that_another_tool_gave_to_vfio_goes_to_the_hosts_driver_when_that_is_asked_for() {
    let world = World::new();
    let functions: Vec<String> = [GPU, "0000:01:00.1"].map(|f| format!("/sys/bus/pci/devices/{f}")).into();
    world.kernel.load_module("vfio-pci").unwrap();
    for function in &functions {
        let name = function.rsplit('/').next().unwrap();
        world.kernel.write(&format!("{function}/driver_override"), b"vfio-pci\n").unwrap();
        world.kernel.write(&format!("{function}/driver/unbind"), name.as_bytes()).unwrap();
        world.kernel.write("/sys/bus/pci/drivers_probe", name.as_bytes()).unwrap();
    }
    assert_eq!(active(&world, GPU), GraphicsType::Direct);
    world.kernel.forget_writes();
    assert_eq!(changed(&apply(&world, document(&[(GPU, ConfiguredType::Direct)])).unwrap()), [true]);
    assert!(world.kernel.writes().is_empty());
    apply(&world, document(&[(GPU, ConfiguredType::Shared)])).unwrap();
    assert_eq!(active(&world, GPU), GraphicsType::Shared);
}

/// What a daemon that dies in the midst of a document leaves is, function by function, as before or as asked, and the same
/// document leads the rest of the way.
#[test]
fn killed_anywhere_in_a_document_the_next_daemon_and_the_same_document_end_where_it_led() {
    let config = || {
        let host = HostSettings {
            assignment_policy: Some(AssignmentPolicy::Consolidation),
            ..HostSettings::default()
        };
        let both = [(GPU, ConfiguredType::Direct), (OTHER, ConfiguredType::Direct)];
        Configuration { host, ..document(&both) }
    };
    let done = World::new();
    apply(&done, config()).unwrap();
    let asked = (done.picture(), done.files().desired.gpus, done.files().desired.host);
    let mut deaths = [0, 0];
    for (point, storing) in (0..32).flat_map(|point| [(point, 0), (point, 1)]) {
        let world = World::new();
        let before = world.picture();
        let dies = if storing == 1 { &world.dies_before_storing } else { &world.dies_before };
        *dies.lock().unwrap() = Some(point);
        let died = catch_unwind(AssertUnwindSafe(|| drop(apply(&world, config())))).is_err();
        *dies.lock().unwrap() = None;
        if !died {
            continue;
        }
        deaths[storing] += 1;
        let told = format!("dead before {} {point}", ["step", "storing"][storing]);
        world.engine().recover(Duration::from_secs(1)).unwrap();
        let now = world.picture();
        for (function, binding) in &now.bindings {
            let known = [&before.bindings[function], &asked.0.bindings[function]];
            assert!(known.contains(&binding), "{told}: {function} is {binding:?}");
        }
        assert!(world.files().intents.is_empty(), "{told}");
        apply(&world, config()).unwrap();
        let Desired { gpus, host, .. } = world.files().desired;
        assert_eq!((world.picture(), gpus, host), asked, "{told}");
    }
    assert!(deaths.iter().all(|deaths| *deaths > 3), "{deaths:?}: the test tests nothing");
}
