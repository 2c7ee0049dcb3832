//! `vm add` and `vm remove` as requests: what a VM asks for goes into its metadata, and a host device with it.

use std::collections::BTreeSet;

use gpuvirt_domain::{Added, Device, GpuForGuest, set_requests};
use gpuvirt_model::{
    CardMatch, Domain, Framework, GraphicsType, Hostdev, PciAddress, Profile, ProfileName, Refusal,
    RefusalCode, Request, Requests, VgpuId, VgpuParams, Wanted, chain,
};
use gpuvirt_plan::checks::{self, guest::Moment};
use gpuvirt_plan::placement::{
    self, Details, Naming, Room, WholeChoice, WholeRequest, choose_whole, named_by_others,
};
use uuid::Uuid;

use crate::definition::{Definition, Edit, as_guest_device, not_editable};
use crate::placement::picture;
use crate::{DeviceRequest, EngineError, View};

/// What a VM is to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VmRequest {
    /// A device that is there now.
    Device(DeviceRequest),
    /// vGPUs of a profile, one for each uuid: where they are mediated devices those are their names, chosen by
    /// whoever asks.
    Profile {
        /// The profile.
        profile: ProfileName,
        /// Parameters for the vendor's driver.
        params: VgpuParams,
        /// As many as are wanted.
        uuids: Vec<Uuid>,
    },
    /// A whole GPU of a kind.
    Match(CardMatch),
}

/// What a VM is to ask for, and what whoever orders it comes back with, where the answer was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VmOrder {
    /// What it is to ask for.
    pub request: VmRequest,
    /// The order's key.
    pub key: Option<Uuid>,
}

impl<R: Into<VmRequest>> From<R> for VmOrder {
    fn from(request: R) -> Self {
        Self { request: request.into(), key: None }
    }
}

impl VmOrder {
    /// Whether the domain has every device that this order brought it.
    ///
    /// A device that is named is found by its name; only what was chosen is known by its key alone.
    pub(crate) fn is_done(&self, domain: &Domain) -> bool {
        let wanted = match &self.request {
            VmRequest::Device(_) => return false,
            VmRequest::Profile { profile, params, .. } => {
                Wanted::Profile { profile: profile.clone(), params: params.clone() }
            }
            VmRequest::Match(kind) => Wanted::Match { kind: kind.clone() },
        };
        let of_it =
            |request: &&Request| self.key.is_some() && request.key == self.key && request.wanted == wanted;
        let mut brought = domain.requests.list.iter().filter(of_it).peekable();
        brought.peek().is_some() && brought.all(|request| request.assigned.is_some())
    }
}

impl From<DeviceRequest> for VmRequest {
    fn from(device: DeviceRequest) -> Self {
        Self::Device(device)
    }
}

impl std::fmt::Display for VmRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Device(device) => device.fmt(f),
            Self::Profile { profile, uuids, .. } if uuids.len() == 1 => {
                write!(f, "a vGPU of profile {profile}")
            }
            Self::Profile { profile, uuids, .. } => write!(f, "{} vGPUs of profile {profile}", uuids.len()),
            Self::Match(kind) => write!(f, "a GPU {}", kind.ids),
        }
    }
}

/// A request with the device that it gets.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    pub(crate) wanted: Wanted,
    pub(crate) device: Device,
    /// The same for the checks.
    pub(crate) checked: checks::domain::Device,
}

/// Who asks, and what it is decided on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asking<'a> {
    pub(crate) domain: &'a Domain,
    pub(crate) view: &'a View,
    pub(crate) details: &'a Details,
}

/// The whole GPUs that a domain has in its definition for other requests. One whose request lost its device gets it
/// back.
fn whole_gpus(domain: &Domain, view: &View) -> BTreeSet<PciAddress> {
    let devices = checks::several::devices_of(domain, &view.observed).into_iter();
    let whole = |device| match device {
        checks::domain::Device::Gpu(gpu) => Some(gpu),
        checks::domain::Device::Vgpu(_) | checks::domain::Device::NewVgpu(_) => None,
    };
    devices.filter_map(whole).collect()
}

