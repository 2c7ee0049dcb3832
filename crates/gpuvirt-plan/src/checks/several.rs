//! Rules on several devices of one VM.

use gpuvirt_model::{
    Domain, Hostdev, Observed, Profile, ProfileClass, Refusal, RefusalCode, Vgpu, VgpuId, Warning,
    WarningCode,
};

use super::domain::Device;
use super::holder::shell_word;
use super::{list, with_explain};

/// Most GPUs and vGPUs of one VM; vSphere's limit too.
pub const MOST_DEVICES: usize = 16;
/// NVIDIA.
const NVIDIA: u16 = 0x10de;

/// What the rules say of a VM that has these devices together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Together {
    /// What forbids it.
    pub refusals: Vec<Refusal>,
    /// What must be known about it.
    pub warnings: Vec<Warning>,
}

/// The GPUs and vGPUs in a domain's definition, each once, whole cards by their primary functions.
pub fn devices_of(domain: &Domain, observed: &Observed) -> Vec<Device> {
    devices_among(&domain.config, observed)
}

/// The same of any host devices.
pub fn devices_among(hostdevs: &[Hostdev], observed: &Observed) -> Vec<Device> {
    let mut found: Vec<Device> = Vec::new();
    for hostdev in hostdevs {
        let device = match hostdev {
            Hostdev::Mdev { uuid } => Some(Device::Vgpu(VgpuId::Mdev(*uuid))),
            Hostdev::Pci { address, .. } => {
                let is_vf = observed.functions.get(address).is_some_and(|f| f.physfn.is_some());
                let whole = || observed.gpu_of(*address).map(|gpu| Device::Gpu(gpu.address));
                let vf = observed.gpu_of(*address).map(|_| Device::Vgpu(VgpuId::Vf(*address)));
                if is_vf { vf } else { whole() }
            }
        };
        found.extend(device.filter(|device| !found.contains(device)));
    }
    found
}

/// Judges the devices that a VM would have. One that is not there now counts, and nothing else is known of it.
pub fn together(vm: &str, devices: &[Device], observed: &Observed) -> Together {
    let mut found = Together::default();
    found.refusals.extend(too_many(vm, devices));
    let vgpus = devices.iter().filter_map(|device| match device {
        // One that is not made yet has no size to judge.
        Device::Vgpu(id) | Device::NewVgpu(id) => observed.vgpus.get(id),
        Device::Gpu(_) => None,
    });
    let vgpus: Vec<&Vgpu> = vgpus.filter(|vgpu| is_nvidias(vgpu, observed)).collect();
    if vgpus.len() > 1 {
        found.refusals.extend(not_combinable(vm, &vgpus, observed));
        found.warnings.extend(fractional(vm, &vgpus, observed));
    }
    found
}

fn too_many(vm: &str, devices: &[Device]) -> Option<Refusal> {
    let code = RefusalCode::TooManyDevices;
    (devices.len() > MOST_DEVICES).then(|| Refusal {
        code,
        summary: format!("VM {vm} cannot get one more GPU or vGPU"),
        because: format!("it would have {}, and {MOST_DEVICES} are the most", devices.len()),
        remedy: with_explain(code, vec![format!("take one out first: gpuvirt vm show {}", shell_word(vm))]),
    })
}

fn is_nvidias(vgpu: &Vgpu, observed: &Observed) -> bool {
    observed.functions.get(&vgpu.parent).is_some_and(|parent| parent.identity.vendor == NVIDIA)
}

/// On boards without virtual functions each must have all of its GPU's frame buffer, and on all boards only the
/// classes for workstations and computing go together (NVIDIA vGPU software documentation, "Multiple vGPU support").
fn not_combinable(vm: &str, vgpus: &[&Vgpu], observed: &Observed) -> Option<Refusal> {
    let bad: Vec<String> = vgpus.iter().filter_map(|vgpu| why_not(vgpu, observed)).collect();
    let code = RefusalCode::NotFullSize;
    (!bad.is_empty()).then(|| Refusal {
        code,
        summary: format!("VM {vm} cannot have these vGPUs together"),
        because: list(&bad),
        remedy: with_explain(
            code,
            vec![
                "give it one vGPU, or several that each have a whole GPU's frame buffer (Q or C)".to_owned(),
            ],
        ),
    })
}

fn why_not(vgpu: &Vgpu, observed: &Observed) -> Option<String> {
    let profile = profile_of(vgpu, observed)?;
    let (id, name) = (vgpu.id, &vgpu.profile);
    if matches!(profile.class, Some(ProfileClass::Application | ProfileClass::Desktop)) {
        return Some(format!("{id} ({name}) is of a class that has no second vGPU beside it"));
    }
    let older = !on_function(vgpu, observed);
    let fraction = profile.max.is_some_and(|max| max > 1);
    (older && fraction).then(|| format!("{id} ({name}) has a part of its GPU only"))
}

/// Newer boards take parts too, some of them and with some drivers; and not every driver tells sizes.
fn fractional(vm: &str, vgpus: &[&Vgpu], observed: &Observed) -> Option<Warning> {
    let doubtful = vgpus.iter().filter(|vgpu| {
        let profile = profile_of(vgpu, observed);
        let whole = profile.is_some_and(|profile| profile.max == Some(1) && profile.class.is_some());
        !whole && why_not(vgpu, observed).is_none()
    });
    let doubtful: Vec<String> = doubtful.map(|vgpu| format!("{} ({})", vgpu.id, vgpu.profile)).collect();
    (!doubtful.is_empty()).then(|| Warning {
        code: WarningCode::FractionalVgpus,
        text: format!(
            "VM {vm} has several vGPUs, and these are parts of a GPU, or of a size that is not known: {}. The driver \
             decides at the VM's start whether they go together",
            list(&doubtful)
        ),
    })
}

fn on_function(vgpu: &Vgpu, observed: &Observed) -> bool {
    observed.functions.get(&vgpu.parent).is_some_and(|parent| parent.physfn.is_some())
}

fn profile_of<'a>(vgpu: &Vgpu, observed: &'a Observed) -> Option<&'a Profile> {
    let profiles = &observed.gpus.get(&vgpu.gpu)?.profiles;
    profiles.iter().find(|profile| profile.type_id == vgpu.type_id)
}
