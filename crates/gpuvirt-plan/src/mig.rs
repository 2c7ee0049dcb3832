//! GPU instances: plans that make and remove them, and the way back.
//!
//! The driver chooses where a new one goes; only what undo makes again goes where it was. Whether a step is done is
//! told by how many of a profile there are, since the number of a new one is the driver's choice too.

use std::collections::BTreeMap;

use gpuvirt_model::{GpuInstance, GpuInstanceProfile, MigState, Observed, PciAddress, ProgramPath};

use crate::{MigLayout, MigMode, Plan, Promise, Snapshot, Step};

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

/// The steps that make the GPU instances of `names` on an empty card, the largest first: small ones that came first
/// would leave no room for them. A profile that the card does not have makes none.
pub fn steps_for(card: &Card, names: &[String]) -> Vec<Step> {
    let mut wanted: Vec<&GpuInstanceProfile> =
        names.iter().filter_map(|name| card.state.profile(name)).collect();
    wanted.sort_by_key(|profile| std::cmp::Reverse((profile.memory_mib, profile.slices)));
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    let mut steps = Vec::new();
    for profile in wanted {
        let count = counts.entry(&profile.name).or_insert(0);
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

fn counts(instances: &[GpuInstance]) -> BTreeMap<String, u32> {
    instances.iter().fold(BTreeMap::new(), |mut counts, instance| {
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
}

/// The way back to the snapshot of `plan`: without what it made, with what it removed or wiped. `wipes`: the way back
/// itself takes or makes virtual functions, and the driver then forgets every GPU instance.
pub(crate) fn undo(plan: &Plan, now: &Observed, wipes: bool) -> Undo {
    let mut back = Undo::default();
    for (gpu, was) in &plan.before.mig {
        let Some(state) = now.mig.get(gpu) else { continue };
        let turned =
            plan.steps.iter().any(|step| matches!(step, Step::SetMigMode { gpu: of, .. } if of == gpu));
        if turned && MigMode::of(state.enabled) != was.mode {
            back.mode.push(Step::SetMigMode { gpu: *gpu, command: was.command.clone(), to: was.mode });
        }
        let ours = made_by(plan, *gpu, was, state);
        back.removals.extend(ours.iter().map(|instance| removal(*gpu, &was.command, instance)));
        let gone: Vec<&GpuInstance> = if wipes { state.instances.iter().collect() } else { ours };
        back.additions.extend(missing(*gpu, was, state, &gone));
    }
    back
}

/// The live GPU instances that the plan made: they were not there before, and it was to make so many of that profile.
fn made_by<'a>(plan: &Plan, gpu: PciAddress, was: &MigLayout, state: &'a MigState) -> Vec<&'a GpuInstance> {
    let mut left: BTreeMap<&str, u32> = BTreeMap::new();
    for step in &plan.steps {
        if let Step::CreateGpuInstance { gpu: of, profile, .. } = step {
            if *of == gpu {
                *left.entry(profile).or_insert(0) += 1;
            }
        }
    }
    let new = |instance: &&GpuInstance| !was.instances.iter().any(|known| known.is_same(instance));
    let ours = state.instances.iter().filter(new).filter(|instance| {
        let left = left.get_mut(instance.profile.as_str()).filter(|left| **left > 0);
        left.map(|left| *left -= 1).is_some()
    });
    ours.collect()
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
