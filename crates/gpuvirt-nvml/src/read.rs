//! One card, from the library's answers to a value.

use gpuvirt_model::mig::is_profile_name;
use gpuvirt_model::{GpuInstance, GpuInstanceProfile, MigState, PciAddress};
use nvml_wrapper_sys::bindings::{NVML_COMPUTE_INSTANCE_PROFILE_COUNT, NVML_GPU_INSTANCE_PROFILE_COUNT};

use crate::NvmlError;
use crate::library::{Card, Instance, Library, Profile};

/// The GPU instances of a card. The library is closed again when this returns.
///
/// # Errors
/// [`NvmlError`].
pub fn gpu_instances(gpu: PciAddress) -> Result<MigState, NvmlError> {
    let library = Library::open(gpu)?;
    let card = library.card(gpu)?;
    let (enabled, pending) = match card.mode() {
        Ok(mode) => mode,
        Err(error) if error.is_none() => return Ok(MigState::default()),
        Err(error) => return Err(error),
    };
    let mut state = MigState {
        supported: true,
        enabled,
        pending: (pending != enabled).then_some(pending),
        ..MigState::default()
    };
    for at in 0..NVML_GPU_INSTANCE_PROFILE_COUNT {
        let Some(profile) = or_none(card.profile(at))? else { continue };
        let name = profile.name.strip_prefix("MIG ").unwrap_or(&profile.name).to_owned();
        if !is_profile_name(&name) {
            continue;
        }
        if enabled {
            for instance in or_none(card.instances(profile.id))?.unwrap_or_default() {
                state.instances.push(value(&instance, &name, profile.id)?);
            }
        }
        state.profiles.push(kind(&card, profile, name)?);
    }
    state.instances.sort_by_key(|instance| (instance.placement, instance.id));
    Ok(state)
}

fn kind(card: &Card, profile: Profile, name: String) -> Result<GpuInstanceProfile, NvmlError> {
    Ok(GpuInstanceProfile {
        name,
        id: profile.id,
        slices: Some(profile.slices),
        memory_mib: Some(profile.memory_mib),
        // Without MIG mode there is nothing to fit into.
        free: or_none(card.free(profile.id))?.unwrap_or(0),
        total: profile.instances,
        placements: or_none(card.placements(profile.id))?.unwrap_or_default(),
    })
}

fn value(instance: &Instance, profile: &str, profile_id: u32) -> Result<GpuInstance, NvmlError> {
    let (id, placement) = instance.place()?;
    let mut compute = Vec::new();
    for at in 0..NVML_COMPUTE_INSTANCE_PROFILE_COUNT {
        compute.extend(or_none(instance.compute_instances(at))?.unwrap_or_default());
    }
    compute.sort_unstable();
    compute.dedup();
    let (profile, placement) = (profile.to_owned(), Some(placement));
    Ok(GpuInstance { id, profile, profile_id, placement, compute_instances: Some(compute) })
}

/// What the card just does not have is none.
fn or_none<T>(asked: Result<T, NvmlError>) -> Result<Option<T>, NvmlError> {
    match asked {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_none() => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_without_the_library_says_so() {
        // Where the library is there, it knows no card at this address.
        let absent = PciAddress { domain: 0xfffe, bus: 0xff, slot: 0x1f, function: 7 };
        assert!(matches!(gpu_instances(absent), Err(NvmlError::Open { .. } | NvmlError::Refused { .. })));
    }
}
