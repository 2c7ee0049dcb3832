//! The choice: each GPU is filtered, those left are scored, and the best one is taken. Every reason is kept.

use std::cmp::Reverse;

use gpuvirt_model::{AssignmentPolicy, Gpu, PciAddress, Refusal, RefusalCode, VgpuMode};
use serde::{Deserialize, Serialize};

use super::card::{Card, Rule};
use super::filter::unsuitable;
use super::kept::Kept;
use super::mixed_size::{Cost, PlacementId};
use super::picture::{Closed, HostPicture};
use super::request::{Request, Unsuitable};
use super::room::Room;

/// Where vGPUs go, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Choice {
    /// The GPU.
    pub gpu: PciAddress,
    /// Where on it each goes: on a mixed-size GPU whose slots are known.
    pub placements: Vec<PlacementId>,
    /// The host's policy.
    pub policy: AssignmentPolicy,
    /// Whether the policy decided among GPUs of this one's kind: it does not in mixed-size and MIG mode.
    pub policy_in_effect: bool,
    /// Why this one, a line each.
    pub reasons: Vec<String>,
    /// Every other GPU, and why not.
    pub rejected: Vec<Rejected>,
}

/// A GPU that was not chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Rejected {
    /// The GPU.
    pub gpu: PciAddress,
    /// Why.
    pub because: String,
}

/// What a request of a VM gets at a start, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Assignment {
    /// The request's number.
    pub request: u32,
    /// What it gets, for people.
    pub text: String,
    /// Why that one.
    pub reasons: Vec<String>,
    /// Every other GPU, and why not.
    pub rejected: Vec<Rejected>,
}

/// What decides between suitable GPUs; the smallest is chosen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Score {
    other_node: bool,
    /// GPUs that the policy decides on, then MIG, then mixed-size, which takes what the others can't.
    kind: u8,
    load: Load,
    cost: Cost,
    gpu: PciAddress,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Load {
    /// The fewest vGPUs first.
    Fewest(u32),
    /// The most vGPUs, or the most free instances, first.
    Most(Reverse<u32>),
}

/// Chooses the GPU for vGPUs.
///
/// # Errors
/// The refusal that says of every GPU why not, boxed for its size.
pub fn choose(request: &Request, host: &HostPicture) -> Result<Choice, Box<Refusal>> {
    Room::of(host).choose(request)
}

impl Room<'_> {
    /// Chooses the GPU for vGPUs. Nothing is taken.
    ///
    /// # Errors
    /// The refusal that says of every GPU why not, boxed for its size.
    pub fn choose(&self, request: &Request<'_>) -> Result<Choice, Box<Refusal>> {
        chosen(request, self)
    }

    /// Why a vGPU can't be made on this GPU, if it can't.
    pub fn obstacle(&self, request: &Request<'_>, gpu: PciAddress) -> Option<Closed> {
        let Some(card) = self.card(gpu) else {
            let because = "it is not on this host".to_owned();
            return Some(Closed { code: RefusalCode::GpuNotFound, because });
        };
        let kept = Kept::of(request, self.host(), || self.open());
        let found = unsuitable(request, self, card, &kept);
        found.map(|Unsuitable { code, because }| Closed { code, because })
    }
}

/// The same on what is left of the cards.
pub(super) fn chosen(request: &Request, room: &Room) -> Result<Choice, Box<Refusal>> {
    let host = room.host();
    let kept = Kept::of(request, host, || room.open());
    let (mut suitable, mut rejected, mut codes) = (Vec::new(), Vec::new(), Vec::new());
    for known in room.cards() {
        let card = &known.1;
        match unsuitable(request, room, known, &kept) {
            None => suitable.push((score(request, host, card), card)),
            Some(reason) => {
                codes.push(reason.code);
                rejected.push(Rejected { gpu: card.gpu, because: reason.because });
            }
        }
    }
    suitable.sort_by(|(a, _), (b, _)| a.cmp(b));
    let Some((best, rest)) = suitable.split_first() else {
        return Err(Box::new(none_suitable(request, host, &codes, &rejected)));
    };
    let (score, card) = best;
    rejected.extend(rest.iter().map(|(other, _)| Rejected {
        gpu: other.gpu,
        because: format!("suitable, but {}", behind(other, score)),
    }));
    rejected.sort_by_key(|rejected| rejected.gpu);
    Ok(Choice {
        gpu: card.gpu,
        placements: card.placements(request.profile, request.count.get()),
        policy: host.desired.host.assignment_policy,
        policy_in_effect: card.obeys_policy(),
        reasons: reasons(request, host, card, rest.is_empty()),
        rejected,
    })
}

