//! Rules on several devices of one VM.

use gpuvirt_model::{
    Domain, Hostdev, Observed, PciAddress, Profile, ProfileClass, ProfileName, Refusal, RefusalCode, Request,
    Requests, Vgpu, VgpuId, Wanted, Warning, WarningCode,
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

/// The profiles that a domain asks for, by the vGPUs that are to have them.
pub fn wanted_of(requests: &Requests) -> Vec<(VgpuId, ProfileName)> {
    let of = |request: &Request| match (&request.wanted, &request.assigned) {
        (Wanted::Profile { profile, .. }, Some(Hostdev::Mdev { uuid })) => {
            Some((VgpuId::Mdev(*uuid), profile.clone()))
        }
        (Wanted::Profile { profile, .. }, Some(Hostdev::Pci { address, .. })) => {
            Some((VgpuId::Vf(*address), profile.clone()))
        }
        _ => None,
    };
    requests.list.iter().filter_map(of).collect()
}

/// Judges the devices that a VM would have. Of those that are not made yet `wanted` tells the profile; one of which
/// nothing is known counts, and is not judged.
pub fn together(
    vm: &str,
    devices: &[Device],
    wanted: &[(VgpuId, ProfileName)],
    observed: &Observed,
) -> Together {
    let mut found = Together::default();
    found.refusals.extend(too_many(vm, devices));
    let parts = devices.iter().filter_map(|device| match device {
        Device::Vgpu(id) | Device::NewVgpu(id) => part(*id, wanted, observed),
        Device::Gpu(_) => None,
    });
    let parts: Vec<Part> = parts.filter(|part| part.is_nvidias).collect();
    if parts.len() > 1 {
        found.refusals.extend(not_combinable(vm, &parts));
        found.warnings.extend(fractional(vm, &parts));
    }
    found
}

/// A vGPU as these rules see it, made or not.
struct Part<'a> {
    /// For people.
    name: String,
    /// What its GPU offers as its profile, or another GPU that it may come from.
    profile: Option<&'a Profile>,
    /// It is on a virtual function: the board is of the newer kind.
    on_function: bool,
    is_nvidias: bool,
}

fn part<'a>(id: VgpuId, wanted: &[(VgpuId, ProfileName)], observed: &'a Observed) -> Option<Part<'a>> {
    let on = |profile: Option<&'a Profile>, parent: PciAddress, name: String| {
        let function = observed.functions.get(&parent);
        Part {
            name,
            profile,
            on_function: function.is_some_and(|function| function.physfn.is_some()),
            is_nvidias: function.is_some_and(|function| function.identity.vendor == NVIDIA),
        }
    };
    if let Some(vgpu) = observed.vgpus.get(&id) {
        let profile = profile_of(vgpu, observed);
        return Some(on(profile, vgpu.parent, format!("{id} ({})", vgpu.profile)));
    }
    let (_, name) = wanted.iter().find(|(wanted, _)| *wanted == id)?;
    let mut offers = observed.gpus.values().flat_map(|gpu| &gpu.profiles);
    let profile = offers.find(|profile| profile.name == *name)?;
    Some(on(Some(profile), profile.parent, format!("a new one ({name})")))
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

/// On boards without virtual functions each must have all of its GPU's frame buffer, and on all boards only the
/// classes for workstations and computing go together (NVIDIA vGPU software documentation, "Multiple vGPU support").
fn not_combinable(vm: &str, parts: &[Part]) -> Option<Refusal> {
    let bad: Vec<String> = parts.iter().filter_map(why_not).collect();
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

fn why_not(part: &Part) -> Option<String> {
    let profile = part.profile?;
    if matches!(profile.class, Some(ProfileClass::Application | ProfileClass::Desktop)) {
        return Some(format!("{} is of a class that has no second vGPU beside it", part.name));
    }
    let fraction = profile.max.is_some_and(|max| max > 1);
    (!part.on_function && fraction).then(|| format!("{} has a part of its GPU only", part.name))
}

/// Newer boards take parts too, some of them and with some drivers; and not every driver tells sizes.
fn fractional(vm: &str, parts: &[Part]) -> Option<Warning> {
    let doubtful = parts.iter().filter(|part| {
        let whole = part.profile.is_some_and(|profile| profile.max == Some(1) && profile.class.is_some());
        !whole && why_not(part).is_none()
    });
    let doubtful: Vec<&str> = doubtful.map(|part| part.name.as_str()).collect();
    (!doubtful.is_empty()).then(|| Warning {
        code: WarningCode::FractionalVgpus,
        text: format!(
            "VM {vm} has several vGPUs, and these are parts of a GPU, or of a size that is not known: {}. The driver \
             decides at the VM's start whether they go together",
            list(&doubtful)
        ),
    })
}

fn profile_of<'a>(vgpu: &Vgpu, observed: &'a Observed) -> Option<&'a Profile> {
    let profiles = &observed.gpus.get(&vgpu.gpu)?.profiles;
    profiles.iter().find(|profile| profile.type_id == vgpu.type_id)
}
