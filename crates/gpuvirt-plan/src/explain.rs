//! A plan in sentences, for `--dry-run` and for reports.

use gpuvirt_model::PowerControl;

use crate::{MigMode, MixedSize, Plan, Step, UnbindLock, VfAutoprobe};

/// One sentence for each step.
pub fn sentences(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(sentence).collect()
}

/// A step in a sentence.
pub fn sentence(step: &Step) -> String {
    match step {
        Step::LoadModule { module } => format!("load the kernel module {module}"),
        Step::SetOverride { function, driver: Some(driver) } => {
            format!("allow only {driver} to bind {function}")
        }
        Step::SetOverride { function, driver: None } => format!("allow any driver to bind {function} again"),
        Step::Unbind { function, driver } => format!("unbind {function} from {driver}"),
        Step::Probe { function, expect: Some(driver) } => {
            format!("let the kernel probe {function}, which must bind it to {driver}")
        }
        Step::Probe { function, expect: None } => format!("let the kernel find a driver for {function}"),
        Step::CreateMdev { uuid, place } => {
            format!(
                "create mediated device {uuid} of type {} ({}) on {}",
                place.type_id, place.profile, place.parent
            )
        }
        Step::SetVgpuType { vf, to: 0, profile, .. } => format!("take the vGPU type {profile} from {vf}"),
        Step::SetVgpuType { vf, to, profile, .. } => {
            format!("give {vf} the vGPU type {to} ({profile})")
        }
        Step::SetVgpuParams { vgpu, to, .. } if to.is_empty() => {
            format!("clear the parameters of vGPU {vgpu}")
        }
        Step::SetVgpuParams { vgpu, to, .. } => format!("set the parameters of vGPU {vgpu} to {to}"),
        Step::SetVfCount { function, to: 0, from } => {
            format!("take the {from} virtual functions of {function} away")
        }
        Step::SetVfCount { function, to, .. } => format!("enable {to} virtual functions of {function}"),
        Step::SetVfAutoprobe { function, on: VfAutoprobe::On } => {
            format!("let the kernel bind new virtual functions of {function}")
        }
        Step::SetVfAutoprobe { function, on: VfAutoprobe::Off } => {
            format!("leave new virtual functions of {function} without a driver")
        }
        Step::SetMigMode { gpu, to: MigMode::On, .. } => format!("turn MIG mode of {gpu} on"),
        Step::SetMigMode { gpu, to: MigMode::Off, .. } => format!("turn MIG mode of {gpu} off"),
        Step::CreateGpuInstance { gpu, profile, start: None, .. } => {
            format!("make a GPU instance {profile} on {gpu}, with its compute instance")
        }
        Step::CreateGpuInstance { gpu, profile, start: Some(start), .. } => {
            format!("make a GPU instance {profile} on {gpu} at slice {start}, with its compute instance")
        }
        Step::RemoveGpuInstance { gpu, instance, .. } => {
            format!(
                "remove GPU instance {} ({}) of {gpu}, its compute instances first",
                instance.id, instance.profile
            )
        }
        Step::CycleVfs { function, tool, to: 0, from } => {
            format!("have {tool} take the {from} virtual functions of {function} away")
        }
        Step::CycleVfs { function, tool, to, .. } => {
            format!("have {tool} make the {to} virtual functions of {function}")
        }
        Step::SetMixedSize { gpu, command, to: MixedSize::On } => {
            format!("have {command} let vGPUs of several sizes live on {gpu}")
        }
        Step::SetMixedSize { gpu, command, to: MixedSize::Off } => {
            format!("have {command} let vGPUs of one size only live on {gpu}")
        }
        Step::SetUnbindLock { function, driver, to: UnbindLock::Taken } => {
            format!("take the lock of {driver} on {function}, which nobody gets who has it open")
        }
        Step::SetUnbindLock { function, driver, to: UnbindLock::Free } => {
            format!("give the lock of {driver} on {function} back")
        }
        Step::SetPowerControl { function, to: PowerControl::Auto } => {
            format!("let {function} sleep while it is idle, as before")
        }
        Step::SetPowerControl { function, to: PowerControl::On } => {
            format!("keep {function} awake, as before")
        }
        Step::StopService { unit, .. } => format!("stop the service {unit}"),
        Step::StartService { unit, .. } => format!("start the service {unit} again"),
        Step::RemoveMdev { uuid, parent } => format!("remove mediated device {uuid} from {parent}"),
    }
}
