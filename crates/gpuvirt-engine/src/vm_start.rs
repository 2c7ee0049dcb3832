//! `vm start`: what requests leave open is chosen, the definition is edited to say so, and libvirt starts the domain.
//!
//! A hook can't change the address of a virtual function or of a card; here is where that is done. libvirt's own hook
//! then judges the start like any other.

use std::collections::BTreeSet;

use gpuvirt_domain::{Device, GpuForGuest, Removed, set_requests};
use gpuvirt_model::{
    CardMatch, Domain, DomainState, Framework, Hostdev, PciAddress, Profile, ProfileName, Request, Requests,
    VgpuId, Wanted, chain,
};
use gpuvirt_plan::checks::{self, guest::Moment};
use gpuvirt_plan::placement::{
    self, Assignment, Details, Naming, Rejected, Room, WholeRequest, named_by_others,
};

use crate::definition::{Definition, Edit, domain, not_editable, whole};
use crate::placement::picture;
use crate::request::{card_grant, first_hostdev, no_gpu, not_a_clone};
use crate::{Engine, EngineError, Report, View};

/// What a request gets at this start.
struct Choice {
    request: Request,
    /// The device that it gets instead of the last one; none: that will do, or it is made where there is room.
    instead: Option<Device>,
    /// Which, and why.
    told: Assignment,
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
        let details = self.details(&view)?;
        let choices = choices(found, &view, &details)?;
        let edited = self.edit(name, dry_run, |xml| chosen(name, &choices, xml))?;
        let told: Vec<&str> = choices.iter().map(|choice| choice.told.text.as_str()).collect();
        let told = if told.is_empty() { String::new() } else { format!(": {}", told.join("; ")) };
        if dry_run {
            let assignments = choices.into_iter().map(|choice| choice.told).collect();
            let report = Report::changed(format!("VM {name} would start{told}"));
            return Ok(Report { xml: edited.xml, assignments, ..report });
        }
        let assignments = choices.into_iter().map(|choice| choice.told).collect();
        // A start takes as long as its memory is large; others' changes need not wait for that.
        drop(order);
        self.start_prepared(name)?;
        let report = Report::changed(format!("VM {name} was started{told}"));
        Ok(Report { xml: edited.xml, assignments, ..report })
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
        self.domains.start(name).map_err(|error| self.not_started(&starting, &error))
    }
}

/// Chooses for all requests, each on what the others leave.
struct Chooser<'a> {
    domain: &'a Domain,
    view: &'a View,
    details: &'a Details,
    room: Room<'a>,
    /// What names the vGPUs that it asks for: what is kept for those is its own.
    own: Vec<VgpuId>,
    /// Virtual functions that others have, or that an earlier request got.
    taken: BTreeSet<PciAddress>,
    /// GPUs that earlier requests got.
    besides: BTreeSet<PciAddress>,
}

/// What was chosen for one request.
struct Chosen {
    instead: Option<Device>,
    text: String,
    reasons: Vec<String>,
    rejected: Vec<Rejected>,
}

impl Chosen {
    fn kept(text: String) -> Self {
        Self { instead: None, text, reasons: Vec::new(), rejected: Vec::new() }
    }
}

fn choices(domain: &Domain, view: &View, details: &Details) -> Result<Vec<Choice>, EngineError> {
    let of_vgpu = |device: &Hostdev| match device {
        Hostdev::Mdev { uuid } => VgpuId::Mdev(*uuid),
        Hostdev::Pci { address, .. } => VgpuId::Vf(*address),
    };
    let mut chooser = Chooser {
        domain,
        view,
        details,
        room: Room::of(&picture(view, details)),
        own: domain.config.iter().map(of_vgpu).collect(),
        taken: named_by_others(domain, &view.observed, Naming::Running),
        besides: fixed_cards(domain, view),
    };
    let mut all = Vec::new();
    for request in &domain.requests.list {
        let chosen = match &request.wanted {
            Wanted::Profile { profile, .. } => chooser.vgpu(request, profile)?,
            Wanted::Match { kind } => chooser.card(request, kind)?,
            Wanted::Gpu { .. } | Wanted::Vgpu { .. } => Chosen::kept("as asked for".to_owned()),
        };
        let Chosen { instead, text, reasons, rejected } = chosen;
        let text = format!("request-{} ({}) {text}", request.id, request.wanted);
        let told = Assignment { request: request.id, text, reasons, rejected };
        all.push(Choice { request: request.clone(), instead, told });
    }
    Ok(all)
}

/// The whole GPUs in a definition that no request leaves open.
fn fixed_cards(domain: &Domain, view: &View) -> BTreeSet<PciAddress> {
    let open = |device: &Hostdev| {
        let request = domain.requests.of_device(device);
        request.is_some_and(|request| matches!(request.wanted, Wanted::Match { .. }))
    };
    let card = |device: &Hostdev| match device {
        Hostdev::Pci { address, .. } => view.observed.gpu_of(*address).map(|gpu| gpu.address),
        Hostdev::Mdev { .. } => None,
    };
    domain.config.iter().filter(|device| !open(device)).filter_map(card).collect()
}