/// The devices that a request gets now. For what is made or chosen at the start it is the last word only if it fits
/// then too.
///
/// # Errors
/// [`EngineError::Refused`] when there is nothing that it could get.
pub(crate) fn grants(asking: &Asking<'_>, request: &VmRequest) -> Result<Vec<Grant>, EngineError> {
    let Asking { domain, view, details } = *asking;
    match request {
        VmRequest::Device(DeviceRequest::Gpu(gpu)) => {
            let device = as_guest_device(view, DeviceRequest::Gpu(*gpu))?;
            let primary = view.observed.functions.get(gpu);
            let missing = || EngineError::Refused(vec![checks::not_found(*gpu, &view.observed)]);
            let identity = primary.ok_or_else(missing)?.identity;
            let wanted = Wanted::Gpu { gpu: *gpu, identity };
            Ok(vec![Grant { wanted, device, checked: checks::domain::Device::Gpu(*gpu) }])
        }
        VmRequest::Device(DeviceRequest::Vgpu(id)) => {
            let device = as_guest_device(view, DeviceRequest::Vgpu(*id))?;
            Ok(vec![Grant {
                wanted: Wanted::Vgpu { vgpu: *id },
                device,
                checked: checks::domain::Device::Vgpu(*id),
            }])
        }
        VmRequest::Profile { profile, params, uuids } => {
            let wanted = Wanted::Profile { profile: profile.clone(), params: params.clone() };
            let ids = vgpu_ids(asking, profile, uuids)?;
            Ok(ids.into_iter().map(|id| vgpu_grant(wanted.clone(), id)).collect())
        }
        VmRequest::Match(kind) => {
            let besides = whole_gpus(domain, view);
            let wanted = WholeRequest { kind, domain, besides: &besides, moment: Moment::Later };
            let gpu = card_grant(&wanted, view, details)?.gpu;
            let device = as_guest_device(view, DeviceRequest::Gpu(gpu))?;
            let wanted = Wanted::Match { kind: kind.clone() };
            Ok(vec![Grant { wanted, device, checked: checks::domain::Device::Gpu(gpu) }])
        }
    }
}

impl Grant {
    /// A vGPU that is made at the start, with its profile.
    pub(crate) fn new_vgpu(&self) -> Option<(VgpuId, ProfileName)> {
        match (&self.wanted, self.checked) {
            (Wanted::Profile { profile, .. }, checks::domain::Device::NewVgpu(id)) => {
                Some((id, profile.clone()))
            }
            _ => None,
        }
    }
}

fn vgpu_grant(wanted: Wanted, id: VgpuId) -> Grant {
    let device = match id {
        VgpuId::Mdev(uuid) => Device::Mdev(uuid),
        VgpuId::Vf(vf) => Device::Gpu(GpuForGuest::single(vf)),
    };
    Grant { wanted, device, checked: checks::domain::Device::NewVgpu(id) }
}

/// A whole GPU of a kind, chosen.
///
/// # Errors
/// [`EngineError::Refused`] with a line for each GPU of that kind.
pub(crate) fn card_grant(
    wanted: &WholeRequest<'_>,
    view: &View,
    details: &Details,
) -> Result<WholeChoice, EngineError> {
    choose_whole(wanted, &picture(view, details)).map_err(|rejected| {
        let see = "gpuvirt gpu set GPU --type direct, for one of that kind".to_owned();
        let because = format!("no GPU {} is free for it: {}", wanted.kind.ids, rejected.join("; "));
        no_gpu(wanted.domain, &because, see)
    })
}

/// What will name the vGPUs: the uuids where a GPU makes mediated devices, else virtual functions that have room now.
fn vgpu_ids(asking: &Asking<'_>, profile: &ProfileName, uuids: &[Uuid]) -> Result<Vec<VgpuId>, EngineError> {
    let Asking { domain, view, details } = *asking;
    if offered_as_mdev(view, profile) {
        return Ok(uuids.iter().copied().map(VgpuId::Mdev).collect());
    }
    let mut own: BTreeSet<PciAddress> = domain.config.iter().filter_map(function_of).collect();
    let mut room = Room::of(&picture(view, details));
    uuids.iter().map(|_| some_vf(asking, profile, &mut room, &mut own)).collect()
}

