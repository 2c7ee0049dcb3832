//! GPU instances: plans that make and remove them, and the way back.
//!
//! The driver chooses where a new one goes; only what undo makes again goes where it was. Whether a step is done is
//! told by how many of a profile there are, since the number of a new one is the driver's choice too.

use std::collections::BTreeMap;

use gpuvirt_model::{
    Gpu, GpuInstance, GpuInstanceProfile, GraphicsType, MigState, Observed, PciAddress, ProgramPath, Records,
    VgpuMode,
};

use crate::{Marks, MigLayout, MigMode, Plan, Promise, Snapshot, Step, Wanted, sriov, vendor};

/// A card whose GPU instances were read.
#[derive(Debug, Clone, Copy)]
pub struct Card<'a> {
    /// The GPU.
    pub gpu: PciAddress,
    /// The vendor's command.
    pub command: &'a ProgramPath,
    /// What it has.
    pub state: &'a MigState,
}

impl Card<'_> {
    /// The card as a snapshot has it.
    pub fn layout(&self) -> MigLayout {
        MigLayout {
            command: self.command.clone(),
            mode: MigMode::of(self.state.enabled),
            instances: self.state.instances.clone(),
        }
    }

    fn plan(&self, purpose: String, steps: Vec<Step>, after: &MigLayout) -> Plan {
        Plan {
            gpu: self.gpu,
            purpose,
            steps,
            before: Snapshot { mig: [(self.gpu, self.layout())].into(), ..Snapshot::default() },
            promises: vec![promise(self.gpu, after)],
            marks: Marks::default(),
        }
    }
}

/// Plans `count` more GPU instances of a profile.
pub fn create(card: &Card, profile: &GpuInstanceProfile, count: u32) -> Plan {
    let already = card.state.count(&profile.name);
    let mut after = card.layout();
    let steps = (1..=count).map(|more| {
        let count = already.saturating_add(more);
        step(card.gpu, card.command, (&profile.name, profile.id), (None, count))
    });
    let steps = steps.collect();
    after.instances.extend((0..count).map(|_| GpuInstance {
        id: 0,
        profile: profile.name.clone(),
        profile_id: profile.id,
        placement: None,
        compute_instances: None,
    }));
    card.plan(format!("{} gets GPU instances: {count} of {}", card.gpu, profile.name), steps, &after)
}

/// Plans the removal of these GPU instances.
pub fn remove(card: &Card, instances: &[&GpuInstance]) -> Plan {
    let mut after = card.layout();
    after.instances.retain(|kept| !instances.iter().any(|gone| gone.id == kept.id));
    let names: Vec<String> =
        instances.iter().map(|instance| format!("{} ({})", instance.id, instance.profile)).collect();
    let steps = instances.iter().map(|instance| removal(card.gpu, card.command, instance)).collect();
    card.plan(format!("{} loses GPU instances {}", card.gpu, names.join(", ")), steps, &after)
}

/// Whether a switch has to turn the card's MIG mode: on for vGPU mode `mig`, and off where we turned it on and it is to
/// be no more. None where nothing is known of it.
pub fn turn(gpu: &Gpu, observed: &Observed, wanted: &Wanted, records: &Records) -> Option<MigMode> {
    let state = observed.mig.get(&gpu.address)?;
    if wants_mig(wanted) {
        return (state.supported && !state.enabled).then_some(MigMode::On);
    }
    let ours = records.vgpu_modes.get(&gpu.address).is_some_and(|record| record.mode == VgpuMode::Mig);
    let now = observed.primary_of(gpu).and_then(sriov::setting);
    // Virtual functions of others stay, and the mode with them.
    let stay = now.is_some_and(|now| now.count != 0 && !sriov::are_ours(gpu, now, records));
    let off = ours && state.enabled && (!stay || wanted.to == GraphicsType::SharedDirect);
    off.then_some(MigMode::Off)
}

/// Whether GPU instances are what the GPU is wanted for.
pub fn wants_mig(wanted: &Wanted) -> bool {
    wanted.to == GraphicsType::SharedDirect && wanted.vgpu_mode == Some(VgpuMode::Mig)
}

/// Whether a plan makes or takes virtual functions, and the driver then forgets every GPU instance.
pub fn wipes(plan: &Plan) -> bool {
    sriov::takes_vfs(plan) || sriov::makes_vfs(plan)
}

