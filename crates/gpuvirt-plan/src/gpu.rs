//! Questions about a GPU that every layer asks.

use crate::{parameter, vendor};
use gpuvirt_model::{Desired, Domain, Framework, Gpu, GraphicsType, Hostdev, Observed, VgpuId, When};

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
        // The host has it until a VM asks for it: that is what was asked for.
        When::Vm if active == GraphicsType::Shared => None,
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
        (GraphicsType::SharedDirect, GraphicsType::Shared) => {
            format!("{driver} offers no vGPUs: load the vendor's vGPU host driver")
        }
        (GraphicsType::Shared, GraphicsType::SharedDirect) => {
            "it still has vGPUs: gpuvirt vgpu list".to_owned()
        }
        _ => format!("it is {active}: run `gpuvirt gpu set {} --type {wanted}`", gpu.address),
    }
}