fn function_of(device: &Hostdev) -> Option<PciAddress> {
    match device {
        Hostdev::Pci { address, .. } => Some(*address),
        Hostdev::Mdev { .. } => None,
    }
}

/// A virtual function of the GPU that placement would choose now; one that no definition names, where there is one. With
/// no room now, one that the VM may have when another one has ended: room is a matter of its start.
fn some_vf(
    asking: &Asking<'_>,
    profile: &ProfileName,
    room: &mut Room<'_>,
    own: &mut BTreeSet<PciAddress>,
) -> Result<VgpuId, EngineError> {
    let Asking { domain, view, .. } = *asking;
    let numa_node = domain.guest.numa_node;
    let wanted = placement::Request { numa_node, ..placement::Request::one(profile) };
    let others = named_by_others(domain, &view.observed, Naming::Defined);
    let now = room.choose(&wanted);
    let chosen = now.as_ref().ok().and_then(|chosen| view.observed.gpus.get(&chosen.gpu));
    let fits = |offer: &&Profile| offer.name == *profile && !own.contains(&offer.parent);
    let free = |offer: &&Profile| offer.available > 0 && !others.contains(&offer.parent);
    let best = chosen.and_then(|gpu| gpu.profiles.iter().filter(fits).find(free));
    let vf = best.or_else(|| offers_for_vgpus(view).find(fits)).map(|offer| offer.parent);
    let vf = vf.ok_or_else(|| match now {
        Err(refusal) => EngineError::Refused(vec![*refusal]),
        Ok(_) => {
            let because = format!("it has every virtual function that offers {profile}");
            no_gpu(domain, &because, "gpuvirt profile list".to_owned())
        }
    })?;
    if let (Some(gpu), true) = (chosen, best.is_some()) {
        room.take(gpu.address, profile);
    }
    own.insert(vf);
    Ok(VgpuId::Vf(vf))
}

/// Whether a GPU that makes vGPUs offers the profile as mediated devices, room or not.
fn offered_as_mdev(view: &View, profile: &ProfileName) -> bool {
    offers_for_vgpus(view).any(|offer| offer.name == *profile && offer.framework == Framework::Mdev)
}

/// What the GPUs offer that are configured for vGPUs.
fn offers_for_vgpus(view: &View) -> impl Iterator<Item = &Profile> {
    let for_vgpus = |gpu: &&gpuvirt_model::Gpu| {
        let entry = view.desired.gpu(gpu.address);
        entry.is_some_and(|entry| {
            entry.graphics_type.resolve(&view.desired.host) == GraphicsType::SharedDirect
        })
    };
    view.observed.gpus.values().filter(for_vgpus).flat_map(|gpu| &gpu.profiles)
}

pub(crate) fn no_gpu(domain: &Domain, because: &str, remedy: String) -> EngineError {
    let code = RefusalCode::NoSuitableGpu;
    EngineError::Refused(vec![Refusal {
        code,
        summary: format!("VM {} cannot get it", domain.name),
        because: because.to_owned(),
        remedy: vec![remedy, format!("gpuvirt explain {code}")],
    }])
}

/// Requests of the domain's original can't be mixed with its own.
pub(crate) fn not_a_clone(domain: &Domain) -> Result<(), EngineError> {
    let code = RefusalCode::ClonedRequest;
    if !domain.requests.of_another(domain.uuid) {
        return Ok(());
    }
    Err(EngineError::Refused(vec![Refusal {
        code,
        summary: format!("VM {} cannot get another device", domain.name),
        because: "its device requests are those of the domain that it was cloned from".to_owned(),
        remedy: vec![
            format!("take the copied devices out first: gpuvirt vm show {}", domain.name),
            format!("gpuvirt explain {code}"),
        ],
    }]))
}