/// Adds to a switch what it does about GPU instances: those of ours away and the mode turned while there are no virtual
/// functions, those that are wanted made behind them. Nothing where they were not read.
pub(crate) fn add_to(plan: &mut Plan, gpu: &Gpu, observed: &Observed, wanted: &Wanted, records: &Records) {
    let Some(state) = observed.mig.get(&gpu.address) else { return };
    let primary = observed.primary_of(gpu);
    let Some(rule) = primary.and_then(|primary| vendor::rule(primary, observed)) else { return };
    let Some(command) = &rule.command else { return };
    let (address, card) = (gpu.address, Card { gpu: gpu.address, command, state });
    let turn = turn(gpu, observed, wanted, records);
    let mut between: Vec<Step> = Vec::new();
    if !wants_mig(wanted) && (turn.is_some() || wipes(plan)) {
        let ours = state.instances.iter().filter(|one| records.made_instance(address, one));
        between.extend(ours.map(|instance| removal(address, command, instance)));
    }
    between.extend(turn.map(|to| Step::SetMigMode { gpu: address, command: command.clone(), to }));
    let wiped = wipes(plan);
    let keeps: &[GpuInstance] = if wiped || turn.is_some() { &[] } else { &state.instances };
    let made = if wants_mig(wanted) { steps_for(&card, wanted.gpu_instances, keeps) } else { Vec::new() };
    if between.is_empty() && made.is_empty() && (!wiped || state.instances.is_empty()) {
        return;
    }
    let mut instances = counts(keeps);
    for step in &made {
        if let Step::CreateGpuInstance { profile, .. } = step {
            *instances.entry(profile.clone()).or_insert(0) += 1;
        }
    }
    let at = plan.steps.iter().rposition(takes_vfs).map_or(0, |last| last + 1);
    plan.steps.splice(at..at, between);
    plan.steps.extend(made);
    plan.before.mig.insert(address, card.layout());
    let mode = turn.unwrap_or(MigMode::of(state.enabled));
    // On a card whose driver goes nothing can be asked any more.
    if plan.unbinds().next().is_none() {
        plan.promises.push(Promise::Mig { gpu: address, mode, instances });
    }
}

fn takes_vfs(step: &Step) -> bool {
    matches!(step, Step::SetVfCount { to: 0, .. } | Step::CycleVfs { to: 0, .. })
}

/// The steps that make those GPU instances of `names` that are not among `keeps`, the largest first: small ones that
/// came first would leave no room for them. A profile that the card does not have makes none.
fn steps_for(card: &Card, names: &[String], keeps: &[GpuInstance]) -> Vec<Step> {
    let mut there = counts(keeps);
    let missing = names.iter().filter(|name| match there.get_mut(*name).filter(|left| **left > 0) {
        Some(left) => {
            *left -= 1;
            false
        }
        None => true,
    });
    let mut wanted: Vec<&GpuInstanceProfile> = missing.filter_map(|name| card.state.profile(name)).collect();
    wanted.sort_by_key(|profile| std::cmp::Reverse((profile.memory_mib, profile.slices)));
    let mut counts = counts(keeps);
    let mut steps = Vec::new();
    for profile in wanted {
        let count = counts.entry(profile.name.clone()).or_insert(0);
        *count = count.saturating_add(1);
        steps.push(step(card.gpu, card.command, (&profile.name, profile.id), (None, *count)));
    }
    steps
}

fn step(
    gpu: PciAddress,
    command: &ProgramPath,
    (profile, profile_id): (&str, u32),
    (start, count): (Option<u32>, u32),
) -> Step {
    let (command, profile) = (command.clone(), profile.to_owned());
    Step::CreateGpuInstance { gpu, command, profile, profile_id, start, count }
}

fn removal(gpu: PciAddress, command: &ProgramPath, instance: &GpuInstance) -> Step {
    // Its compute instances are looked up when it is removed.
    let instance = GpuInstance { compute_instances: None, ..instance.clone() };
    Step::RemoveGpuInstance { gpu, command: command.clone(), instance }
}

/// What a layout promises.
pub fn promise(gpu: PciAddress, layout: &MigLayout) -> Promise {
    Promise::Mig { gpu, mode: layout.mode, instances: counts(&layout.instances) }
}

fn counts<'a>(instances: impl IntoIterator<Item = &'a GpuInstance>) -> BTreeMap<String, u32> {
    instances.into_iter().fold(BTreeMap::new(), |mut counts, instance| {
        let count = counts.entry(instance.profile.clone()).or_insert(0_u32);
        *count = count.saturating_add(1);
        counts
    })
}

/// Why a promise about a card's GPU instances does not hold.
pub(crate) fn broken(
    gpu: PciAddress,
    mode: MigMode,
    wanted: &BTreeMap<String, u32>,
    now: &Observed,
) -> Option<String> {
    let Some(state) = now.mig.get(&gpu) else {
        return Some(format!("it cannot be told which GPU instances {gpu} has"));
    };
    if MigMode::of(state.enabled) != mode {
        let is = if state.enabled { "on" } else { "off" };
        return Some(format!("MIG mode of {gpu} is {is}"));
    }
    let found = counts(&state.instances);
    (found != *wanted).then(|| format!("{gpu} has {}, not {}", words(&found), words(wanted)))
}

fn words(counts: &BTreeMap<String, u32>) -> String {
    let each: Vec<String> = counts.iter().map(|(profile, count)| format!("{count} x {profile}")).collect();
    if each.is_empty() {
        "no GPU instances".to_owned()
    } else {
        format!("the GPU instances {}", each.join(", "))
    }
}

