//! Names that the driver tells no more: NVIDIA's vendor-specific VFIO lists a type only while one more of it fits.

use gpuvirt_model::{Framework, Observed, PciAddress, ProfileName, Records, named_traits};

/// Fills in, from what we asked for, the profiles of live vGPUs that show a number alone.
///
/// One of our vGPUs tells the name for all of its type on that card: a type's number is the driver's, and our records
/// of virtual functions do not outlive a boot. Names that show are left as they are.
pub fn remember_names(observed: &mut Observed, records: &Records) {
    let known = known_names(observed, records);
    let name_of = |gpu, type_id: &str| {
        known.iter().find(|(at, id, _)| *at == gpu && id == type_id).map(|(.., name)| name)
    };
    for vgpu in observed.vgpus.values_mut() {
        let own = records.vgpus.get(&vgpu.id).filter(|_| records.made(vgpu)).map(|record| &record.profile);
        let found = if vgpu.removing {
            own
        } else if vgpu.framework == Framework::NvidiaVfio && is_number(&vgpu.profile, &vgpu.type_id) {
            own.or_else(|| name_of(vgpu.gpu, &vgpu.type_id))
        } else {
            None
        };
        if let Some(name) = found {
            vgpu.profile = name.clone();
        }
    }
    for gpu in observed.gpus.values_mut() {
        let address = gpu.address;
        let unnamed = gpu.profiles.iter_mut().filter(|profile| {
            profile.framework == Framework::NvidiaVfio && is_number(&profile.name, &profile.type_id)
        });
        for profile in unnamed {
            let Some(name) = name_of(address, &profile.type_id) else { continue };
            let traits = named_traits(&name.0);
            profile.title = name.0.clone();
            profile.name = name.clone();
            profile.framebuffer_mib = traits.map(|traits| traits.framebuffer_mib);
            profile.class = traits.map(|traits| traits.class);
            profile.sharing = traits.map(|traits| traits.sharing);
        }
    }
}

/// GPU, type and name of our typed virtual functions that are still what we made them.
fn known_names(observed: &Observed, records: &Records) -> Vec<(PciAddress, String, ProfileName)> {
    let typed = observed.vgpus.values().filter(|vgpu| vgpu.framework == Framework::NvidiaVfio);
    let named = typed.filter(|vgpu| records.made(vgpu)).filter_map(|vgpu| {
        let record = records.vgpus.get(&vgpu.id)?;
        Some((vgpu.gpu, vgpu.type_id.clone(), record.profile.clone()))
    });
    named.filter(|(_, type_id, name)| !is_number(name, type_id)).collect()
}

/// The stand-in for a name that does not show.
fn is_number(name: &ProfileName, type_id: &str) -> bool {
    name.0.strip_prefix("nvidia-") == Some(type_id)
}