/// Adds the devices of some grants to a definition, and their requests to its metadata.
pub(crate) fn added(
    name: &str,
    uuid: Uuid,
    (subject, key): (&str, Option<Uuid>),
    grants: &[Grant],
    xml: &str,
) -> Result<Edit, EngineError> {
    let cannot = |why: &dyn std::error::Error| not_editable(name, &chain(why), "virsh edit it by hand");
    let mut edited = xml.to_owned();
    let mut fragments = String::new();
    let mut requests = gpuvirt_domain::read(xml).map_err(|error| cannot(&error))?.requests;
    requests.domain = Some(uuid);
    let before = requests.clone();
    for grant in grants {
        match gpuvirt_domain::add(&edited, &grant.device).map_err(|error| cannot(&error))? {
            Added::Changed { xml, fragment } => {
                edited = xml;
                fragments.push_str(&fragment);
            }
            Added::AlreadyPresent { managed: true, .. } => return Err(managed(name, subject)),
            Added::AlreadyPresent { .. } => {}
        }
        let now = gpuvirt_domain::read(&edited).map_err(|error| cannot(&error))?;
        note(&mut requests, grant, key, &now);
    }
    // libvirt writes metadata in a form of its own: what says the same already is left as it stands.
    if requests != before {
        edited = set_requests(&edited, &requests).map_err(|error| cannot(&error))?;
    }
    if edited == xml {
        let text = format!("VM {name} has {subject} already; nothing to do");
        return Ok(Edit::Nothing(Box::new(crate::Report::unchanged(text))));
    }
    let subject =
        if fragments.is_empty() { format!("the request for {subject}") } else { subject.to_owned() };
    Ok(Edit::Define(Definition { xml: edited, fragment: fragments, subject, verb: "added" }))
}

/// Notes the request of a device that the definition has now; in the place of the same request that lost its device.
fn note(requests: &mut Requests, grant: &Grant, key: Option<Uuid>, now: &gpuvirt_domain::DomainXml) {
    let Some(device) = first_hostdev(&grant.device) else { return };
    if requests.of_device(&device).is_some() {
        return;
    }
    // Only a hostdev of ours has an alias that stays.
    let Some(alias) = now.alias_of(&device) else { return };
    let lost = |request: &Request| request.assigned.is_none() && request.wanted == grant.wanted;
    let at = requests.list.iter().position(lost);
    let id = at.and_then(|at| requests.list.get(at)).map_or_else(|| requests.next_id(), |lost| lost.id);
    let (alias, wanted) = (alias.to_owned(), grant.wanted.clone());
    let request = Request { id, alias, wanted, assigned: Some(device), key };
    match at {
        Some(at) => drop(requests.list.splice(at..=at, [request])),
        None => requests.list.push(request),
    }
}

/// The host device whose alias stands for all of a device.
pub(crate) fn first_hostdev(device: &Device) -> Option<Hostdev> {
    match device {
        Device::Mdev(uuid) => Some(Hostdev::Mdev { uuid: *uuid }),
        Device::Gpu(gpu) => {
            let lowest = gpu.functions().iter().min()?;
            Some(Hostdev::Pci { address: *lowest, managed: false })
        }
    }
}

fn managed(name: &str, subject: &str) -> EngineError {
    EngineError::Refused(vec![Refusal {
        code: RefusalCode::HostdevManaged,
        summary: format!("VM {name} cannot get {subject}"),
        because: "it has the device with managed='yes': libvirt would give it back to a host driver"
            .to_owned(),
        remedy: vec![
            "virsh edit: write managed='no', or delete that hostdev and run this again".to_owned(),
            format!("gpuvirt explain {}", RefusalCode::HostdevManaged),
        ],
    }])
}

/// The requests of a definition without those for a device.
pub(crate) fn without(requests: &Requests, device: &Device) -> Requests {
    let mut left = requests.clone();
    if let Some(gone) = first_hostdev(device).and_then(|device| requests.of_device(&device).map(|r| r.id)) {
        left.list.retain(|request| request.id != gone);
    }
    left
}
