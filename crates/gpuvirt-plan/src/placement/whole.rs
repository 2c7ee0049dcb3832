//! The choice of a whole GPU of a kind.
//!
//! The card that the VM had last comes first where it will do; then one that no other VM names in its definition, one on
//! the guest's NUMA node, and the first by its address. The host's assignment policy is about vGPUs and has no say here.

use std::collections::BTreeSet;

use gpuvirt_model::{CardMatch, Domain, Gpu, GraphicsType, Hostdev, Observed, PciAddress, When};

use super::choice::Rejected;
use super::picture::HostPicture;
use crate::checks::guest::Moment;

/// A whole GPU that is to be chosen.
#[derive(Debug, Clone, Copy)]
pub struct WholeRequest<'a> {
    /// The kind.
    pub kind: &'a CardMatch,
    /// Who is to have it.
    pub domain: &'a Domain,
    /// GPUs that it has for other requests already.
    pub besides: &'a BTreeSet<PciAddress>,
    /// Whether it is to have the card now, or is edited: then a card that is only not free at the moment will do.
    pub moment: Moment,
}

/// Which whole GPU, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WholeChoice {
    /// The GPU.
    pub gpu: PciAddress,
    /// Why this one.
    pub reasons: Vec<String>,
    /// Every other GPU of that kind, and why not.
    pub rejected: Vec<Rejected>,
}

/// What decides between suitable cards; the smallest is chosen.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Score {
    /// The one that it had last is kept: a definition that stays is one that others can rely on.
    not_the_last: bool,
    /// Only where it is edited: nobody starts with a card that is not free.
    not_free: bool,
    named_by_another: bool,
    other_node: bool,
    gpu: PciAddress,
}

/// Chooses a card of a kind.
///
/// # Errors
/// A line for each GPU of that kind: why it is not the one.
pub fn choose_whole(request: &WholeRequest<'_>, host: &HostPicture<'_>) -> Result<WholeChoice, Vec<String>> {
    let running = named_by_others(request.domain, host.observed, Naming::Running);
    let defined = named_by_others(request.domain, host.observed, Naming::Defined);
    let (mut suitable, mut rejected) = (Vec::new(), Vec::new());
    for gpu in host.observed.gpus.values().filter(|gpu| is_of_kind(gpu, request, host)) {
        let never = unsuitable(gpu, request, host);
        let now = not_free(gpu, &running, host);
        match never.or_else(|| now.clone().filter(|_| request.moment == Moment::Now)) {
            Some(because) => rejected.push(Rejected { gpu: gpu.address, because }),
            None => {
                let score = score(gpu, request, &defined, host);
                suitable.push(Score { not_free: now.is_some(), ..score });
            }
        }
    }
    suitable.sort();
    let Some((best, rest)) = suitable.split_first() else {
        let mut lines: Vec<String> = rejected.iter().map(|r| format!("{}: {}", r.gpu, r.because)).collect();
        if lines.is_empty() {
            lines.push(format!("no GPU of this host is {}", request.kind.ids));
        }
        return Err(lines);
    };
    rejected.extend(rest.iter().map(|other| Rejected { gpu: other.gpu, because: behind(other, best) }));
    rejected.sort_by_key(|rejected| rejected.gpu);
    Ok(WholeChoice { gpu: best.gpu, reasons: vec![reason(best, rest.is_empty())], rejected })
}

fn is_of_kind(gpu: &Gpu, request: &WholeRequest<'_>, host: &HostPicture<'_>) -> bool {
    let primary = host.observed.primary_of(gpu);
    primary.is_some_and(|function| request.kind.ids.fits(&function.identity))
}

/// Why it is not a card for this request.
fn unsuitable(gpu: &Gpu, request: &WholeRequest<'_>, host: &HostPicture<'_>) -> Option<String> {
    let Some(entry) = host.desired.gpu(gpu.address) else { return Some("unmanaged".to_owned()) };
    let label = request.kind.label.as_deref();
    if label.is_some() && label != entry.label.as_deref() {
        return Some("it has another label, or none".to_owned());
    }
    if host.observed.primary_of(gpu).map(|function| function.identity) != Some(entry.identity) {
        return Some("another card than the configured one".to_owned());
    }
    if let Some(left_alone) = host.details.left_alone.get(&gpu.address) {
        return Some(left_alone.because.clone());
    }
    let configured = entry.graphics_type.resolve(&host.desired.host);
    let active = gpu.active_type(Some(configured));
    // One that is lent to VMs becomes direct when its VM starts.
    let lent = entry.when == When::Vm && configured == GraphicsType::Direct;
    if active != GraphicsType::Direct && !lent {
        return Some(format!("it is {active}, not direct"));
    }
    request.besides.contains(&gpu.address).then(|| "this VM has it already".to_owned())
}

/// Why nobody gets it at the moment.
fn not_free(gpu: &Gpu, running: &BTreeSet<PciAddress>, host: &HostPicture<'_>) -> Option<String> {
    let cordoned = host.desired.gpu(gpu.address).is_some_and(|entry| entry.cordoned);
    let why = match (host.desired.host.maintenance, cordoned, running.contains(&gpu.address)) {
        (true, ..) => "the host is in maintenance",
        (_, true, _) => "cordoned",
        (.., true) => "another VM runs with it",
        (false, false, false) => return None,
    };
    Some(why.to_owned())
}

fn score(
    gpu: &Gpu,
    request: &WholeRequest<'_>,
    defined: &BTreeSet<PciAddress>,
    host: &HostPicture<'_>,
) -> Score {
    let wanted = request.domain.guest.numa_node;
    let node = host.observed.primary_of(gpu).and_then(|function| function.numa_node);
    let has = |device: &Hostdev| match device {
        Hostdev::Pci { address, .. } => gpu.functions.contains(address),
        Hostdev::Mdev { .. } => false,
    };
    Score {
        named_by_another: defined.contains(&gpu.address),
        other_node: wanted.is_some() && wanted != node,
        not_the_last: !request.domain.config.iter().any(has),
        not_free: false,
        gpu: gpu.address,
    }
}

fn behind(other: &Score, best: &Score) -> String {
    let why = if other.not_the_last != best.not_the_last {
        "the VM had the chosen one last"
    } else if other.not_free != best.not_free {
        "it is not free now"
    } else if other.named_by_another != best.named_by_another {
        "another VM has it in its definition"
    } else if other.other_node != best.other_node {
        "it is on another NUMA node"
    } else {
        "the chosen one comes first by address"
    };
    format!("suitable, but {why}")
}

fn reason(best: &Score, only: bool) -> String {
    if best.not_free {
        return "none is free now, and the first one that is when the VM starts will do".to_owned();
    }
    match (only, best.not_the_last, best.named_by_another) {
        (true, ..) => "the only one that is free",
        (false, false, _) => "the VM had it last, and it is free",
        (false, true, true) => "every one is in another VM's definition too, and this one is free now",
        (false, true, false) => "it is free, and in no other VM's definition",
    }
    .to_owned()
}

/// Whose devices count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// Those of running VMs.
    Running,
    /// Those in any definition, too.
    Defined,
}

/// The GPUs and virtual functions that other domains have, or name in their definitions.
pub fn named_by_others(domain: &Domain, observed: &Observed, naming: Naming) -> BTreeSet<PciAddress> {
    let others = observed.domains.known().into_iter().flatten().filter(|other| other.uuid != domain.uuid);
    let devices = others.flat_map(|other| {
        let config: &[Hostdev] = if naming == Naming::Running { &[] } else { &other.config };
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
