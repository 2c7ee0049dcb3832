//! `vm start`: what requests leave open is chosen, the definition is edited to say so, and libvirt starts the domain.
//!
//! A hook can't change the address of a virtual function or of a card; here is where that is done. libvirt's own hook
//! then judges the start like any other.

use std::collections::BTreeSet;

use gpuvirt_domain::{Device, GpuForGuest, Removed, set_requests};
use gpuvirt_model::{
    CardMatch, Domain, DomainState, Framework, Hostdev, PciAddress, ProfileName, Request, Requests, VgpuId,
    Wanted, chain,
};
use gpuvirt_plan::{checks, first_fit};

use crate::request::{card_grant, first_hostdev, no_gpu, not_a_clone};
use crate::vm::{Definition, Edit, domain, not_editable, whole};
use crate::{Engine, EngineError, Report, View};

/// What a request gets at this start.
struct Choice {
    request: Request,
    /// The device that it gets instead of the last one; none: that will do, or it is made where there is room.
    instead: Option<Device>,
    /// In words.
    text: String,
}

impl Engine {
    /// Starts a domain that is off, with devices chosen for what it asks for. One that runs is left alone.
    ///
    /// # Errors
    /// [`EngineError::Refused`] with every reason, nothing changed; [`EngineError::Failed`] when libvirt did not start it.
    pub fn vm_start(&self, name: &str, dry_run: bool) -> Result<Report, EngineError> {
        let order = (!dry_run).then(|| self.orders.take());
        let view = self.view()?;
        let found = domain(&view, name)?;
        if found.state == DomainState::Active {
            return Ok(Report::unchanged(format!("VM {name} runs already; nothing to do")));
        }
        not_a_clone(found)?;
        let choices = choices(found, &view)?;
        let edited = self.edit(name, dry_run, |xml| chosen(name, &choices, xml))?;
        let told: Vec<&str> = choices.iter().map(|choice| choice.text.as_str()).collect();
        let told = if told.is_empty() { String::new() } else { format!(": {}", told.join("; ")) };
        if dry_run {
            return Ok(Report { xml: edited.xml, ..Report::changed(format!("VM {name} would start{told}")) });
        }
        // A start takes as long as its memory is large; others' changes need not wait for that.
        drop(order);
        self.start_prepared(name)?;
        Ok(Report { xml: edited.xml, ..Report::changed(format!("VM {name} was started{told}")) })
    }

    /// Makes what the definition asks for, hook or no hook, and has libvirt start the domain.
    fn start_prepared(&self, name: &str) -> Result<(), EngineError> {
        let gone = || EngineError::Refused(vec![checks::domain::not_found(name)]);
        let xml = self.domains.inactive_xml(name)?.ok_or_else(gone)?;
        let read = gpuvirt_domain::read(&xml)
            .map_err(|error| not_editable(name, &chain(&error), "virsh edit it by hand"))?;
        let starting = Domain {
            name: read.name,
            uuid: read.uuid.ok_or_else(gone)?,
            state: DomainState::Active,
            autostart: false,
            config: read.hostdevs,
            live: Vec::new(),
            requests: read.requests,
            guest: read.guest,
        };
        self.hook_prepare(&starting)?;
        self.domains.start(name).map_err(|error| {
            self.hook_release(starting.uuid);
            // What is left of it is in the log, and goes with the next occasion.
            let _left = self.remove_released(crate::hook::CREATION_DEADLINE);
            EngineError::Failed { what: chain(&error), now: format!("VM {name} does not run") }
        })
    }
}

fn choices(domain: &Domain, view: &View) -> Result<Vec<Choice>, EngineError> {
    let mut taken = first_fit::named_by_others(domain, &view.observed, true);
    let mut all = Vec::new();
    for request in &domain.requests.list {
        let (instead, text) = match &request.wanted {
            Wanted::Profile { profile, .. } => vgpu(domain, view, request, profile, &mut taken)?,
            Wanted::Match { kind } => card(domain, view, request, kind)?,
            Wanted::Gpu { .. } | Wanted::Vgpu { .. } => (None, "as asked for".to_owned()),
        };
        let text = format!("request-{} ({}) {text}", request.id, request.wanted);
        all.push(Choice { request: request.clone(), instead, text });
    }
    Ok(all)
}

/// A vGPU of a profile: the virtual function that it had last if that will do, else another one; a mediated device is
/// made where there is room when the domain starts.
fn vgpu(
    domain: &Domain,
    view: &View,
    request: &Request,
    profile: &ProfileName,
    taken: &mut BTreeSet<PciAddress>,
) -> Result<(Option<Device>, String), EngineError> {
    let last = match request.assigned {
        Some(Hostdev::Pci { address, .. }) => Some(address),
        Some(Hostdev::Mdev { .. }) | None => None,
    };
    if let Some(vf) = last.filter(|vf| !taken.contains(vf) && still_fits(*vf, domain, view, profile)) {
        taken.insert(vf);
        return Ok((None, format!("gets {vf} again")));
    }
    let wish = first_fit::Wish { profile, gpu: None, parent: None, avoid: taken };
    let placed = first_fit::vgpu(&wish, &view.observed, &view.desired);
    if let Some(Hostdev::Mdev { uuid }) = request.assigned {
        let there = view.observed.vgpus.get(&VgpuId::Mdev(uuid));
        let text = match (there, placed) {
            (Some(vgpu), _) => format!("has its vGPU on {}", vgpu.parent),
            (None, Ok((gpu, _))) => format!("is made on {}", gpu.address),
            (None, Err(rejected)) => return Err(nowhere(domain, profile, &rejected)),
        };
        return Ok((None, text));
    }
    let (_, offer) = placed.map_err(|rejected| nowhere(domain, profile, &rejected))?;
    if offer.framework == Framework::Mdev {
        let text = "has lost its device: remove it and add it again".to_owned();
        return Ok((None, text));
    }
    taken.insert(offer.parent);
    let text = format!("gets {}", offer.parent);
    Ok((Some(Device::Gpu(GpuForGuest::single(offer.parent))), text))
}

