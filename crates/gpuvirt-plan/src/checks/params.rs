//! Checks on parameters of vGPUs: whether the driver takes any, and whether they may be changed now.

use gpuvirt_model::{Framework, Observed, Reading, Records, Refusal, RefusalCode, Vgpu, VgpuId};

use super::with_explain;
use crate::wish::{Making, Wish};

/// Types of a driver that is known to take no parameters.
const TAKE_NONE: [&str; 1] = ["i915-"];

/// New vGPUs that are wanted with parameters and whose driver takes none. Of other drivers it shows only once the vGPU
/// is there: then the step fails, and the vGPU goes again.
pub fn not_taken(wishes: &[Wish], makings: &[Making<'_>]) -> Vec<Refusal> {
    let wanted = wishes.iter().zip(makings).filter(|(wish, _)| !wish.params.is_empty());
    let refused = wanted.filter_map(|(_, making)| {
        let profile = making.profile;
        let none = profile.framework == Framework::Sriov
            || TAKE_NONE.iter().any(|driver| profile.type_id.starts_with(driver));
        let because =
            format!("the driver of {} takes no parameters for profile {}", profile.parent, profile.name);
        none.then(|| none_taken(making.id, because))
    });
    refused.collect()
}

/// Wanted vGPUs that are there already, with other parameters than those wanted.
pub fn differing(wishes: &[Wish], observed: &Observed) -> Vec<Refusal> {
    let code = RefusalCode::UuidInUse;
    let there = wishes.iter().filter_map(|wish| {
        let found = observed.vgpus.get(&wish.id)?;
        let params = found.known_params().filter(|params| **params != wish.params)?;
        let has = if params.is_empty() { "none".to_owned() } else { params.to_string() };
        Some(Refusal {
            code,
            summary: format!("vGPU {} cannot be made with these parameters", wish.id),
            because: format!("it is a vGPU of profile {} already; its parameters are {has}", found.profile),
            remedy: with_explain(code, vec![format!("gpuvirt vgpu set {} --param NAME=VALUE", wish.id)]),
        })
    });
    there.collect()
}

/// Everything that is in the way of other parameters for a live vGPU.
pub fn not_changeable(vgpu: &Vgpu, observed: &Observed, records: &Records) -> Vec<Refusal> {
    let mut found = super::vgpu::not_removable(vgpu, observed, records);
    for refusal in &mut found {
        refusal.summary = summary(vgpu.id);
        refusal.remedy = match refusal.code {
            RefusalCode::NotOurs => vec!["change them with the tool that made it".to_owned()],
            _ => {
                let mut remedy = vec!["parameters are read when a VM starts: stop it first".to_owned()];
                remedy.append(&mut refusal.remedy);
                remedy
            }
        };
        if refusal.code == RefusalCode::NotOurs {
            refusal.remedy = with_explain(refusal.code, std::mem::take(&mut refusal.remedy));
        }
    }
    match &vgpu.params {
        Some(Reading::Known(_)) => {}
        // One that is going shows nothing any more, which is said already.
        None if vgpu.removing => {}
        None => found.push(none_taken(vgpu.id, "its driver has no file for any".to_owned())),
        Some(Reading::Unknown(why)) => {
            found.push(none_taken(vgpu.id, format!("what it has now is {why}, and could not be put back")));
        }
    }
    found
}

fn summary(vgpu: VgpuId) -> String {
    format!("vGPU {vgpu} cannot get these parameters")
}

fn none_taken(vgpu: VgpuId, because: String) -> Refusal {
    let code = RefusalCode::NoVgpuParams;
    Refusal { code, summary: summary(vgpu), because, remedy: with_explain(code, Vec::new()) }
}
