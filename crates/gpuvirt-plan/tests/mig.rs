//! Plans about GPU instances, carried out on a value: the way back from wherever they stopped, and others beside them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a failed expectation is a failed test

mod picture;

use gpuvirt_model::{GpuInstance, GpuInstanceProfile, MigPlacement, MigState, Observed, ProgramPath};
use gpuvirt_plan::{Plan, Step, VfSetting, audit, mig, undo, verify};
use picture::{GPU, at, binding, host};
use proptest::prelude::*;

const SIZES: [(&str, u32, u32); 3] = [("1g.5gb", 19, 1), ("2g.10gb", 14, 2), ("3g.20gb", 9, 4)];

fn command() -> ProgramPath {
    ProgramPath::parse("/usr/bin/nvidia-smi").unwrap()
}

fn instance(id: u32, kind: usize, start: u32) -> GpuInstance {
    let (name, profile_id, size) = SIZES[kind];
    GpuInstance {
        id,
        profile: name.to_owned(),
        profile_id,
        placement: Some(MigPlacement { start, size }),
        compute_instances: Some(vec![0]),
    }
}

fn state(instances: Vec<GpuInstance>) -> MigState {
    let profile = |(name, id, size): (&str, u32, u32)| GpuInstanceProfile {
        name: name.to_owned(),
        id,
        slices: None,
        memory_mib: Some(u64::from(size) * 5120),
        free: 7,
        total: 7,
        placements: Vec::new(),
    };
    let profiles = SIZES.into_iter().map(profile).collect();
    MigState { supported: true, enabled: true, pending: None, profiles, instances }
}

fn on(state: &MigState) -> Observed {
    let mut observed = host(binding("nvidia", ""), binding("snd_hda_intel", ""));
    observed.mig.insert(at(GPU), state.clone());
    observed
}

/// What the driver does: the number and, where it may choose, the place are the lowest that are free.
fn perform(state: &mut MigState, step: &Step) {
    match step {
        Step::CreateGpuInstance { profile, start, .. } => {
            let kind = SIZES.iter().position(|(name, ..)| name == profile).unwrap();
            let fits = |start: u32| {
                let place = MigPlacement { start, size: SIZES[kind].2 };
                state.instances.iter().all(|one| !one.placement.unwrap().overlaps(place))
            };
            let start = start.or_else(|| (0..64).find(|start| fits(*start))).unwrap();
            assert!(fits(start), "{profile} does not fit at {start}");
            let id = (1..).find(|id| state.instance(*id).is_none()).unwrap();
            state.instances.push(instance(id, kind, start));
        }
        Step::RemoveGpuInstance { instance, .. } => state.instances.retain(|one| one.id != instance.id),
        other => unreachable!("{other:?}"),
    }
}

/// Profiles and places, whatever their numbers.
fn places(state: &MigState) -> Vec<(String, MigPlacement)> {
    let mut all: Vec<_> =
        state.instances.iter().map(|one| (one.profile.clone(), one.placement.unwrap())).collect();
    all.sort();
    all
}

/// A card with some GPU instances, one behind the other, with gaps.
fn some_card() -> impl Strategy<Value = MigState> {
    prop::collection::vec((0..SIZES.len(), 0..3_u32), 0..6).prop_map(|kinds| {
        let (mut start, mut instances) = (0, Vec::new());
        for (id, (kind, gap)) in (1..).zip(kinds) {
            start += gap;
            instances.push(instance(id, kind, start));
            start += SIZES[kind].2;
        }
        state(instances)
    })
}

proptest! {
    #[test]
    fn the_way_back_from_any_step_leads_to_the_same_places(
        before in some_card(),
        kind in 0..SIZES.len(),
        count in 1..4_u32,
        removes in any::<bool>(),
        steps in 0..8_usize,
        theirs in prop::option::of(0..SIZES.len()),
    ) {
        let command = command();
        let card = mig::Card { gpu: at(GPU), command: &command, state: &before };
        let plan = if removes {
            mig::remove(&card, &before.instances.iter().step_by(2).collect::<Vec<_>>())
        } else {
            mig::create(&card, &before.profiles[kind], count)
        };
        let gpu = on(&before).gpus[&at(GPU)].clone();
        prop_assert_eq!(audit::violations(&plan, &gpu, &[]), Vec::<String>::new());
        let mut now = before.clone();
        let mut plan = plan;
        for step in plan.steps.clone().iter().take(steps) {
            let there = now.clone();
            perform(&mut now, step);
            let new = now.instances.iter().filter(|one| !there.instances.contains(one)).map(|one| one.id);
            plan.marks.instances.entry(at(GPU)).or_default().extend(new);
        }
        if steps >= plan.steps.len() {
            prop_assert_eq!(verify::broken_promises(&plan, &on(&now)), Vec::<String>::new());
        }
        // Somebody else makes one meanwhile, out of the way.
        let theirs = theirs.map(|kind| instance(99, kind, 1000));
        now.instances.extend(theirs.clone());
        let back = undo::plan(&undo::begun(&plan, steps), &on(&now));
        prop_assert_eq!(audit::violations(&back, &gpu, &[]), Vec::<String>::new());
        back.steps.iter().for_each(|step| perform(&mut now, step));
        prop_assert_eq!(verify::broken_promises(&back, &on(&now)), Vec::<String>::new());
        let mut wanted = before;
        wanted.instances.extend(theirs);
        prop_assert_eq!(places(&now), places(&wanted));
    }
}

#[test]
fn the_audit_knows_the_order() {
    let (before, command) = (state(Vec::new()), command());
    let card = mig::Card { gpu: at(GPU), command: &command, state: &before };
    let plan = mig::create(&card, &before.profiles[0], 1);
    let gpu = on(&before).gpus[&at(GPU)].clone();
    let setting = |count| VfSetting { count, autoprobe: gpuvirt_plan::VfAutoprobe::On };
    let with = |steps: Vec<Step>| {
        let mut plan = Plan { steps, ..plan.clone() };
        plan.before.vfs.insert(at(GPU), setting(0));
        audit::violations(&plan, &gpu, &[])
    };
    let (function, create) = (at(GPU), plan.steps[0].clone());
    let vfs = Step::CycleVfs { function, tool: command.clone(), from: 0, to: 4 };
    let mode = Step::SetMigMode { gpu: function, command: command.clone(), to: gpuvirt_plan::MigMode::On };
    assert_eq!(with(vec![mode.clone(), vfs.clone(), create.clone()]), Vec::<String>::new());
    for steps in [
        vec![mode.clone(), create.clone(), vfs.clone()],
        vec![vfs, mode.clone(), create.clone()],
        vec![create.clone(), mode],
    ] {
        assert!(!with(steps.clone()).is_empty(), "{steps:?}");
    }
    // Without a snapshot there is no way back.
    let blind = Plan { before: gpuvirt_plan::Snapshot::default(), ..plan };
    assert!(!audit::violations(&blind, &gpu, &[]).is_empty());
}
