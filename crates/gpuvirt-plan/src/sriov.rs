//! Virtual functions: when a GPU gets them, and when they are taken away again.
//!
//! Only those that we made are ever taken. The kernel knows no way from one number to another but by way of none.

use gpuvirt_model::{Framework, Function, Gpu, GraphicsType, Observed, ProgramPath, Records, VgpuId};

use crate::{Plan, Step, VfAutoprobe, VfSetting, Wanted, parameter, vendor};

/// How a physical function has its virtual ones; none where it can have none.
pub fn setting(function: &Function) -> Option<VfSetting> {
    let sriov = function.sriov.as_ref()?;
    Some(VfSetting { count: sriov.enabled, autoprobe: VfAutoprobe::of(sriov.drivers_autoprobe) })
}

/// How the GPU is to have its virtual functions as `to`; none where they stay as they are.
pub fn wanted(gpu: &Gpu, observed: &Observed, wanted: &Wanted, records: &Records) -> Option<VfSetting> {
    let primary = observed.primary_of(gpu)?;
    let (sriov, now) = (primary.sriov.as_ref()?, setting(primary)?);
    let ours = records.vfs.get(&gpu.address).filter(|ours| now.count != 0 && ours.count == now.count);
    if wanted.to == GraphicsType::SharedDirect {
        let none_yet = now.count == 0 && sriov.vfs.is_empty() && sriov.total > 0;
        if vendor::vf_tool(primary, observed).is_some() {
            // Its driver is to have them, and its tool makes as many as there can be.
            return none_yet.then_some(VfSetting { count: sriov.total, autoprobe: now.autoprobe });
        }
        let only_plain = gpu.frameworks == [Framework::Sriov] && !parameter::at_loading_only(primary);
        let another = wanted.vf_count.is_some_and(|count| count != now.count) && ours.is_some();
        let count = wanted.vf_count.unwrap_or(sriov.total);
        // The host's driver must not take what is for guests.
        let some = VfSetting { count, autoprobe: VfAutoprobe::Off };
        return (only_plain && (none_yet || another)).then_some(some);
    }
    let ours = ours?;
    Some(VfSetting { count: 0, autoprobe: VfAutoprobe::of(ours.autoprobe_before) })
}

/// The steps from one setting to the other: away with the old ones, then the switch, then the new ones.
///
/// A `tool` of the vendor's does both.
pub fn steps(
    function: gpuvirt_model::PciAddress,
    tool: Option<&ProgramPath>,
    now: VfSetting,
    to: VfSetting,
) -> Vec<Step> {
    let mut steps = Vec::new();
    let changes = now.count != to.count;
    let set = |from, to| match tool {
        Some(tool) => Step::CycleVfs { function, tool: tool.clone(), from, to },
        None => Step::SetVfCount { function, from, to },
    };
    if changes && now.count != 0 {
        steps.push(set(now.count, 0));
    }
    if now.autoprobe != to.autoprobe {
        steps.push(Step::SetVfAutoprobe { function, on: to.autoprobe });
    }
    if changes && to.count != 0 {
        steps.push(set(0, to.count));
    }
    steps
}

/// The steps that take all away and make as many again.
pub(crate) fn made_anew(
    function: gpuvirt_model::PciAddress,
    tool: Option<&ProgramPath>,
    now: VfSetting,
) -> Vec<Step> {
    let none = VfSetting { count: 0, ..now };
    [steps(function, tool, now, none), steps(function, tool, none, now)].concat()
}

/// Whether virtual functions that are there are of our making.
pub fn are_ours(gpu: &Gpu, now: VfSetting, records: &Records) -> bool {
    now.count != 0 && records.vfs.get(&gpu.address).is_some_and(|ours| ours.count == now.count)
}

/// Whether a plan takes a GPU's virtual functions away.
pub fn takes_vfs(plan: &Plan) -> bool {
    plan.steps
        .iter()
        .any(|step| matches!(step, Step::SetVfCount { to: 0, .. } | Step::CycleVfs { to: 0, .. }))
}

/// Whether a plan enables a GPU's virtual functions.
pub fn makes_vfs(plan: &Plan) -> bool {
    plan.steps
        .iter()
        .any(|step| matches!(step, Step::SetVfCount { to, .. } | Step::CycleVfs { to, .. } if *to != 0))
}

/// Whether a plan has a vendor's tool make or remove them.
pub fn cycles_vfs(plan: &Plan) -> bool {
    plan.steps.iter().any(|step| matches!(step, Step::CycleVfs { .. }))
}

/// Virtual functions of a GPU that a driver has and that are no vGPUs: somebody bound them. Those that the vendor's tool
/// made are the card's own driver's.
pub fn bound_by_others<'a>(gpu: &'a Gpu, observed: &'a Observed) -> impl Iterator<Item = &'a Function> {
    let own = observed.primary_of(gpu).and_then(|primary| primary.binding.driver.as_ref());
    let own = own.filter(|_| vendor::has_typed_vfs(gpu, observed));
    let vfs = observed.functions.values().filter(|function| function.physfn == Some(gpu.address));
    let bound = vfs.filter(move |vf| {
        vf.binding.driver.is_some() && (own.is_none() || vf.binding.driver.as_ref() != own)
    });
    bound.filter(|vf| !observed.vgpus.contains_key(&VgpuId::Vf(vf.address)))
}
