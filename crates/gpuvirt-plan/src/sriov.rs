//! Plain virtual functions: when a GPU gets them, and when they are taken away again.
//!
//! Only those that we made are ever taken. The kernel knows no way from one number to another but by way of none.

use gpuvirt_model::{Framework, Function, Gpu, GraphicsType, Observed, Records};

use crate::{Plan, Step, VfAutoprobe, VfSetting};

/// How a physical function has its virtual ones; none where it can have none.
pub fn setting(function: &Function) -> Option<VfSetting> {
    let sriov = function.sriov.as_ref()?;
    Some(VfSetting { count: sriov.enabled, autoprobe: VfAutoprobe::of(sriov.drivers_autoprobe) })
}

/// How the GPU is to have its virtual functions as `to`; none where they stay as they are.
pub fn wanted(gpu: &Gpu, observed: &Observed, to: GraphicsType, records: &Records) -> Option<VfSetting> {
    let primary = observed.primary_of(gpu)?;
    let (sriov, now) = (primary.sriov.as_ref()?, setting(primary)?);
    if to == GraphicsType::SharedDirect {
        let only_plain = gpu.frameworks == [Framework::Sriov];
        let none_yet = now.count == 0 && sriov.vfs.is_empty() && sriov.total > 0;
        // The host's driver must not take what is for guests.
        let all = VfSetting { count: sriov.total, autoprobe: VfAutoprobe::Off };
        return (only_plain && none_yet).then_some(all);
    }
    let ours = records.vfs.get(&gpu.address).filter(|ours| now.count != 0 && ours.count == now.count)?;
    Some(VfSetting { count: 0, autoprobe: VfAutoprobe::of(ours.autoprobe_before) })
}

/// The steps from one setting to the other: away with the old ones, then the switch, then the new ones.
pub fn steps(function: gpuvirt_model::PciAddress, now: VfSetting, to: VfSetting) -> Vec<Step> {
    let mut steps = Vec::new();
    let changes = now.count != to.count;
    if changes && now.count != 0 {
        steps.push(Step::SetVfCount { function, from: now.count, to: 0 });
    }
    if now.autoprobe != to.autoprobe {
        steps.push(Step::SetVfAutoprobe { function, on: to.autoprobe });
    }
    if changes && to.count != 0 {
        steps.push(Step::SetVfCount { function, from: 0, to: to.count });
    }
    steps
}

/// Whether a plan takes a GPU's virtual functions away.
pub fn takes_vfs(plan: &Plan) -> bool {
    plan.steps.iter().any(|step| matches!(step, Step::SetVfCount { to: 0, .. }))
}

/// Whether a plan enables a GPU's virtual functions.
pub fn makes_vfs(plan: &Plan) -> bool {
    plan.steps.iter().any(|step| matches!(step, Step::SetVfCount { to, .. } if *to != 0))
}
