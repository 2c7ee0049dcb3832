//! Steps that set the parameters of vGPUs, and the way back from them.
//!
//! Parameters are the vGPU's: those of a mediated device go with it, and a virtual function is cleared of them before it
//! loses its type, since nothing says that the driver does it.

use std::collections::BTreeMap;

use gpuvirt_model::{Observed, Vgpu, VgpuId, VgpuParams};

use crate::wish::{Making, Wish};
use crate::{Marks, Plan, Promise, Snapshot, Step};

/// Adds the wanted parameters to a plan that makes the vGPUs; those without any get no step.
pub fn add(plan: &mut Plan, wishes: &[Wish], makings: &[Making<'_>]) {
    for (wish, making) in wishes.iter().zip(makings).filter(|(wish, _)| !wish.params.is_empty()) {
        let (vgpu, parent, to) = (making.id, making.profile.parent, wish.params.clone());
        plan.promises.push(Promise::VgpuParams { vgpu, params: to.clone() });
        plan.steps.push(Step::SetVgpuParams { vgpu, parent, from: VgpuParams::default(), to });
    }
}

/// Plans other parameters for a live vGPU: no step where it has them already.
pub fn set(vgpu: &Vgpu, from: &VgpuParams, to: &VgpuParams) -> Plan {
    let (id, parent) = (vgpu.id, vgpu.parent);
    let step = Step::SetVgpuParams { vgpu: id, parent, from: from.clone(), to: to.clone() };
    Plan {
        gpu: vgpu.gpu,
        purpose: format!("vGPU {id} gets other parameters"),
        steps: if from == to { Vec::new() } else { vec![step] },
        before: Snapshot { vgpu_params: [(id, from.clone())].into(), ..Snapshot::default() },
        promises: vec![Promise::VgpuParams { vgpu: id, params: to.clone() }],
        marks: Marks::default(),
    }
}

/// Remembers the parameters of vGPUs that a plan removes, and clears those of virtual functions before it.
pub(crate) fn clear_before_removal(plan: &mut Plan, vgpus: &[&Vgpu]) {
    let mut steps = Vec::new();
    for vgpu in vgpus {
        let Some(params) = vgpu.known_params().filter(|params| !params.is_empty()) else { continue };
        plan.before.vgpu_params.insert(vgpu.id, params.clone());
        if vgpu.id.vf().is_some() {
            let (from, to) = (params.clone(), VgpuParams::default());
            steps.push(Step::SetVgpuParams { vgpu: vgpu.id, parent: vgpu.parent, from, to });
        }
    }
    plan.steps.splice(0..0, steps);
}

/// The way back: steps for vGPUs that live, and steps for those that the way back brings again.
pub(crate) fn undo_steps(plan: &Plan, now: &Observed) -> (Vec<Step>, Vec<Step>) {
    let mut living = Vec::new();
    for step in &plan.steps {
        let Step::SetVgpuParams { vgpu, parent, from, to } = step else { continue };
        // A mediated device that the plan made goes, and its parameters with it.
        let goes = vgpu.uuid().is_some() && plan.makes(*vgpu);
        if from != to && !goes && known(*vgpu, now) == Some(to) {
            let (from, to) = (to.clone(), from.clone());
            living.push(Step::SetVgpuParams { vgpu: *vgpu, parent: *parent, from, to });
        }
    }
    let gone = plan.before.vgpu_params.iter().filter(|(vgpu, was)| !was.is_empty() && !lives(**vgpu, now));
    let restored = gone.filter_map(|(vgpu, was)| {
        let parent = match vgpu {
            VgpuId::Mdev(uuid) => plan.before.mdevs.get(uuid)?.as_ref()?.parent,
            VgpuId::Vf(vf) => *vf,
        };
        Some(Step::SetVgpuParams { vgpu: *vgpu, parent, from: VgpuParams::default(), to: was.clone() })
    });
    (living, restored.collect())
}

/// The parameters, as they are now, of every vGPU whose parameters the plan or its way back can change.
pub(crate) fn now(plan: &Plan, now: &Observed) -> BTreeMap<VgpuId, VgpuParams> {
    let changed = plan.steps.iter().filter_map(|step| match step {
        Step::SetVgpuParams { vgpu, .. } => Some(vgpu),
        _ => None,
    });
    let all = plan.before.vgpu_params.keys().chain(changed);
    all.map(|vgpu| (*vgpu, known(*vgpu, now).cloned().unwrap_or_default())).collect()
}

/// Why a promise of parameters does not hold.
pub(crate) fn broken(vgpu: VgpuId, params: &VgpuParams, now: &Observed) -> Option<String> {
    match known(vgpu, now) {
        Some(found) if found == params => None,
        Some(found) => {
            let words =
                |params: &VgpuParams| if params.is_empty() { "none".to_owned() } else { params.to_string() };
            Some(format!("vGPU {vgpu} has the parameters {}, not {}", words(found), words(params)))
        }
        // What has no parameters to show has none.
        None if params.is_empty() && now.vgpus.get(&vgpu).is_none_or(|vgpu| vgpu.params.is_none()) => None,
        None => Some(format!("vGPU {vgpu} shows no parameters")),
    }
}

fn known(vgpu: VgpuId, now: &Observed) -> Option<&VgpuParams> {
    now.vgpus.get(&vgpu)?.known_params()
}

fn lives(vgpu: VgpuId, now: &Observed) -> bool {
    match vgpu {
        VgpuId::Mdev(_) => now.vgpus.contains_key(&vgpu),
        VgpuId::Vf(vf) => now.vgpu_type_of(vf) != 0,
    }
}
