//! Checks on vGPUs: whether a GPU can make them, and whether one may be made or removed.

use std::collections::BTreeMap;

use gpuvirt_model::{
    Desired, Framework, Gpu, GraphicsType, Holder, Observed, ProfileName, Records, Refusal, RefusalCode,
    Vgpu, VgpuId,
};

use super::holder::shell_word;
use super::{Switch, configured, list, with_explain};

/// A card that the host's driver has and that offers no vGPUs can't become shared-direct.
///
/// One that is with VFIO now can't tell: its driver shows what it offers only once it has the card.
pub(super) fn no_support(switch: &Switch) -> Option<Refusal> {
    // With a tool of the vendor's it shows only once virtual functions exist, which the plan makes.
    let can = !switch.gpu.frameworks.is_empty() || crate::sriov::cycles_vfs(switch.plan);
    let asked = switch.to == GraphicsType::SharedDirect && switch.gpu.host_driver;
    let driver = switch.observed.primary_of(switch.gpu)?.binding.driver.clone();
    let waits =
        switch.observed.primary_of(switch.gpu).is_some_and(|f| crate::parameter::missing(f, None).is_some());
    (asked && !can && !waits).then(|| {
        let driver = driver.map_or("no driver".to_owned(), |d| format!("its driver {d}"));
        let because = format!("{driver} offers no vGPUs");
        let remedy =
            vec!["load the vendor's vGPU host driver; a plain display driver offers none".to_owned()];
        switch.refuse(RefusalCode::NoVgpuSupport, because, remedy)
    })
}

/// vGPUs of one profile that are to be made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Creation<'a> {
    /// On this GPU.
    pub(super) gpu: &'a Gpu,
    /// Of this profile.
    pub(super) profile: &'a ProfileName,
    /// The first of them.
    pub(super) id: VgpuId,
    /// How many.
    pub(super) count: usize,
}

/// Why no more than `placed` of them have a place.
pub(super) fn without_room(wanted: &Creation, placed: usize, observed: &Observed) -> Refusal {
    let offered = wanted.gpu.profiles.iter().any(|profile| profile.name == *wanted.profile);
    let full = || shows_what_fits(wanted.gpu) && by_name(wanted.gpu).values().all(|left| *left == 0);
    match offered || full() {
        true => no_capacity(wanted, placed, observed),
        false => not_offered(wanted, observed),
    }
}

pub(super) fn not_for_vgpus(wanted: &Creation, observed: &Observed, desired: &Desired) -> Option<Refusal> {
    let address = wanted.gpu.address;
    let set = vec![format!("gpuvirt gpu set {address} --type shared-direct")];
    let Some((_, kind)) = configured(desired, address) else {
        let because = format!("nobody configured {address} with gpuvirt, so it is not touched");
        return Some(wanted.refuse(RefusalCode::Unmanaged, because, set));
    };
    let identity = observed.primary_of(wanted.gpu).map(|f| f.identity);
    let stored = desired.gpu(address).map(|entry| entry.identity);
    if identity != stored {
        let because = format!("another card than the configured one sits at {address}");
        let again = vec![format!("gpuvirt gpu unset {address}, then configure it anew")];
        return Some(wanted.refuse(RefusalCode::IdentityChanged, because, again));
    }
    let because = format!("{address} is configured as {kind}");
    (kind != GraphicsType::SharedDirect).then(|| wanted.refuse(RefusalCode::NotSharedDirect, because, set))
}

/// A profile's name once, however many functions of the card offer it, with how many are left on all of them.
fn by_name(gpu: &Gpu) -> BTreeMap<&ProfileName, u32> {
    gpu.profiles.iter().fold(BTreeMap::new(), |mut left, profile| {
        let sum = left.entry(&profile.name).or_insert(0_u32);
        *sum = sum.saturating_add(profile.available);
        left
    })
}

/// A driver that lists a type only while one more of it fits, and something lives on the card.
fn shows_what_fits(gpu: &Gpu) -> bool {
    gpu.live_vgpus > 0 && gpu.frameworks.contains(&Framework::NvidiaVfio)
}