impl Chooser<'_> {
    /// A vGPU of a profile: the virtual function that it had last if that will do, else another one; a mediated device
    /// is made where there is room when the domain starts.
    fn vgpu(&mut self, request: &Request, profile: &ProfileName) -> Result<Chosen, EngineError> {
        if let Some(Hostdev::Mdev { uuid }) = request.assigned {
            if let Some(vgpu) = self.view.observed.vgpus.get(&VgpuId::Mdev(uuid)) {
                return Ok(Chosen::kept(format!("has its vGPU on {}", vgpu.parent)));
            }
        }
        let own = self.own.clone();
        let numa_node = self.domain.guest.numa_node;
        let wanted = placement::Request { vgpus: &own, numa_node, ..placement::Request::one(profile) };
        let last = match request.assigned {
            Some(Hostdev::Pci { address, .. }) => Some(address),
            Some(Hostdev::Mdev { .. }) | None => None,
        };
        if let Some(vf) = last.filter(|vf| self.still_fits(*vf, &wanted)) {
            self.take(vf, profile);
            return Ok(Chosen::kept(format!("gets {vf} again")));
        }
        let nowhere = |because: &str| {
            let because = format!("no vGPU of profile {profile} can be made: {because}");
            no_gpu(self.domain, &because, "gpuvirt capacity".to_owned())
        };
        let chosen = self.room.choose(&wanted).map_err(|refusal| nowhere(&refusal.because))?;
        let (gpu, reasons, rejected) = (chosen.gpu, chosen.reasons, chosen.rejected);
        let offers = self.view.observed.gpus.get(&gpu).map(|gpu| gpu.profiles.as_slice()).unwrap_or_default();
        let mut offers = offers.iter().filter(|offer| offer.name == *profile && offer.available > 0);
        if matches!(request.assigned, Some(Hostdev::Mdev { .. })) {
            self.room.take(gpu, profile);
            return Ok(Chosen { instead: None, text: format!("is made on {gpu}"), reasons, rejected });
        }
        let free =
            |offer: &&Profile| offer.framework == Framework::Mdev || !self.taken.contains(&offer.parent);
        let offer = offers.find(free).ok_or_else(|| nowhere("no virtual function is free"))?;
        if offer.framework == Framework::Mdev {
            return Ok(Chosen::kept("has lost its device: remove it and add it again".to_owned()));
        }
        let vf = offer.parent;
        self.take(vf, profile);
        let instead = Some(Device::Gpu(GpuForGuest::single(vf)));
        Ok(Chosen { instead, text: format!("gets {vf}"), reasons, rejected })
    }

    fn take(&mut self, vf: PciAddress, profile: &ProfileName) {
        self.taken.insert(vf);
        let there = self.view.observed.vgpus.contains_key(&VgpuId::Vf(vf));
        if let Some(gpu) = self.view.observed.gpu_of(vf).filter(|_| !there) {
            self.room.take(gpu.address, profile);
        }
    }

    /// Whether the virtual function is a vGPU of that profile for this domain, or can become one.
    fn still_fits(&self, vf: PciAddress, wanted: &placement::Request<'_>) -> bool {
        let view = self.view;
        if self.taken.contains(&vf) {
            return false;
        }
        if let Some(found) = view.observed.vgpus.get(&VgpuId::Vf(vf)) {
            let owner = view.records.vgpus.get(&found.id).and_then(|record| record.domain);
            let ours = owner.is_none_or(|owner| owner == self.domain.uuid);
            return ours
                && found.profile == *wanted.profile
                && !found.removing
                && found.holders.seen.is_empty();
        }
        let Some(gpu) = view.observed.gpu_of(vf) else { return false };
        let here =
            |offer: &Profile| offer.parent == vf && offer.name == *wanted.profile && offer.available > 0;
        gpu.profiles.iter().any(here) && self.room.obstacle(wanted, gpu.address).is_none()
    }

    /// A card of a kind: the last one if it will do.
    fn card(&mut self, request: &Request, kind: &CardMatch) -> Result<Chosen, EngineError> {
        let (domain, besides, moment) = (self.domain, &self.besides, Moment::Now);
        let wanted = WholeRequest { kind, domain, besides, moment };
        let grant = card_grant(&wanted, self.view, self.details)?;
        let last = match request.assigned {
            Some(Hostdev::Pci { address, .. }) => self.view.observed.gpu_of(address),
            Some(Hostdev::Mdev { .. }) | None => None,
        };
        let (gpu, reasons, rejected) = (grant.gpu, grant.reasons, grant.rejected);
        self.besides.insert(gpu);
        if last.is_some_and(|last| last.address == gpu) {
            return Ok(Chosen { instead: None, text: format!("gets {gpu} again"), reasons, rejected });
        }
        let functions = self.view.observed.gpus.get(&gpu).map(|gpu| gpu.functions.clone());
        let instead = Some(whole(functions.unwrap_or_default(), gpu)?);
        Ok(Chosen { instead, text: format!("gets {gpu}"), reasons, rejected })
    }
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
        let before = now.requests;
        let mut requests = before.clone();
        if let (Some(alias), Some(entry)) =
            (alias, requests.list.iter_mut().find(|entry| entry.id == request.id))
        {
            entry.alias = alias;
        }
        // What says the same already is left as libvirt wrote it.
        if requests != before {
            edited = set_requests(&edited, &requests).map_err(|error| cannot(&error))?;
        }
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
