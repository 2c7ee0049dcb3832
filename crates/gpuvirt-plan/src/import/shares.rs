//! Traces of GPUs that are shared as vGPUs: mdevctl's definitions, mediated devices of domains.

use std::collections::BTreeSet;

use gpuvirt_model::import::{MdevDefinition, Origin};
use gpuvirt_model::{ConfiguredType, DesiredVgpu, Gpu, Hostdev, Observed, PciAddress, ProfileName, VgpuId};
use uuid::Uuid;

use super::{Collected, Contradiction, Sources, Trace, adopt, what_sits_at};

pub(super) fn collect(sources: &Sources<'_>, collected: &mut Collected) {
    for definition in &sources.foreign.mdevs {
        mdevctl(definition, sources, collected);
    }
    for domain in sources.observed.domains.known().into_iter().flatten() {
        for hostdev in &domain.config {
            let Hostdev::Mdev { uuid } = hostdev else { continue };
            let says = format!("VM {} has the mediated device {uuid}", domain.name);
            let trace = Trace::about(&Origin::file("libvirt"), says);
            let defined = defined(*uuid, sources);
            let parent = defined.map(|definition| definition.parent);
            let live = sources.observed.vgpus.get(&VgpuId::Mdev(*uuid)).map(|vgpu| vgpu.parent);
            let gpu = live.or(parent).and_then(|parent| sources.observed.gpu_of(parent));
            // One that lives, or that the document has: another is nothing that the VM could ask for by its uuid.
            let stays = live.is_some() || defined.is_some_and(|definition| definition.auto);
            if let Some(gpu) = gpu.filter(|_| stays && domain.requests.list.is_empty()) {
                collected.after(gpu.address, ConfiguredType::SharedDirect, adopt(domain));
            }
            collected.traces.push(match gpu {
                Some(gpu) => trace.makes(gpu.address, ConfiguredType::SharedDirect),
                None => trace.noting("it does not exist now, and no definition says where it belongs"),
            });
        }
    }
}

/// The definition of a mediated device, of one that its parent's GPU is not here for only where no other one is.
fn defined<'a>(uuid: Uuid, sources: &Sources<'a>) -> Option<&'a MdevDefinition> {
    let of_uuid = || sources.foreign.mdevs.iter().filter(|definition| definition.uuid == uuid);
    of_uuid().find(|definition| is_here(definition, sources)).or_else(|| of_uuid().next())
}

fn is_here(definition: &MdevDefinition, sources: &Sources<'_>) -> bool {
    sources.observed.gpu_of(definition.parent).is_some()
}

/// Mediated devices that are to be made on two functions at once: mdevctl lets one uuid be defined on several parents, of which
/// the one that is there first gets it. A document has it once. A definition for a card that is gone makes nothing.
pub(super) fn defined_twice(sources: &Sources<'_>) -> Vec<Contradiction> {
    let made = sources.foreign.mdevs.iter().filter(|one| one.auto && is_here(one, sources));
    let made: Vec<&MdevDefinition> = made.collect();
    let pairs = made.iter().enumerate().flat_map(|(at, one)| {
        let others = made.iter().skip(at + 1);
        others.filter(|other| other.uuid == one.uuid).map(move |other| (one, other))
    });
    let contradictions = pairs.flat_map(|(one, other)| {
        let text = format!(
            "mediated device {} is to be made on {} by {}, and on {} by {}",
            one.uuid, one.parent, one.origin, other.parent, other.origin
        );
        let gpus = [one, other].into_iter().filter_map(|it| sources.observed.gpu_of(it.parent));
        let gpus: BTreeSet<PciAddress> = gpus.map(|gpu| gpu.address).collect();
        gpus.into_iter().map(move |gpu| Contradiction { gpu, text: text.clone() })
    });
    contradictions.collect()
}

fn mdevctl(definition: &MdevDefinition, sources: &Sources<'_>, collected: &mut Collected) {
    let observed = sources.observed;
    let MdevDefinition { uuid, parent, type_id, .. } = definition;
    let trace =
        Trace::about(&definition.origin, format!("mediated device {uuid} of type {type_id} on {parent}"));
    let Some(gpu) = observed.gpu_of(*parent) else {
        let note = of_no_gpu(definition, sources, collected);
        collected.traces.push(trace.noting(note));
        return;
    };
    let trace = trace.makes(gpu.address, ConfiguredType::SharedDirect);
    if !definition.auto {
        collected.traces.push(trace.noting("started by hand: not part of the document; `gpuvirt vm add VM --profile` makes one when its VM starts"));
        return;
    }
    let Some(profile) = profile(definition, gpu, observed) else {
        let note =
            format!("{} offers no type {type_id} now, so its profile is not known: left out", gpu.address);
        collected.traces.push(trace.noting(note));
        return;
    };
    let id = VgpuId::Mdev(*uuid);
    let vgpu = DesiredVgpu { id, profile, params: definition.params.clone() };
    collected.vgpus.entry(gpu.address).or_default().push(vgpu);
    collected.after(gpu.address, ConfiguredType::SharedDirect, undefine(definition, sources));
    collected.traces.push(match definition.other_attributes.as_slice() {
        [] => trace,
        names => trace.noting(format!("attributes that gpuvirt does not set: {}", names.join(", "))),
    });
}

/// What is told of a definition whose parent is no GPU of this host. One that is started by itself would be made there, and not
/// by the document, once that card is back.
fn of_no_gpu(definition: &MdevDefinition, sources: &Sources<'_>, collected: &mut Collected) -> String {
    let MdevDefinition { uuid, parent, .. } = definition;
    let sits = what_sits_at(*parent, sources.observed);
    if sources.observed.functions.contains_key(parent) {
        return sits;
    }
    let line = undefine_on(*uuid, *parent);
    let twin = defined(*uuid, sources).filter(|other| definition.auto && other.auto);
    if let Some(gpu) = twin.and_then(|other| sources.observed.gpu_of(other.parent)) {
        collected.after(gpu.address, ConfiguredType::SharedDirect, line.clone());
    }
    format!("{sits}; where that is gone for good, `{line}` drops it")
}

/// How mdevctl forgets a definition. Without a parent it forgets all of that uuid, also those that are no part of the document.
fn undefine(definition: &MdevDefinition, sources: &Sources<'_>) -> String {
    let MdevDefinition { uuid, parent, .. } = definition;
    match sources.foreign.mdevs.iter().filter(|other| other.uuid == *uuid).count() {
        0 | 1 => format!("mdevctl undefine --uuid {uuid}"),
        _ => undefine_on(*uuid, *parent),
    }
}

fn undefine_on(uuid: Uuid, parent: PciAddress) -> String {
    format!("mdevctl undefine --parent {parent} --uuid {uuid}")
}

/// The name of a type's profile: as its parent offers it, as another function of the card does, or as the live device has
/// it.
fn profile(definition: &MdevDefinition, gpu: &Gpu, observed: &Observed) -> Option<ProfileName> {
    let of_type = || gpu.profiles.iter().filter(|profile| profile.type_id == definition.type_id);
    let offered = of_type().find(|profile| profile.parent == definition.parent).or_else(|| of_type().next());
    let live = observed.vgpus.get(&VgpuId::Mdev(definition.uuid));
    let live = live.filter(|vgpu| vgpu.type_id == definition.type_id).map(|vgpu| vgpu.profile.clone());
    offered.map(|profile| profile.name.clone()).or(live)
}
