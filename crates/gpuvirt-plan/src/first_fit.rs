//! Where a device goes that a request leaves open: the first GPU that has room.
//!
//! Pure. Policies and size rules are placement's; this is what a start needs and no more.

use std::collections::BTreeSet;

use gpuvirt_model::{
    CardMatch, Desired, Domain, Gpu, GraphicsType, Hostdev, Observed, PciAddress, Profile, ProfileName,
};

/// A vGPU that is to be placed.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// Of this profile.
    pub profile: &'a ProfileName,
    /// On this GPU, where it is not open.
    pub gpu: Option<PciAddress>,
    /// On this function of it, where that is not open either.
    pub parent: Option<PciAddress>,
    /// Not on these: GPUs on which nothing is changed, virtual functions that others are to have.
    pub avoid: &'a BTreeSet<PciAddress>,
}

/// The first GPU, and its function's offer, that has room for a vGPU.
///
/// # Errors
/// A line for each GPU that makes vGPUs, or might: why it is not the one.
pub fn vgpu<'a>(
    wish: &Wish<'_>,
    observed: &'a Observed,
    desired: &Desired,
) -> Result<(&'a Gpu, &'a Profile), Vec<String>> {
    if desired.host.maintenance {
        return Err(vec!["the host is in maintenance".to_owned()]);
    }
    let mut rejected = Vec::new();
    for gpu in observed.gpus.values().filter(|gpu| wish.gpu.is_none_or(|wanted| wanted == gpu.address)) {
        match offer(wish, gpu, observed, desired) {
            Ok(profile) => return Ok((gpu, profile)),
            Err(Some(why)) => rejected.push(format!("{} {why}", gpu.address)),
            Err(None) => {}
        }
    }
    if rejected.is_empty() {
        rejected.push("no GPU is configured as shared-direct".to_owned());
    }
    Err(rejected)
}

/// The offer of one GPU. `Err(None)`: it is nobody's business.
fn offer<'a>(
    wish: &Wish<'_>,
    gpu: &'a Gpu,
    observed: &Observed,
    desired: &Desired,
) -> Result<&'a Profile, Option<String>> {
    let entry = desired.gpu(gpu.address).ok_or(None)?;
    if entry.graphics_type.resolve(&desired.host) != GraphicsType::SharedDirect {
        return Err(None);
    }
    let no = |why: &str| Err(Some(why.to_owned()));
    if observed.primary_of(gpu).map(|function| function.identity) != Some(entry.identity) {
        return no("is another card than the configured one");
    }
    if entry.cordoned {
        return no("is cordoned");
    }
    if wish.avoid.contains(&gpu.address) {
        return no("is hands-off");
    }
    let mut offers = gpu.profiles.iter().filter(|offer| offer.name == *wish.profile).peekable();
    if offers.peek().is_none() {
        return no("does not offer it now");
    }
    let fits = |offer: &&Profile| {
        offer.available > 0
            && !wish.avoid.contains(&offer.parent)
            && wish.parent.is_none_or(|wanted| wanted == offer.parent)
    };
    offers.find(fits).ok_or_else(|| Some("has no room for it now".to_owned()))
}

/// The first whole GPU of a kind that is direct, and that nobody has; one that no other domain names where there is one.
pub fn card<'a>(
    kind: &CardMatch,
    taken: &BTreeSet<PciAddress>,
    observed: &'a Observed,
    desired: &Desired,
) -> Result<&'a Gpu, Vec<String>> {
    let mut rejected = Vec::new();
    for gpu in observed.gpus.values() {
        let Some(function) = observed.primary_of(gpu).filter(|f| kind.ids.fits(&f.identity)) else {
            continue;
        };
        let entry = desired.gpu(gpu.address);
        let label = entry.and_then(|entry| entry.label.as_deref());
        let configured = entry.map(|entry| entry.graphics_type.resolve(&desired.host));
        let why = match entry {
            _ if kind.label.is_some() && kind.label.as_deref() != label => "has another label",
            None => "is not managed",
            Some(entry) if entry.identity != function.identity => "is another card than the configured one",
            Some(entry) if entry.cordoned => "is cordoned",
            Some(_) if gpu.active_type(configured) != GraphicsType::Direct => "is not direct",
            Some(_) if taken.contains(&gpu.address) => "is taken by another VM",
            Some(_) => return Ok(gpu),
        };
        rejected.push(format!("{} {why}", gpu.address));
    }
    if rejected.is_empty() {
        rejected.push(format!("no GPU of this host is {}", kind.ids));
    }
    Err(rejected)
}

/// The GPUs and virtual functions that other domains have, or name in their definitions.
pub fn named_by_others(domain: &Domain, observed: &Observed, running_only: bool) -> BTreeSet<PciAddress> {
    let others = observed.domains.known().into_iter().flatten().filter(|other| other.uuid != domain.uuid);
    let devices = others.flat_map(|other| {
        let config: &[Hostdev] = if running_only { &[] } else { &other.config };
        config.iter().chain(&other.live)
    });
    devices.filter_map(|device| place_of(device, observed)).collect()
}

/// The function that a device keeps others from: a virtual function, or the whole GPU.
fn place_of(device: &Hostdev, observed: &Observed) -> Option<PciAddress> {
    let Hostdev::Pci { address, .. } = device else { return None };
    let is_vf = observed.functions.get(address).is_some_and(|function| function.physfn.is_some());
    if is_vf { Some(*address) } else { observed.gpu_of(*address).map(|gpu| gpu.address) }
}