fn nowhere(domain: &Domain, profile: &ProfileName, rejected: &[String]) -> EngineError {
    let because = format!("no vGPU of profile {profile} can be made: {}", rejected.join("; "));
    no_gpu(domain, &because, "gpuvirt profile list".to_owned())
}

/// Whether the virtual function is a vGPU of that profile for this domain, or can become one.
fn still_fits(vf: PciAddress, domain: &Domain, view: &View, profile: &ProfileName) -> bool {
    if let Some(found) = view.observed.vgpus.get(&VgpuId::Vf(vf)) {
        let owner = view.records.vgpus.get(&found.id).and_then(|record| record.domain);
        let ours = owner.is_none_or(|owner| owner == domain.uuid);
        return ours && found.profile == *profile && !found.removing && found.holders.seen.is_empty();
    }
    let avoid = BTreeSet::new();
    let wish = first_fit::Wish { profile, gpu: None, parent: Some(vf), avoid: &avoid };
    first_fit::vgpu(&wish, &view.observed, &view.desired).is_ok()
}

/// A card of a kind: the last one if it will do.
fn card(
    domain: &Domain,
    view: &View,
    request: &Request,
    kind: &CardMatch,
) -> Result<(Option<Device>, String), EngineError> {
    let grant = card_grant(domain, view, kind)?;
    let running = first_fit::named_by_others(domain, &view.observed, true);
    let last = match request.assigned {
        Some(Hostdev::Pci { address, .. }) => view.observed.gpu_of(address),
        Some(Hostdev::Mdev { .. }) | None => None,
    };
    if let Some(gpu) = last.filter(|gpu| !running.contains(&gpu.address)) {
        let only: BTreeSet<PciAddress> =
            view.observed.gpus.keys().copied().filter(|other| *other != gpu.address).collect();
        if first_fit::card(kind, &only, &view.observed, &view.desired).is_ok() {
            return Ok((None, format!("gets {} again", gpu.address)));
        }
    }
    let text = match first_hostdev(&grant.device) {
        Some(Hostdev::Pci { address, .. }) => format!("gets {address}"),
        Some(Hostdev::Mdev { .. }) | None => "gets nothing".to_owned(),
    };
    Ok((Some(grant.device), text))
}

/// The definition with the devices that were chosen instead of the last ones.
fn chosen(name: &str, choices: &[Choice], xml: &str) -> Result<Edit, EngineError> {
    let cannot = |why: &dyn std::error::Error| not_editable(name, &chain(why), "virsh edit it by hand");
    let (mut edited, mut fragments) = (xml.to_owned(), String::new());
    for Choice { request, instead, .. } in choices {
        let Some(device) = instead else { continue };
        let now = gpuvirt_domain::read(&edited).map_err(|error| cannot(&error))?;
        if let Some(last) = last_device(request, &now.hostdevs, &now.requests)? {
            if let Removed::Changed { xml, .. } =
                gpuvirt_domain::remove(&edited, &last).map_err(|error| cannot(&error))?
            {
                edited = xml;
            }
        }
        if let gpuvirt_domain::Added::Changed { xml, fragment } =
            gpuvirt_domain::add(&edited, device).map_err(|error| cannot(&error))?
        {
            edited = xml;
            fragments.push_str(&fragment);
        }
        let after = gpuvirt_domain::read(&edited).map_err(|error| cannot(&error))?;
        let alias = first_hostdev(device).and_then(|first| after.alias_of(&first).map(str::to_owned));
        let mut requests = now.requests;
        if let (Some(alias), Some(entry)) =
            (alias, requests.list.iter_mut().find(|entry| entry.id == request.id))
        {
            entry.alias = alias;
        }
        edited = set_requests(&edited, &requests).map_err(|error| cannot(&error))?;
    }
    if edited == xml {
        return Ok(Edit::Nothing(Box::new(Report::unchanged(String::new()))));
    }
    let subject = format!("VM {name}");
    Ok(Edit::Define(Definition { xml: edited, fragment: fragments, subject, verb: "placed" }))
}

/// The device that a request got last.
fn last_device(
    request: &Request,
    devices: &[Hostdev],
    requests: &Requests,
) -> Result<Option<Device>, EngineError> {
    let of_it = |device: &&Hostdev| requests.of_device(device).is_some_and(|found| found.id == request.id);
    let functions = devices.iter().filter(of_it).filter_map(|device| match device {
        Hostdev::Pci { address, .. } => Some(*address),
        Hostdev::Mdev { .. } => None,
    });
    let functions: Vec<PciAddress> = functions.collect();
    let Some(first) = functions.first().copied() else { return Ok(None) };
    whole(functions, first).map(Some)
}