/// What forbids a vGPU on a GPU that was named, besides what is checked of every creation: the host's maintenance, a
/// cordon, and room that is kept for others.
pub fn refusals_on(gpu: &Gpu, request: &Request, host: &HostPicture) -> Vec<Refusal> {
    let card = host.card(gpu);
    let closed = host
        .closed(gpu)
        .filter(|closed| matches!(closed.code, RefusalCode::Maintenance | RefusalCode::Cordoned));
    let found =
        closed.map(|closed| Unsuitable { code: closed.code, because: closed.because }).or_else(|| {
            let kept = Kept::of(request, host, || Room::of(host).open());
            kept.for_others(&card)
        });
    let summary = || format!("{} cannot get {request}", gpu.address);
    found.into_iter().map(|reason| refusal(reason.code, summary(), reason.because, gpu.address)).collect()
}

fn score(request: &Request, host: &HostPicture, card: &Card) -> Score {
    let load = match (&card.rule, host.desired.host.assignment_policy) {
        (Rule::Mig(_), _) => Load::Most(Reverse(card.room(request.profile))),
        (Rule::Driver | Rule::SameSize, AssignmentPolicy::Consolidation) => Load::Most(Reverse(card.alive())),
        (Rule::Driver | Rule::SameSize | Rule::MixedSize(_), _) => Load::Fewest(card.alive()),
    };
    Score {
        other_node: request.numa_node.is_some() && request.numa_node != card.numa_node,
        kind: match card.rule {
            Rule::Driver | Rule::SameSize => 0,
            Rule::Mig(_) => 1,
            Rule::MixedSize(_) => 2,
        },
        load,
        cost: card.placement(request.profile).map(|(_, cost)| cost).unwrap_or_default(),
        gpu: card.gpu,
    }
}

/// Why a suitable GPU comes after the chosen one: the first thing in which they differ.
fn behind(other: &Score, chosen: &Score) -> String {
    if other.other_node != chosen.other_node {
        return "it is on another NUMA node".to_owned();
    }
    if other.kind != chosen.kind {
        return "one whose vGPU mode is less flexible can take it".to_owned();
    }
    match (other.load, chosen.load) {
        (Load::Fewest(more), Load::Fewest(fewer)) if more != fewer => {
            format!("it has more vGPUs: {more}, and the chosen one {fewer}")
        }
        (Load::Most(Reverse(fewer)), Load::Most(Reverse(more))) if more != fewer => match chosen.kind {
            1 => format!("it has fewer free GPU instances: {fewer}, and the chosen one {more}"),
            _ => format!("it has fewer vGPUs: {fewer}, and the chosen one {more}"),
        },
        _ if other.cost != chosen.cost => "more would be fragmented there".to_owned(),
        _ => "the chosen one comes first by address".to_owned(),
    }
}

