//! Why no vGPU of a profile can be created now.

use std::collections::BTreeSet;

use gpuvirt_model::{
    Desired, Framework, Gpu, GraphicsType, Observed, PciAddress, Profile, Sharing, Vgpu, VgpuId, VgpuMode,
};

/// The profiles of a GPU, each with why none of it can be created now.
pub fn judged(gpu: &Gpu, observed: &Observed, desired: &Desired) -> Vec<Profile> {
    let judge = |profile: &Profile| Profile {
        blocked: blocked(profile, &Card { gpu, observed, desired }),
        ..profile.clone()
    };
    gpu.profiles.iter().map(judge).collect()
}

/// Whether why some profile can't be had may be told with the name of a VM: one that is used up names who has its vGPUs.
pub fn may_name_vms(observed: &Observed) -> bool {
    let used_up = |gpu: &Gpu| gpu.profiles.iter().any(|profile| profile.available == 0);
    !observed.vgpus.is_empty() && observed.gpus.values().any(used_up)
}

/// A GPU within its picture.
#[derive(Clone, Copy)]
struct Card<'a> {
    gpu: &'a Gpu,
    observed: &'a Observed,
    desired: &'a Desired,
}

/// What holds for the whole GPU comes first: the card's capacity, then what the admin asked for, then the function.
fn blocked(profile: &Profile, card: &Card) -> Option<String> {
    let mut same = card.gpu.profiles.iter().filter(|other| other.name == profile.name);
    if !same.any(|offered| offered.available > 0) {
        return Some(used_up(profile, card));
    }
    let taken = || format!("{} is a vGPU already", profile.parent);
    not_for_vgpus(card).or_else(|| (profile.available == 0).then(taken))
}

/// What the admin asked for that leaves no room for new vGPUs.
fn not_for_vgpus(card: &Card) -> Option<String> {
    let Some(entry) = card.desired.gpu(card.gpu.address) else {
        return Some("the GPU is unmanaged".to_owned());
    };
    let kind = entry.graphics_type.resolve(&card.desired.host);
    if card.observed.primary_of(card.gpu).is_some_and(|found| found.identity != entry.identity) {
        Some("another card than the configured one sits there".to_owned())
    } else if kind != GraphicsType::SharedDirect {
        Some(format!("the GPU is configured as {kind}"))
    } else if entry.cordoned {
        Some("the GPU is cordoned".to_owned())
    } else {
        card.desired.host.maintenance.then(|| "the host is in maintenance".to_owned())
    }
}

fn used_up(profile: &Profile, card: &Card) -> String {
    let live: Vec<&Vgpu> = card.observed.vgpus_of(card.gpu).collect();
    if let Some(size) = locked_to(profile, &live, card) {
        return format!("locked to {} by {}", words(size), who(&live, card));
    }
    if profile.sharing == Some(Sharing::MigBacked) && mode(card) == Some(VgpuMode::Mig) {
        return "vGPU mode mig, and no GPU instance of its size is free".to_owned();
    }
    match (no_free_function(profile, card), live.as_slice()) {
        (Some(why), _) => why,
        (None, []) => "the driver has none left, and no vGPU is seen".to_owned(),
        (None, live) => format!("its capacity is taken by {}", who(live, card)),
    }
}

/// The one size that the GPU's vGPUs have, where another one of them would still fit its memory: the driver lets no
/// two sizes live together. Where the memory is not known, NVIDIA's drivers are taken at their documented word.
fn locked_to(profile: &Profile, live: &[&Vgpu], card: &Card) -> Option<u64> {
    if matches!(mode(card), Some(VgpuMode::MixedSize | VgpuMode::Mig))
        || profile.sharing == Some(Sharing::MigBacked)
    {
        return None;
    }
    let wanted = profile.framebuffer_mib?;
    let sizes: Option<Vec<u64>> = live.iter().map(|vgpu| size_of(vgpu, card.gpu)).collect();
    let sizes = sizes?;
    let distinct: BTreeSet<u64> = sizes.iter().copied().collect();
    let size = distinct.first().copied().filter(|size| distinct.len() == 1 && *size != wanted)?;
    let fits = match memory_of(card.gpu) {
        Some(whole) => wanted <= whole.saturating_sub(sizes.iter().sum()),
        None => profile.framework == Framework::NvidiaVfio || profile.type_id.starts_with("nvidia-"),
    };
    fits.then_some(size)
}

/// What the largest set of equal vGPUs takes of the empty card, in MiB, where the driver says enough to tell.
fn memory_of(gpu: &Gpu) -> Option<u64> {
    let of = |profile: &Profile| profile.framebuffer_mib?.checked_mul(u64::from(profile.max?));
    gpu.profiles.iter().filter_map(of).max()
}

fn size_of(vgpu: &Vgpu, gpu: &Gpu) -> Option<u64> {
    let profile = gpu.profiles.iter().find(|profile| profile.type_id == vgpu.type_id);
    let by_name = || gpuvirt_model::named_traits(&vgpu.profile.0).map(|traits| traits.framebuffer_mib);
    profile.and_then(|profile| profile.framebuffer_mib).or_else(by_name)
}

fn mode(card: &Card) -> Option<VgpuMode> {
    card.desired.gpu(card.gpu.address)?.vgpu_mode
}

/// Each vGPU takes a virtual function of its own, where they are made on those.
fn no_free_function(profile: &Profile, card: &Card) -> Option<String> {
    let parents: BTreeSet<_> =
        card.gpu.profiles.iter().filter(|p| p.name == profile.name).map(|p| p.parent).collect();
    let is_vf =
        |address: &PciAddress| card.observed.functions.get(address).is_some_and(|f| f.physfn.is_some());
    let taken = |address: &PciAddress| card.observed.vgpus.values().any(|vgpu| vgpu.parent == *address);
    let bound = |address: &PciAddress| {
        card.observed.functions.get(address).is_some_and(|f| f.binding.driver.is_some())
    };
    // A plain virtual function that a driver has is nobody's to give.
    let plain = profile.framework == Framework::Sriov;
    let none = parents.iter().all(|parent| is_vf(parent) && (taken(parent) || (plain && bound(parent))));
    (none && !parents.is_empty())
        .then(|| format!("no free virtual function: all {} are taken", parents.len()))
}

/// The first vGPU with its VM, and how many more.
fn who(live: &[&Vgpu], card: &Card) -> String {
    let Some(first) = live.first() else { return "nothing that is seen".to_owned() };
    let vm = vm_of(first.id, card).map(|name| format!(" of VM {name}")).unwrap_or_default();
    let more = live.len() - 1;
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("vGPU {}{vm}{more}", first.id)
}

fn vm_of<'a>(id: VgpuId, card: &Card<'a>) -> Option<&'a str> {
    let device = id.hostdev();
    let domains = || card.observed.domains.known().into_iter().flatten();
    let running = domains().find(|domain| domain.has_live(&device));
    running
        .or_else(|| domains().find(|domain| domain.has_configured(&device)))
        .map(|domain| domain.name.as_str())
}

fn words(mib: u64) -> String {
    if mib % 1024 == 0 { format!("{} GiB", mib / 1024) } else { format!("{mib} MiB") }
}
