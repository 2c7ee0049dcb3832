//! From a step to the code that carries it out.

use std::time::Duration;

use gpuvirt_plan::{Performed, Step};

use super::{binding, mdev, mig, module, nvidia_vfio, power_control, sriov, vendor, vgpu_params};
use crate::error::HostError;
use crate::files::Files;
use crate::mig::Reader;

/// Carries out one step; `deadline` bounds the wait for a write that can block.
pub(crate) fn perform(files: Files<'_>, step: &Step, deadline: Duration) -> Result<Performed, HostError> {
    let done = match step {
        Step::LoadModule { module } => module::load(files, module),
        Step::SetOverride { function, driver } => {
            binding::set_override(files, *function, driver.as_ref(), deadline)
        }
        Step::Unbind { function, driver } => binding::unbind(files, *function, driver, deadline),
        Step::Probe { function, expect } => binding::probe(files, *function, expect.as_ref(), deadline),
        Step::CreateMdev { uuid, place } => mdev::create(files, place, *uuid, deadline),
        Step::SetVgpuType { vf, from, to: 0, .. } => nvidia_vfio::clear(files, *vf, *from, deadline),
        Step::SetVgpuType { vf, from, to, .. } => nvidia_vfio::set(files, *vf, (*from, *to), deadline),
        Step::SetVfCount { function, from, to } => sriov::set_count(files, *function, (*from, *to), deadline),
        Step::SetVfAutoprobe { function, on } => sriov::set_autoprobe(files, *function, *on),
        Step::SetVgpuParams { vgpu, from, to, .. } => vgpu_params::set(files, *vgpu, (from, to), deadline),
        Step::SetMigMode { gpu, command, to } => {
            mig::set_mode(&Reader::new(files, *gpu, command, deadline), *to)
        }
        Step::CreateGpuInstance { gpu, command, profile, profile_id, start, count } => {
            let wanted = mig::Wanted { profile, profile_id: *profile_id, start: *start, count: *count };
            let instance = mig::create(&Reader::new(files, *gpu, command, deadline), &wanted)?;
            return Ok(Performed { instance });
        }
        Step::RemoveGpuInstance { gpu, command, instance } => {
            mig::remove(&Reader::new(files, *gpu, command, deadline), instance)
        }
        Step::CycleVfs { function, tool, from, to } => {
            vendor::cycle_vfs(files, *function, tool, (*from, *to), deadline)
        }
        Step::SetMixedSize { gpu, command, to } => {
            vendor::set_mixed_size(files, *gpu, command, *to, deadline)
        }
        Step::SetUnbindLock { function, driver, to } => {
            vendor::set_unbind_lock(files, (*function, driver), *to, deadline)
        }
        Step::SetPowerControl { function, to } => power_control::set(files, *function, *to, deadline),
        Step::StopService { gpu, unit } => vendor::stop_service(files, *gpu, unit, deadline),
        Step::StartService { gpu, unit } => vendor::start_service(files, *gpu, unit, deadline),
        Step::RemoveMdev { parent, uuid } => mdev::remove(files, *parent, *uuid, deadline),
    };
    done.map(|()| Performed::default())
}