fn reasons(request: &Request, host: &HostPicture, card: &Card, only: bool) -> Vec<String> {
    let policy = host.desired.host.assignment_policy;
    let mut reasons = Vec::new();
    if only {
        reasons.push("the only GPU that can take it".to_owned());
    }
    match (&card.rule, policy) {
        (Rule::Driver | Rule::SameSize, AssignmentPolicy::Performance) if !only => {
            reasons.push(format!("policy performance: it has the fewest vGPUs ({})", card.alive()));
        }
        (Rule::Driver | Rule::SameSize, AssignmentPolicy::Consolidation) if !only => {
            reasons.push(format!("policy consolidation: it has the most vGPUs ({}) and room", card.alive()));
        }
        (Rule::Driver | Rule::SameSize, _) => {}
        (Rule::MixedSize(_), _) => reasons.push(not_in_effect(policy, VgpuMode::MixedSize)),
        (Rule::Mig(_), _) => reasons.push(not_in_effect(policy, VgpuMode::Mig)),
    }
    let ids: Vec<String> =
        card.placements(request.profile, request.count.get()).iter().map(ToString::to_string).collect();
    match ids.as_slice() {
        [] => {}
        [id] => reasons.push(format!("placement ID {id}: the one that fragments least")),
        ids => reasons.push(format!("placement IDs {}: those that fragment least", ids.join(", "))),
    }
    match (request.numa_node, card.numa_node) {
        (Some(wanted), Some(node)) if wanted == node => reasons.push(format!("it is on NUMA node {node}")),
        (Some(wanted), _) => reasons.push(format!("no GPU on NUMA node {wanted} can take it")),
        (None, _) => {}
    }
    reasons
}

fn not_in_effect(policy: AssignmentPolicy, mode: VgpuMode) -> String {
    let rule = match mode {
        VgpuMode::Mig => "the most free GPU instances",
        VgpuMode::SameSize | VgpuMode::MixedSize => "the fewest vGPUs, then the least fragmentation",
    };
    format!("the policy {policy} is not in effect in {mode} mode, where {rule} decides")
}

fn none_suitable(
    request: &Request,
    host: &HostPicture,
    codes: &[RefusalCode],
    rejected: &[Rejected],
) -> Refusal {
    let profile = request.profile;
    let summary = format!("no GPU can take {request}");
    let known = |card: &Card| card.offer(profile).is_some() || card.alive.contains_key(profile);
    let cards = host.cards();
    let code = if host.desired.host.maintenance {
        RefusalCode::Maintenance
    } else if codes.contains(&RefusalCode::CapacityReserved) {
        RefusalCode::CapacityReserved
    } else if !cards.is_empty() && !cards.iter().any(known) {
        RefusalCode::ProfileNotOffered
    } else {
        RefusalCode::NoSuitableGpu
    };
    let lines: Vec<String> = rejected.iter().map(|r| format!("{}: {}", r.gpu, r.because)).collect();
    let because = match code {
        RefusalCode::Maintenance => "the host is in maintenance".to_owned(),
        RefusalCode::ProfileNotOffered => format!("no GPU offers it; offered are {}", offered(&cards)),
        _ if lines.is_empty() => "this host has no GPU".to_owned(),
        _ => lines.join("; "),
    };
    let remedy = match code {
        RefusalCode::Maintenance => "gpuvirt host maintenance off",
        RefusalCode::ProfileNotOffered => "gpuvirt profile list",
        _ => "gpuvirt capacity",
    };
    let remedy = vec![remedy.to_owned(), format!("gpuvirt explain {code}")];
    Refusal { code, summary, because, remedy }
}

fn offered(cards: &[Card]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for offer in cards.iter().flat_map(|card| &card.offers) {
        if !names.contains(&offer.profile.0.as_str()) {
            names.push(&offer.profile.0);
        }
    }
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// A refusal about one GPU.
fn refusal(code: RefusalCode, summary: String, because: String, gpu: PciAddress) -> Refusal {
    let (because, remedy) = match code {
        RefusalCode::Maintenance => (because, "gpuvirt host maintenance off".to_owned()),
        RefusalCode::Cordoned => (format!("{gpu} is cordoned"), format!("gpuvirt gpu uncordon {gpu}")),
        _ => (because, "gpuvirt capacity".to_owned()),
    };
    Refusal { code, summary, because, remedy: vec![remedy, format!("gpuvirt explain {code}")] }
}
