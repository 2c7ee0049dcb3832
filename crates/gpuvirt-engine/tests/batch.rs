//! Many vGPUs in one change: all of them or none, whatever goes wrong on the way.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use gpuvirt_engine::ports::WaitingWrite;
use gpuvirt_engine::{CreateRequest, EngineError, Removal, Report, Wish};
use gpuvirt_fakekernel::{Errno, Fault, On, Process};
use gpuvirt_host::Sysfs as _;
use gpuvirt_model::{ConfiguredType, ProfileName, RefusalCode, VgpuId};
use uuid::Uuid;
use world::{GPU, OTHER, PLAIN, TYPED, World, at, vgpu};

type Act = fn(&World) -> Result<Report, EngineError>;

/// How many are made at once.
const MANY: u128 = 64;

fn id(number: u128) -> VgpuId {
    Uuid::from_u128(number).into()
}

/// A GPU with room for twice as many.
fn roomy() -> World {
    let world = World::new();
    vgpu::offer(&world, OTHER, 128 * 1024);
    world.set(OTHER, ConfiguredType::SharedDirect).unwrap();
    world
}

fn wishes(profile: &str, ids: impl IntoIterator<Item = u128>) -> Vec<Wish> {
    ids.into_iter().map(|number| Wish::new(id(number), ProfileName(profile.to_owned()))).collect()
}

fn create(world: &World, gpu: &str, wishes: Vec<Wish>) -> Result<Report, EngineError> {
    world.engine().create_vgpus(&CreateRequest { gpu: Some(at(gpu)), wishes, dry_run: false })
}

fn create_many(world: &World) -> Result<Report, EngineError> {
    create(world, OTHER, wishes("lab-1q", 1..=MANY))
}