fn not_offered(wanted: &Creation, observed: &Observed) -> Refusal {
    let names = list(by_name(wanted.gpu).into_keys());
    let address = wanted.gpu.address;
    let mut because = match names.as_str() {
        "" => format!("{address} offers no profile now"),
        names if shows_what_fits(wanted.gpu) => {
            format!("{address} offers {names} beside its vGPUs; its driver lists no others while these live")
        }
        names => format!("{address} offers {names}"),
    };
    let others = super::profile::offered_elsewhere(wanted.profile, wanted.gpu, observed);
    if !others.is_empty() {
        because += &format!("; {} offers {}", list(&others), wanted.profile);
    }
    let mut see = super::profile::what_was_meant(wanted.profile, wanted.gpu, &others);
    see.push(format!("gpuvirt profile list --gpu {address}"));
    wanted.refuse(RefusalCode::ProfileNotOffered, because, see)
}

fn no_capacity(wanted: &Creation, placed: usize, observed: &Observed) -> Refusal {
    let alive: Vec<String> =
        observed.vgpus_of(wanted.gpu).map(|vgpu| format!("{} ({})", vgpu.id, vgpu.profile)).collect();
    let fitting = by_name(wanted.gpu).into_iter().filter(|(_, left)| *left > 0);
    let still: Vec<String> = fitting.map(|(name, left)| format!("{name} ({left} left)")).collect();
    let taken = if alive.is_empty() { "nothing that is seen here".to_owned() } else { list(&alive) };
    let mut remedy = vec!["remove a vGPU that is not needed: gpuvirt vgpu list".to_owned()];
    if !still.is_empty() {
        remedy.insert(0, format!("a profile that still fits: {}", list(&still)));
    }
    let room = if placed > 0 { format!("it has room for {placed} of them: ") } else { String::new() };
    wanted.refuse(RefusalCode::NoCapacity, format!("{room}its capacity is taken by {taken}"), remedy)
}

impl Creation<'_> {
    pub(super) fn refuse(&self, code: RefusalCode, because: String, remedy: Vec<String>) -> Refusal {
        let Self { gpu, profile, id, count } = self;
        let what = if *count == 1 { format!("a vGPU {id}") } else { format!("{count} vGPUs") };
        let summary = format!("{} cannot get {what} of profile {profile}", gpu.address);
        Refusal { code, summary, because, remedy: with_explain(code, remedy) }
    }
}

/// Everything that is in the way of a vGPU's removal.
pub fn not_removable(vgpu: &Vgpu, observed: &Observed, records: &Records) -> Vec<Refusal> {
    let refuse = |code, because, remedy| {
        let summary = format!("vGPU {} cannot be removed", vgpu.id);
        Refusal { code, summary, because, remedy: with_explain(code, remedy) }
    };
    let mut found = Vec::new();
    if vgpu.removing {
        found.push(refuse(
            RefusalCode::VgpuInUse,
            "a removal of it waits in the kernel already, for whoever holds it".to_owned(),
            vec!["stop what uses it: the removal then ends by itself".to_owned()],
        ));
    } else if !records.made(vgpu) {
        found.push(refuse(
            RefusalCode::NotOurs,
            "gpuvirt did not make it".to_owned(),
            vec![
                "remove it with the tool that made it, e.g. mdevctl stop or virsh nodedev-destroy".to_owned(),
            ],
        ));
    }
    let device = vgpu.id.hostdev();
    for domain in observed.domains.known().into_iter().flatten().filter(|domain| domain.has_live(&device)) {
        let stop = format!("shut the VM down: virsh shutdown -- {}", shell_word(&domain.name));
        found.push(refuse(
            RefusalCode::VgpuInUse,
            format!("VM {} is running with it", domain.name),
            vec![stop],
        ));
    }
    let holders: Vec<&Holder> = vgpu.holders.seen.iter().collect();
    if found.iter().all(|refusal| refusal.code != RefusalCode::VgpuInUse) && !holders.is_empty() {
        let because = format!("it is held by {}", list(&holders));
        found.push(refuse(
            RefusalCode::VgpuInUse,
            because,
            vec!["stop what uses it, and try again".to_owned()],
        ));
    }
    found
}

/// No vGPU of this name.
pub fn not_found(id: VgpuId) -> Refusal {
    let because = match id {
        VgpuId::Mdev(_) => "no mediated device of a GPU has this uuid",
        VgpuId::Vf(_) => "no virtual function of a GPU that has this address is a vGPU now",
    };
    Refusal {
        code: RefusalCode::VgpuNotFound,
        summary: format!("there is no vGPU {id}"),
        because: because.to_owned(),
        remedy: with_explain(RefusalCode::VgpuNotFound, vec!["gpuvirt vgpu list".to_owned()]),
    }
}
