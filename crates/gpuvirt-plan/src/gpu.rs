//! Questions about a GPU that every layer asks.

use gpuvirt_model::{Desired, Domain, Gpu, GraphicsType, Hostdev, Observed, VgpuId};

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
    // The card is the host's, and no driver of the host's claims it: there is nothing left for us to do.
    let unclaimed = active == GraphicsType::Basic && wanted != GraphicsType::Direct;
    Some(match unclaimed {
        true => "no host driver claims it: load the driver, which then finds the card by itself".to_owned(),
        false => format!("it is {active}: run `gpuvirt gpu set {} --type {wanted}`", gpu.address),
    })
}