fn remove_many(world: &World) -> Result<Report, EngineError> {
    world.remove_vgpus(Removal::These((1..=MANY).map(id).collect()))
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

fn by_hand(world: &World, number: u128, type_id: &str) {
    let path = format!("/sys/bus/pci/devices/{OTHER}/mdev_supported_types/{type_id}/create");
    world.kernel.write(&path, Uuid::from_u128(number).to_string().as_bytes()).unwrap();
}

fn entries(world: &World, gpu: &str) -> usize {
    world.files().desired.gpu(at(gpu)).map_or(0, |entry| entry.vgpus.len())
}

#[test]
fn many_are_made_and_removed_in_one_change_each() {
    let world = roomy();
    let before = world.picture();
    let generation = world.files().desired.generation;
    let report = create_many(&world).unwrap();
    assert_eq!(report.vgpus.len(), 64);
    assert_eq!(report.outcome.value(), "64 vGPUs of profile lab-1q on 0000:02:00.0 were created");
    assert_eq!(world.observed().vgpus.len(), 64);
    assert_eq!((world.files().records.vgpus.len(), entries(&world, OTHER)), (64, 64));
    assert_eq!(world.files().desired.generation, generation + 1);

    let files = world.files();
    assert!(!create_many(&world).unwrap().outcome.is_changed());
    assert_eq!(world.files(), files);
    // Those that are there are left out, the others made.
    let more = create(&world, OTHER, wishes("lab-1q", 60..70)).unwrap();
    assert_eq!(more.plan.unwrap().steps.len(), 5);

    let report = world.remove_vgpus(Removal::AllOf(at(OTHER))).unwrap();
    assert_eq!(report.vgpus.len(), 69);
    assert_eq!(world.picture(), before);
    assert_eq!((world.files().records.vgpus.len(), entries(&world, OTHER)), (0, 0));
    assert!(!world.remove_vgpus(Removal::AllOf(at(OTHER))).unwrap().outcome.is_changed());
}

#[test]
fn all_that_is_in_the_way_is_said_at_once_and_nothing_is_made() {
    let world = roomy();
    by_hand(&world, 3, "lab-4q");
    let mut wanted = wishes("lab-1q", 1..=200);
    wanted.extend(wishes("nope", 300..303));
    wanted.extend(wishes("lab-4q", [1]));
    let before = world.picture();
    let codes = refused(create(&world, OTHER, wanted.clone()));
    let want = [
        RefusalCode::UuidInUse,
        RefusalCode::UuidInUse,
        RefusalCode::NoCapacity,
        RefusalCode::ProfileNotOffered,
    ];
    assert_eq!(codes, want);
    let Err(EngineError::Refused(refusals)) = create(&world, OTHER, wanted) else { panic!() };
    assert!(refusals[2].because.starts_with("it has room for 124 of them"), "{:?}", refusals[2]);
    assert_eq!(world.picture(), before);
}

#[test]
fn room_that_others_take_meanwhile_undoes_what_was_made_and_nothing_of_theirs() {
    // The plan is made with the card empty; then another takes most of it.
    let world = roomy();
    let taking = world.clone();
    *world.before_step.lock().unwrap() = Some((
        20,
        Box::new(move || {
            for number in 1000..1027 {
                by_hand(&taking, number, "lab-4q");
            }
        }),
    ));
    let (what, now) = failed(create_many(&world));
    assert!(what.contains("available_instances is 0"), "{what}");
    assert_eq!(now, "everything is as it was before");
    let left: Vec<VgpuId> = world.observed().vgpus.into_keys().collect();
    assert_eq!(left, (1000..1027).map(id).collect::<Vec<_>>());
    assert!(world.files().records.vgpus.is_empty() && entries(&world, OTHER) == 0);
}

#[test]
fn a_virtual_function_that_others_take_before_its_turn_stays_theirs() {
    let world = World::typed();
    let taking = world.clone();
    let theirs = "0000:26:00.7";
    *world.before_step.lock().unwrap() = Some((
        1,
        Box::new(move || {
            let file = |vf: &str| format!("/sys/bus/pci/devices/{vf}/nvidia/current_vgpu_type");
            taking.kernel.write(&file(theirs), b"1145").unwrap();
            taking.kernel.inject_once(On::VgpuType { vf: at("0000:26:00.6") }, Fault::Errno(Errno::EIO));
        }),
    ));
    let (_, now) = failed(create(&world, TYPED, wishes("nvidia_l40s-1b", 1..=4)));
    assert_eq!(now, "everything is as it was before");
    let left: Vec<VgpuId> = world.observed().vgpus.into_keys().collect();
    assert_eq!(left, [VgpuId::Vf(at(theirs))]);
}

#[test]
fn every_errno_at_every_step_leaves_nothing_behind() {
    for errno in [Errno::EIO, Errno::ENOSPC, Errno::EPERM, Errno::ENODEV, Errno::EINVAL] {
        for nth in [1, 2, 31, 63, 64] {
            for fault in [Fault::Errno(errno), Fault::Silent] {
                let world = roomy();
                let (host, files) = (world.picture(), world.files());
                world.kernel.inject_once(On::NthWrite { nth }, fault);
                let (what, now) = failed(create_many(&world));
                assert_eq!(now, "everything is as it was before");
                assert_eq!((world.picture(), world.files()), (host, files), "{nth} {fault:?}");
                let told =
                    fault != Fault::Errno(errno) || what.contains(&format!("os error {}", errno as i32));
                assert!(told && what.contains("create"), "{nth} {fault:?}: {what}");
            }
        }
    }
}

/// Each half by itself: a world of so many vGPUs takes a while to be made.
const HALVES: [std::ops::Range<usize>; 2] = [0..32, 32..64];

#[test]
fn a_daemon_that_dies_in_the_first_half_of_a_creation_is_taken_back_by_the_next_one() {
    dies_before(&HALVES[0], ("create", create_many), roomy);
}

#[test]
fn a_daemon_that_dies_in_the_second_half_of_a_creation_is_taken_back_by_the_next_one() {
    dies_before(&HALVES[1], ("create", create_many), roomy);
}

#[test]
fn a_daemon_that_dies_in_the_first_half_of_a_removal_is_taken_back_by_the_next_one() {
    dies_before(&HALVES[0], ("remove", remove_many), full);
}

#[test]
fn a_daemon_that_dies_in_the_second_half_of_a_removal_is_taken_back_by_the_next_one() {
    dies_before(&HALVES[1], ("remove", remove_many), full);
}

fn full() -> World {
    let world = roomy();
    create_many(&world).unwrap();
    world
}

fn dies_before(steps: &std::ops::Range<usize>, (name, act): (&str, Act), begun: fn() -> World) {
    for step in steps.clone() {
        let world = begun();
        // Made meanwhile by others, one of them by nobody knows whom.
        by_hand(&world, 500, "lab-1q");
        let (host, files) = (world.picture(), world.files());
        *world.dies_before.lock().unwrap() = Some(step);
        assert!(catch_unwind(AssertUnwindSafe(|| act(&world))).is_err(), "{name} {step}");
        *world.dies_before.lock().unwrap() = None;
        by_hand(&world, 501, "lab-4q");
        world.engine().recover(Duration::from_secs(1)).unwrap();
        let theirs = format!("/sys/bus/mdev/devices/{}/remove", Uuid::from_u128(501));
        world.kernel.write(&theirs, b"1").unwrap();
        assert_eq!((world.picture(), world.files()), (host, files), "{name}, dead before step {step}");
    }
}

#[test]
fn a_half_done_batch_is_taken_back_though_one_was_replaced_by_anothers() {
    let world = roomy();
    *world.dies_before.lock().unwrap() = Some(20);
    assert!(catch_unwind(AssertUnwindSafe(|| create_many(&world))).is_err());
    *world.dies_before.lock().unwrap() = None;
    // The same uuid, and a type that we did not ask for: not what the plan made.
    world.kernel.write(&format!("/sys/bus/mdev/devices/{}/remove", Uuid::from_u128(7)), b"1").unwrap();
    by_hand(&world, 7, "lab-4q");
    world.engine().recover(Duration::from_secs(1)).unwrap();
    assert!(world.files().intents.is_empty());
    let left: Vec<VgpuId> = world.observed().vgpus.into_keys().collect();
    assert_eq!(left, [id(7)], "everything of ours is gone, and theirs is not");
}

#[test]
fn a_removal_that_hangs_half_way_leaves_the_rest_alone_until_it_ends() {
    let world = roomy();
    create_many(&world).unwrap();
    let before = world.picture();
    world.kernel.inject_once(On::RemoveMdev { uuid: Uuid::from_u128(10) }, Fault::Block);
    let (what, now) = failed(remove_many(&world));
    assert!(what.contains("still waits") && now.contains("hands-off"), "{what}; {now}");
    assert_eq!(refused(remove_many(&world))[0], RefusalCode::HandsOff);
    world.kernel.release();
    world.engine().recover(Duration::from_secs(1)).unwrap();
    assert_eq!(world.picture(), before);
}

#[test]
fn one_that_cannot_be_removed_keeps_all() {
    let world = roomy();
    create_many(&world).unwrap();
    by_hand(&world, 500, "lab-1q");
    let group = world.observed().vgpus[&id(5)].iommu_group.unwrap();
    world.kernel.start(Process::new(99, "qemu-system-x86").opens(&format!("/dev/vfio/{group}")));
    let before = world.picture();
    let all = [1, 5, 500, 900].map(id).to_vec();
    let mut codes = refused(world.remove_vgpus(Removal::These(all)));
    codes.sort_unstable();
    assert_eq!(codes, [RefusalCode::VgpuNotFound, RefusalCode::VgpuInUse, RefusalCode::NotOurs]);
    assert_eq!(refused(world.remove_vgpus(Removal::AllOf(at(OTHER)))), [RefusalCode::VgpuInUse]);
    // What is in the way of any change of the card hides nothing of that.
    let write = WaitingWrite { writer: 4711, function: Some(at(OTHER)), vgpu: None };
    *world.waiting.lock().unwrap() = vec![write];
    let locked = refused(world.remove_vgpus(Removal::These([1, 5, 500, 900].map(id).to_vec())));
    assert_eq!(locked.len(), 4, "{locked:?}");
    assert!(codes.iter().chain([&RefusalCode::DeviceLocked]).all(|code| locked.contains(code)), "{locked:?}");
    world.waiting.lock().unwrap().clear();
    assert_eq!(world.picture(), before);
    world.kernel.end(99);
    world.remove_vgpus(Removal::AllOf(at(OTHER))).unwrap();
    assert_eq!(world.observed().vgpus.into_keys().collect::<Vec<_>>(), [id(500)], "not ours, so still there");
}

#[test]
fn one_change_is_about_one_gpu() {
    let world = roomy();
    vgpu::offer(&world, GPU, 8192);
    world.set(GPU, ConfiguredType::SharedDirect).unwrap();
    create(&world, OTHER, wishes("lab-1q", [1])).unwrap();
    create(&world, GPU, wishes("lab-1q", [2])).unwrap();
    let both = Removal::These(vec![id(1), id(2)]);
    let Err(EngineError::Refused(refusals)) = world.remove_vgpus(both) else { panic!() };
    assert_eq!(refusals[0].code, RefusalCode::SeveralGpus);
    assert_eq!(refusals[0].remedy[0], format!("gpuvirt vgpu remove {}", id(2)));
}

#[test]
fn plain_and_typed_virtual_functions_are_made_and_removed_together() {
    let plain = World::plain();
    plain.set(PLAIN, ConfiguredType::SharedDirect).unwrap();
    for (world, gpu, profile, count) in
        [(plain, PLAIN, "vf", 7), (World::typed(), TYPED, "nvidia_l40s-12q", 4)]
    {
        let before = world.picture();
        let too_many = create(&world, gpu, wishes(profile, 1..=count + 1));
        assert_eq!(refused(too_many), [RefusalCode::NoCapacity], "{gpu}");
        let report = create(&world, gpu, wishes(profile, 1..=count)).unwrap();
        assert_eq!(report.vgpus.len(), usize::try_from(count).unwrap());
        assert!(report.vgpus.iter().all(|id| id.vf().is_some()));
        assert_eq!(entries(&world, gpu), report.vgpus.len());
        world.remove_vgpus(Removal::These(report.vgpus)).unwrap();
        assert_eq!(world.picture(), before);
        assert_eq!(entries(&world, gpu), 0);
    }
}

#[test]
fn a_certain_virtual_function_is_had_or_refused() {
    let world = World::typed();
    let profile = ProfileName("nvidia_l40s-12q".to_owned());
    let on = |vf: &str| Wish::new(VgpuId::Vf(at(vf)), profile.clone());
    let any = Wish::new(id(1), profile.clone());
    let report = create(&world, TYPED, vec![any, on("0000:26:00.4")]).unwrap();
    assert_eq!(report.vgpus, ["0000:26:00.5", "0000:26:00.4"].map(|vf| VgpuId::Vf(at(vf))));
    // The same again is done; a virtual function of nobody's is refused.
    assert!(!create(&world, TYPED, vec![on("0000:26:00.4")]).unwrap().outcome.is_changed());
    assert_eq!(refused(create(&world, TYPED, vec![on("0000:01:00.0")])), [RefusalCode::NoCapacity]);
}

#[test]
fn what_is_made_for_a_domain_is_recorded_and_not_desired() {
    let world = roomy();
    let domain = Some(Uuid::from_u128(77));
    let mut wanted = wishes("lab-1q", [1, 2]);
    wanted[0].domain = domain;
    create(&world, OTHER, wanted).unwrap();
    let files = world.files();
    assert_eq!(files.records.vgpus[&id(1)].domain, domain);
    assert_eq!(files.desired.gpu(at(OTHER)).unwrap().vgpus.iter().map(|v| v.id).collect::<Vec<_>>(), [id(2)]);
    world.remove_vgpu(Uuid::from_u128(1)).unwrap();
    assert_eq!(entries(&world, OTHER), 1);
}

#[test]
fn one_that_is_gone_leaves_the_desired_document_too() {
    let world = roomy();
    create(&world, OTHER, wishes("lab-1q", 1..=3)).unwrap();
    for number in [1, 2] {
        let remove = format!("/sys/bus/mdev/devices/{}/remove", Uuid::from_u128(number));
        world.kernel.write(&remove, b"1").unwrap();
    }
    let generation = world.files().desired.generation;
    let report = world.remove_vgpu(Uuid::from_u128(1)).unwrap();
    assert!(report.outcome.value().contains("is gone already"), "{report:?}");
    assert_eq!((entries(&world, OTHER), world.files().desired.generation), (2, generation + 1));
    // One that lives and one that is gone, in one change.
    world.remove_vgpus(Removal::These(vec![id(2), id(3)])).unwrap();
    assert_eq!((entries(&world, OTHER), world.files().records.vgpus.len()), (0, 0));
    assert_eq!(refused(world.remove_vgpu(Uuid::from_u128(3))), [RefusalCode::VgpuNotFound]);
}
