//! Whether the host is as a plan promised, by a fresh picture. Success of a write is not success.

use gpuvirt_model::{DriverBinding, DriverName, Function, Observed, VgpuId};

use crate::{Plan, Promise, mig, params, sriov, vgpu};

/// Every promise that does not hold, in words; empty: the plan succeeded.
pub fn broken_promises(plan: &Plan, now: &Observed) -> Vec<String> {
    plan.promises.iter().filter_map(|promise| broken(promise, now)).collect()
}

fn broken(promise: &Promise, now: &Observed) -> Option<String> {
    match promise {
        Promise::Bound { function, binding } => match now.functions.get(function) {
            None => Some(format!("{function} has vanished")),
            Some(found) if !is_known(found) => Some(format!("it cannot be told what {function} is bound to")),
            Some(found) if found.binding != *binding => {
                Some(format!("{function} is {}, not {}", words(&found.binding), words(binding)))
            }
            Some(_) => None,
        },
        Promise::WithHost { function, driver_override } => match now.functions.get(function) {
            None => Some(format!("{function} has vanished")),
            Some(found) if !is_known(found) => Some(format!("it cannot be told what {function} is bound to")),
            Some(found) if !is_the_hosts(&found.binding, driver_override.as_ref()) => {
                Some(format!("{function} is {}, not the host's", words(&found.binding)))
            }
            Some(_) => None,
        },
        Promise::MdevAlive { uuid, place } => match now.vgpus.get(&VgpuId::Mdev(*uuid)) {
            None => Some(format!("vGPU {uuid} does not exist")),
            Some(found) if vgpu::place(found) != *place => {
                Some(format!("vGPU {uuid} is a {} on {}", found.profile, found.parent))
            }
            Some(_) => None,
        },
        Promise::MdevGone { uuid } => {
            now.vgpus.contains_key(&VgpuId::Mdev(*uuid)).then(|| format!("vGPU {uuid} still exists"))
        }
        Promise::Vfs { function, setting } => {
            let found = now
                .functions
                .get(function)
                .and_then(|f| Some((sriov::setting(f)?, f.sriov.as_ref()?.vfs.len())));
            match found {
                Some((found, shown)) if found == *setting && shown == usize::from(setting.count) => None,
                Some((found, shown)) => Some(format!(
                    "{function} has {} virtual functions, {shown} of which show, with automatic probing {:?}",
                    found.count, found.autoprobe
                )),
                None => Some(format!("{function} can have no virtual functions")),
            }
        }
        Promise::VgpuParams { vgpu, params } => params::broken(*vgpu, params, now),
        Promise::Mig { gpu, mode, instances } => mig::broken(*gpu, *mode, instances, now),
        Promise::OffersVgpus { gpu } => {
            let offers = now.gpus.get(gpu).is_some_and(|gpu| !gpu.frameworks.is_empty());
            (!offers).then(|| {
                format!("the driver of {gpu} makes no vGPUs on the virtual functions that it has now")
            })
        }
        Promise::VgpuType { vf, type_id } => {
            let found = now.vgpu_type_of(*vf);
            let words = |type_id: u32| match type_id {
                0 => "no vGPU type".to_owned(),
                set => format!("the vGPU type {set}"),
            };
            (found != *type_id).then(|| format!("{vf} has {}, not {}", words(found), words(*type_id)))
        }
    }
}

fn is_the_hosts(binding: &DriverBinding, driver_override: Option<&DriverName>) -> bool {
    let taken = binding.driver.as_ref().is_some_and(DriverName::leaves_group_viable);
    !taken && binding.driver_override.as_ref() == driver_override
}

/// Neither locked, so that its override could not be read, nor odd.
fn is_known(function: &Function) -> bool {
    !function.locked && function.binding_unknown.is_none()
}

fn words(binding: &DriverBinding) -> String {
    let name = |driver: &Option<DriverName>| driver.as_ref().map(ToString::to_string);
    let driver = name(&binding.driver).map_or("without a driver".to_owned(), |d| format!("bound to {d}"));
    name(&binding.driver_override).map_or(driver.clone(), |o| format!("{driver} with override {o}"))
}