/// The steps of a way back, for their places among the others.
#[derive(Debug, Default)]
pub(crate) struct Undo {
    pub(crate) removals: Vec<Step>,
    pub(crate) mode: Vec<Step>,
    pub(crate) additions: Vec<Step>,
    pub(crate) promises: Vec<Promise>,
}

/// The way back to the snapshot of `plan`: without what it made, with what it removed or wiped. `wipes`: the way back
/// itself takes or makes virtual functions, and the driver then forgets every GPU instance.
pub(crate) fn undo(plan: &Plan, now: &Observed, wipes: bool) -> Undo {
    let mut back = Undo::default();
    for (gpu, was) in &plan.before.mig {
        let Some(state) = now.mig.get(gpu) else {
            back.promises.push(promise(*gpu, was));
            continue;
        };
        let turned =
            plan.steps.iter().any(|step| matches!(step, Step::SetMigMode { gpu: of, .. } if of == gpu));
        if turned && MigMode::of(state.enabled) != was.mode {
            back.mode.push(Step::SetMigMode { gpu: *gpu, command: was.command.clone(), to: was.mode });
        }
        let ours = made_by(plan, *gpu, was, state);
        back.removals.extend(ours.iter().map(|instance| removal(*gpu, &was.command, instance)));
        let gone: Vec<&GpuInstance> = if wipes { state.instances.iter().collect() } else { ours };
        let additions = missing(*gpu, was, state, &gone);
        // What somebody else made meanwhile stays.
        let kept = state.instances.iter().filter(|one| !gone.iter().any(|gone| gone.id == one.id));
        let mut instances = counts(kept);
        instances.extend(additions.iter().filter_map(|step| match step {
            Step::CreateGpuInstance { profile, count, .. } => Some((profile.clone(), *count)),
            _ => None,
        }));
        back.promises.push(Promise::Mig { gpu: *gpu, mode: was.mode, instances });
        back.additions.extend(additions);
    }
    back
}

/// The live GPU instances that the plan made: those that it noted, and where it was making one when it failed or its daemon
/// died, one more of a profile of which it was to make more than it noted, which was not there before.
pub fn made_by<'a>(
    plan: &Plan,
    gpu: PciAddress,
    was: &MigLayout,
    state: &'a MigState,
) -> Vec<&'a GpuInstance> {
    let new = |instance: &&GpuInstance| !was.instances.iter().any(|known| known.is_same(instance));
    let noted = |instance: &GpuInstance| plan.marks.made(gpu, instance.id);
    let (mut ours, others): (Vec<&GpuInstance>, Vec<&GpuInstance>) =
        state.instances.iter().filter(new).partition(|instance| noted(instance));
    let mut left: BTreeMap<&str, u32> = BTreeMap::new();
    for step in &plan.steps {
        if let Step::CreateGpuInstance { gpu: of, profile, .. } = step {
            if *of == gpu {
                *left.entry(profile).or_insert(0) += 1;
            }
        }
    }
    for instance in &ours {
        if let Some(left) = left.get_mut(instance.profile.as_str()) {
            *left = left.saturating_sub(1);
        }
    }
    let more = |one: &&&GpuInstance| left.get(one.profile.as_str()).is_some_and(|left| *left > 0);
    let unnoted = others.iter().find(more).filter(|_| plan.marks.making.contains(&gpu));
    ours.extend(unnoted.copied());
    ours
}

/// Steps that make again what was there before. One that came back elsewhere, or with another number, counts.
fn missing(gpu: PciAddress, was: &MigLayout, state: &MigState, gone: &[&GpuInstance]) -> Vec<Step> {
    let mut kept: Vec<&GpuInstance> =
        state.instances.iter().filter(|instance| !gone.iter().any(|gone| gone.id == instance.id)).collect();
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for instance in &kept {
        *counts.entry(&instance.profile).or_insert(0) += 1;
    }
    let mut steps = Vec::new();
    for instance in &was.instances {
        let same = |found: &&GpuInstance| {
            found.profile == instance.profile
                && (instance.placement.is_none() || found.placement == instance.placement)
        };
        let whole = |one: &GpuInstance| one.compute_instances.as_deref() != Some(&[]);
        let count = counts.entry(&instance.profile).or_insert(0);
        if let Some(at) = kept.iter().position(same) {
            let found = kept.swap_remove(at);
            if whole(found) || !whole(instance) || instance.placement.is_none() {
                continue;
            }
            // A removal that came half-way: it gets its compute instance back.
        } else {
            *count = count.saturating_add(1);
        }
        let start = instance.placement.map(|place| place.start);
        steps.push(step(gpu, &was.command, (&instance.profile, instance.profile_id), (start, *count)));
    }
    steps
}

/// The card as the snapshot of a way back has it.
pub(crate) fn now(plan: &Plan, gpu: PciAddress, now: &Observed) -> Option<(PciAddress, MigLayout)> {
    let (state, was) = (now.mig.get(&gpu)?, plan.before.mig.get(&gpu)?);
    Some((gpu, Card { gpu, command: &was.command, state }.layout()))
}
