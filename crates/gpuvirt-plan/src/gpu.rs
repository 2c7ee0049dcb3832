//! Questions about a GPU that every layer asks.

use crate::{Wanted, parameter, vendor};
use gpuvirt_model::{
    Desired, Domain, Framework, Gpu, GraphicsType, HostDriverKind, Hostdev, Observed, Records, VgpuId, When,
};

/// The domains that have or name a function or a vGPU of this GPU, each with whether its running QEMU has it.
pub fn domains_using<'a>(
    gpu: &'a Gpu,
    observed: &'a Observed,
) -> impl Iterator<Item = (&'a Domain, bool)> + 'a {
    let ours = move |device: &Hostdev| match device {
        Hostdev::Pci { address, .. } => observed.gpu_of(*address).is_some_and(|g| g.address == gpu.address),
        Hostdev::Mdev { uuid } => {
            observed.vgpus.get(&VgpuId::Mdev(*uuid)).is_some_and(|vgpu| vgpu.gpu == gpu.address)
        }
    };
    observed.domains.known().into_iter().flatten().filter_map(move |domain| {
        let running = domain.live.iter().any(ours);
        (running || domain.config.iter().any(ours)).then_some((domain, running))
    })
}

/// Why it can't be told yet how vGPUs are made on a card whose driver makes some; none where it can be told, or where
/// none are made.
///
/// On kernels from 6.8 NVIDIA's driver uses its vendor-specific VFIO, on others mediated devices on each virtual
/// function, and distributions mix both: it shows on the virtual functions alone.
pub fn undecided(gpu: &Gpu, observed: &Observed) -> Option<String> {
    let primary = observed.primary_of(gpu)?;
    let nvidia = primary.binding.driver.as_ref().is_some_and(|driver| driver.as_str() == "nvidia");
    let may = matches!(gpu.driver.kind, HostDriverKind::VgpuHost | HostDriverKind::Unknown);
    if !nvidia || !may || !gpu.frameworks.is_empty() {
        return None;
    }
    // 0 of them is none: then it is a card of before them, or one that was not told to.
    let vfs = primary.sriov.as_ref().filter(|sriov| sriov.total > 0);
    match (vfs, gpu.driver.kind) {
        (Some(sriov), HostDriverKind::VgpuHost) if sriov.vfs.is_empty() => {
            Some("mdev or nvidia-vfio: that shows once it has virtual functions".to_owned())
        }
        (Some(sriov), _) if sriov.vfs.is_empty() => Some(format!(
            "whether its driver makes vGPUs is not known ({}), and how shows once it has virtual functions",
            gpu.driver.evidence
        )),
        (Some(_), HostDriverKind::VgpuHost) => Some(
            "its virtual functions show no vGPU types: nvidia-vgpud loads those, look at its log".to_owned(),
        ),
        (None, HostDriverKind::VgpuHost) => {
            Some("it shows no vGPU types: nvidia-vgpud loads those, look at its log".to_owned())
        }
        _ => None,
    }
}

/// Why what is configured of a GPU, its type or its vGPU mode, is not in force, when it is not.
pub fn pending(gpu: &Gpu, observed: &Observed, desired: &Desired, records: &Records) -> Option<String> {
    pending_reason(gpu, observed, desired).or_else(|| {
        let entry = desired.gpu(gpu.address)?;
        vendor::mode_pending(gpu, &Wanted::by(entry, &desired.host), records)
    })
}

/// Why the configured type is not in force, when it is not.
pub fn pending_reason(gpu: &Gpu, observed: &Observed, desired: &Desired) -> Option<String> {
    let entry = desired.gpu(gpu.address)?;
    let found = observed.primary_of(gpu)?.identity;
    if found != entry.identity {
        return Some(format!("another card sits at {}: {found} instead of {}", gpu.address, entry.identity));
    }
    let wanted = entry.graphics_type.resolve(&desired.host);
    let active = gpu.active_type(Some(wanted));
    if wanted == active {
        return None;
    }
    let primary = observed.primary_of(gpu);
    let told = primary.and_then(|primary| parameter::missing(primary, entry.vf_count));
    let vgpus = (wanted, active) == (GraphicsType::SharedDirect, GraphicsType::Shared);
    let why = told.filter(|_| vgpus).unwrap_or_else(|| not_in_force(gpu, observed, wanted, active));
    match entry.when {
        When::Now => Some(why),
        When::Idle => Some(format!("it waits until nothing is in the way; {why}")),
        When::Boot => Some("it comes into force at the next boot".to_owned()),
        // The host has it until a VM asks for it, with a driver of its own or without: that is what was asked for.
        When::Vm if matches!(active, GraphicsType::Shared | GraphicsType::Basic) => None,
        When::Vm => Some(why),
    }
}

/// Whether vGPUs are a matter of making virtual functions.
fn can_have_vfs(gpu: &Gpu, observed: &Observed) -> bool {
    let total =
        observed.primary_of(gpu).and_then(|primary| primary.sriov.as_ref()).map_or(0, |sriov| sriov.total);
    let plain = gpu.frameworks.contains(&Framework::Sriov);
    total != 0 && (plain || vendor::has_typed_vfs(gpu, observed))
}

/// Why the card is `active` and not `wanted`, with the next step where there is one for us.
fn not_in_force(gpu: &Gpu, observed: &Observed, wanted: GraphicsType, active: GraphicsType) -> String {
    let driver = observed.primary_of(gpu).and_then(|function| function.binding.driver.as_ref());
    let driver = driver.map_or("no driver".to_owned(), |driver| format!("its driver {driver}"));
    match (wanted, active) {
        (GraphicsType::Shared | GraphicsType::SharedDirect, GraphicsType::Basic) => match driver.as_str() {
            "no driver" => {
                "no host driver claims it: load the driver, which then finds the card by itself".to_owned()
            }
            held => format!("{held} keeps it from the host's: unbind it and clear its driver_override"),
        },
        (GraphicsType::SharedDirect, GraphicsType::Shared) if can_have_vfs(gpu, observed) => {
            format!("it has no virtual functions: run `gpuvirt gpu set {} --type {wanted}`", gpu.address)
        }
        (GraphicsType::SharedDirect, GraphicsType::Shared) if undecided(gpu, observed).is_some() => {
            undecided(gpu, observed).unwrap_or_default()
        }
        (GraphicsType::SharedDirect, GraphicsType::Shared) => {
            format!("{driver} offers no vGPUs: load the vendor's vGPU host driver")
        }
        (GraphicsType::Shared, GraphicsType::SharedDirect) => {
            "it still has vGPUs: gpuvirt vgpu list".to_owned()
        }
        _ => format!("it is {active}: run `gpuvirt gpu set {} --type {wanted}`", gpu.address),
    }
}
