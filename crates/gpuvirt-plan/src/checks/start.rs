//! Checks on a domain that is about to start: whether it may have its host devices, and what is still to be made.
//!
//! The host devices are judged, whatever put them there; requests tell what may be made for them. Whatever concerns
//! unmanaged GPUs, and devices that are no GPUs', is let through: that is libvirt's and the admin's business.
//!
//! What vSphere refuses at a power-on, and what says its sense here:
//!
//! | vSphere's words, in short | here |
//! |---|---|
//! | graphics resource is insufficient | `no-capacity`, `capacity-reserved`, `profile-not-offered`, `not-shared-direct` |
//! | memory reservation should be equal to memsize | `memory-not-lockable` |
//! | total number of pages needed exceeds limit | none: firmware and QEMU size the guest's window themselves |
//! | device is not a passthrough device | `not-passthrough` |
//! | the device at that address does not match | `identity-changed` |
//! | IOMMU virtualization is not allowed with vGPU | `viommu-with-vgpu` |
//! | virtualization with a passthrough device | none: nested virtualization works beside one |
//! | not in the allowed passthrough list | `not-passthrough`, at edit |

use std::collections::BTreeSet;

use gpuvirt_model::{
    Desired, Domain, Function, Gpu, GraphicsType, Holder, HostMemory, Hostdev, Observed, PciAddress,
    ProfileName, Records, Refusal, RefusalCode, Request, Vgpu, VgpuId, VgpuParams, Wanted, When,
};

use super::domain::Device;
use super::guest::{Judged, Moment};
use super::holder::shell_word;
use super::{list, with_explain};
use crate::placement::{self, Details, HostPicture, Room};

/// A domain that is about to start: what the checks look at.
#[derive(Debug, Clone, Copy)]
pub struct Start<'a> {
    /// It, with the host devices that QEMU is to get as its `config`.
    pub domain: &'a Domain,
    /// The fresh picture. Its domains are those that run or start now, as far as is known without libvirt.
    pub observed: &'a Observed,
    /// The desired document.
    pub desired: &'a Desired,
    /// What we made.
    pub records: &'a Records,
    /// GPUs on which nothing is changed until they are recovered.
    pub hands_off: &'a BTreeSet<PciAddress>,
    /// The host's memory now, where it is known.
    pub memory: Option<&'a HostMemory>,
    /// What placement minds besides.
    pub details: &'a Details,
}

/// What is to be said of a start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judgement {
    /// Everything that is in the way.
    pub refusals: Vec<Refusal>,
    /// What must be made first, in document order.
    pub missing: Vec<Missing>,
    /// Cards that are lent to VMs and are to become direct first.
    pub lent: Vec<PciAddress>,
}

/// A vGPU that a request asks for and that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// What names it: the hostdev does.
    pub id: VgpuId,
    /// Its profile.
    pub profile: ProfileName,
    /// Its parameters.
    pub params: VgpuParams,
    /// A vGPU of ours for an earlier start of this domain is in its place, and goes first.
    pub replaces: bool,
}

/// Judges a start. With any refusal, nothing may be made.
pub fn judge(start: &Start<'_>) -> Judgement {
    let mut judgement = Judgement::default();
    let requests = &start.domain.requests;
    if let (true, Some(uuid)) = (requests.of_another(start.domain.uuid), requests.domain) {
        let because = format!("its device requests are those of the domain {uuid} that it was cloned from");
        let see = format!("gpuvirt vm show {}", shell_word(&start.domain.name));
        judgement.refusals.push(start.refuse(RefusalCode::ClonedRequest, because, vec![see]));
        return judgement;
    }
    judgement.refusals.extend(mixed_modes(start.domain, &start.domain.config, start.observed).map(
        |because| {
            let see = format!("take one of them out: gpuvirt vm show {}", shell_word(&start.domain.name));
            start.refuse(RefusalCode::MixedModes, because, vec![see])
        },
    ));
    let devices = super::several::devices_of(start.domain, start.observed);
    let vm = start.domain.name.as_str();
    let wanted = super::several::wanted_of(&start.domain.requests);
    let together = super::several::together(vm, &devices, &wanted, start.observed);
    judgement.refusals.extend(together.refusals);
    let ours: Vec<Device> = devices.into_iter().filter(|device| start.is_ours(*device)).collect();
    let judged = Judged { vm, guest: &start.domain.guest, devices: &ours, memory: start.memory };
    let of_guest = super::guest::refusals(&judged, Moment::Now).into_iter();
    judgement.refusals.extend(of_guest.map(|(code, because, remedy)| start.refuse(code, because, remedy)));
    let mut seen = BTreeSet::new();
    for device in &start.domain.config {
        match device {
            Hostdev::Mdev { uuid } => start.mdev(VgpuId::Mdev(*uuid), &mut judgement),
            Hostdev::Pci { address, .. } => match start.observed.functions.get(address) {
                None => judgement.refusals.extend(start.absent(*address)),
                Some(function) => {
                    let Some(gpu) = start.observed.gpu_of(*address) else { continue };
                    if function.physfn.is_some() {
                        start.vf(function, gpu, &mut judgement);
                    } else if seen.insert(gpu.address) {
                        start.card(gpu, device, &mut judgement);
                    }
                }
            },
        }
    }
    judgement.refusals.extend(start.room_for(&judgement.missing));
    judgement
}

/// Why these devices are both modes in one VM: a whole GPU and a vGPU.
pub fn mixed_modes(domain: &Domain, devices: &[Hostdev], observed: &Observed) -> Option<String> {
    let is_vf = |address: &PciAddress| observed.functions.get(address).is_some_and(|f| f.physfn.is_some());
    let whole = devices.iter().find_map(|device| match device {
        Hostdev::Pci { address, .. } if !is_vf(address) => observed.gpu_of(*address).map(|gpu| gpu.address),
        _ => None,
    })?;
    let share = devices.iter().find_map(|device| match device {
        // One that is not there yet counts when a request of ours asks for it.
        Hostdev::Mdev { uuid } => {
            let known = observed.vgpus.contains_key(&VgpuId::Mdev(*uuid));
            (known || domain.requests.of_device(device).is_some()).then(|| format!("the vGPU {uuid}"))
        }
        Hostdev::Pci { address, .. } => {
            let gpu = is_vf(address).then(|| observed.gpu_of(*address)).flatten()?;
            Some(format!("the vGPU {address}, a share of {}", gpu.address))
        }
    })?;
    Some(format!("it has the whole GPU {whole} and {share}"))
}

impl Start<'_> {
    /// Whether a device is of a GPU that is managed, or asked for by a request.
    fn is_ours(&self, device: Device) -> bool {
        let managed = |address| {
            let gpu = self.observed.gpu_of(address);
            gpu.is_some_and(|gpu| self.desired.gpu(gpu.address).is_some())
        };
        match device {
            Device::Gpu(address) => managed(address),
            Device::Vgpu(id) | Device::NewVgpu(id) => {
                let parent = id.vf().or_else(|| self.observed.vgpus.get(&id).map(|vgpu| vgpu.parent));
                parent.is_some_and(managed) || self.domain.requests.of_device(&id.hostdev()).is_some()
            }
        }
    }

    fn refuse(&self, code: RefusalCode, because: String, remedy: Vec<String>) -> Refusal {
        let summary = format!("VM {} cannot start", self.domain.name);
        Refusal { code, summary, because, remedy: with_explain(code, remedy) }
    }

    fn start_command(&self) -> String {
        format!("gpuvirt vm start {}, which chooses another one", shell_word(&self.domain.name))
    }

    /// A function that this host does not have. Only one of a GPU that we know of is our business.
    fn absent(&self, address: PciAddress) -> Option<Refusal> {
        let device = Hostdev::Pci { address, managed: false };
        let request = self.domain.requests.of_device(&device);
        let managed = self.desired.gpus.iter().any(|gpu| gpu.address.same_slot(&address));
        let remedy = match request.map(|request| &request.wanted) {
            Some(Wanted::Profile { .. } | Wanted::Match { .. }) => self.start_command(),
            _ => "gpuvirt gpu list shows what is there".to_owned(),
        };
        (managed || request.is_some()).then(|| {
            let because = format!("{address} is not on this host now");
            self.refuse(RefusalCode::GpuNotFound, because, vec![remedy])
        })
    }

    /// What is in the way on a managed GPU, whichever way it is used: another card, or one that is left alone.
    fn untrusted(&self, gpu: &Gpu) -> Option<Refusal> {
        let entry = self.desired.gpu(gpu.address)?;
        let found = self.observed.primary_of(gpu).map(|function| function.identity);
        if found != Some(entry.identity) {
            let now = found.map_or_else(|| "something unreadable".to_owned(), |found| found.to_string());
            let because =
                format!("{now} sits at {}, which was configured as {}", gpu.address, entry.identity);
            let again = format!("gpuvirt gpu unset {}, then configure it anew", gpu.address);
            return Some(self.refuse(RefusalCode::IdentityChanged, because, vec![again]));
        }
        self.hands_off.contains(&gpu.address).then(|| {
            let because = format!("a change of {} neither succeeded nor could be undone", gpu.address);
            self.refuse(RefusalCode::HandsOff, because, vec!["gpuvirt recover".to_owned()])
        })
    }

    /// A whole GPU.
    fn card(&self, gpu: &Gpu, device: &Hostdev, judgement: &mut Judgement) {
        let request = self.domain.requests.of_device(device);
        let mut found: Vec<Refusal> =
            request.and_then(|request| self.other_card(gpu, request)).into_iter().collect();
        let Some(entry) = self.desired.gpu(gpu.address) else { return judgement.refusals.extend(found) };
        found.extend(self.untrusted(gpu));
        if !found.is_empty() {
            return judgement.refusals.extend(found);
        }
        let configured = entry.graphics_type.resolve(&self.desired.host);
        let active = gpu.active_type(Some(configured));
        let lent = entry.when == When::Vm && configured == GraphicsType::Direct;
        if lent && active != GraphicsType::Direct {
            judgement.lent.push(gpu.address);
        } else if active != GraphicsType::Direct {
            let set = format!("gpuvirt gpu set {} --type direct", gpu.address);
            let because = format!("its GPU {} is {active}, not direct", gpu.address);
            found.push(self.refuse(RefusalCode::NotPassthrough, because, vec![set]));
        }
        let same = |other: &Hostdev| match other {
            Hostdev::Pci { address, .. } => gpu.functions.contains(address),
            Hostdev::Mdev { .. } => false,
        };
        let holders = (active == GraphicsType::Direct).then_some(&gpu.holders.seen);
        let what = format!("GPU {}", gpu.address);
        found.extend(self.held(RefusalCode::GpuInUse, &what, &same, holders.into_iter().flatten()));
        judgement.refusals.extend(found);
    }

    /// The card that the request asked for is not the one at the address.
    fn other_card(&self, gpu: &Gpu, request: &Request) -> Option<Refusal> {
        let found = self.observed.primary_of(gpu)?.identity;
        match &request.wanted {
            Wanted::Gpu { identity, .. } if *identity != found => {
                let because = format!("{found} sits at {}, and its request is for {identity}", gpu.address);
                let name = shell_word(&self.domain.name);
                let again = format!(
                    "gpuvirt vm remove {name} {}, then gpuvirt vm add {name} --gpu for the card that it is to have",
                    gpu.address
                );
                Some(self.refuse(RefusalCode::IdentityChanged, because, vec![again]))
            }
            Wanted::Match { kind } if !kind.ids.fits(&found) => {
                let because = format!("{} is {found}, and its request is for {}", gpu.address, kind.ids);
                Some(self.refuse(RefusalCode::RequestUnmet, because, vec![self.start_command()]))
            }
            Wanted::Match { kind } => self.other_label(gpu, kind.label.as_deref()?),
            _ => None,
        }
    }

    /// The card lost the label that the request asks for, or another one was given to it.
    fn other_label(&self, gpu: &Gpu, wanted: &str) -> Option<Refusal> {
        let found = self.desired.gpu(gpu.address).and_then(|entry| entry.label.as_deref());
        (found != Some(wanted)).then(|| {
            let has = found.map_or_else(|| "has no label".to_owned(), |found| format!("is labelled {found}"));
            let because = format!("{} {has}, and its request is for one labelled {wanted}", gpu.address);
            self.refuse(RefusalCode::RequestUnmet, because, vec![self.start_command()])
        })
    }

    /// Another VM, or somebody else, has it.
    fn held<'h>(
        &self,
        code: RefusalCode,
        what: &str,
        same: &dyn Fn(&Hostdev) -> bool,
        holders: impl Iterator<Item = &'h Holder>,
    ) -> Option<Refusal> {
        let others = self.observed.domains.known().into_iter().flatten();
        let other =
            others.filter(|other| other.uuid != self.domain.uuid).find(|other| other.live.iter().any(same));
        if let Some(other) = other {
            let stop = format!("shut that VM down: virsh shutdown -- {}", shell_word(&other.name));
            return Some(self.refuse(code, format!("VM {} runs with its {what}", other.name), vec![stop]));
        }
        let processes: Vec<&Holder> =
            holders.filter(|holder| matches!(holder, Holder::Process { .. })).collect();
        (!processes.is_empty()).then(|| {
            let because = format!("its {what} is held by {}", list(&processes));
            self.refuse(code, because, vec!["stop what uses it, and try again".to_owned()])
        })
    }

    /// A mediated device.
    fn mdev(&self, id: VgpuId, judgement: &mut Judgement) {
        let device = id.hostdev();
        let request = self.domain.requests.of_device(&device);
        if let Some(vgpu) = self.observed.vgpus.get(&id) {
            return self.there(vgpu, request, judgement);
        }
        match request.map(|request| &request.wanted) {
            Some(Wanted::Profile { profile, params }) => self.missing(id, profile, params, judgement),
            Some(_) => judgement.refusals.push(self.vgpu_gone(id)),
            None => {
                let ours = self.records.vgpus.contains_key(&id)
                    || self.desired.gpus.iter().flat_map(|gpu| &gpu.vgpus).any(|vgpu| vgpu.id == id);
                judgement.refusals.extend(ours.then(|| self.vgpu_gone(id)));
            }
        }
    }

    fn vgpu_gone(&self, id: VgpuId) -> Refusal {
        let because = format!("its vGPU {id} is not there, and no request says which profile it had");
        let make = match id {
            VgpuId::Mdev(uuid) => format!("gpuvirt vgpu create --gpu GPU --profile PROFILE --uuid {uuid}"),
            VgpuId::Vf(_) => "gpuvirt vgpu create --gpu GPU --profile PROFILE".to_owned(),
        };
        self.refuse(RefusalCode::VgpuNotFound, because, vec![make])
    }

    /// A vGPU that is to be made: whether it fits is seen when all are known.
    fn missing(&self, id: VgpuId, profile: &ProfileName, params: &VgpuParams, judgement: &mut Judgement) {
        let (profile, params) = (profile.clone(), params.clone());
        judgement.missing.push(Missing { id, profile, params, replaces: false });
    }

    /// Whether all that is to be made fits, each on what the others leave.
    fn room_for(&self, missing: &[Missing]) -> Vec<Refusal> {
        if missing.is_empty() {
            return Vec::new();
        }
        let Self { observed, desired, records, details, .. } = *self;
        let mut room = Room::of(&HostPicture { observed, desired, records, details });
        let ids: Vec<VgpuId> = missing.iter().map(|missing| missing.id).collect();
        let mut found = Vec::new();
        // Those that have a place already, and give it up, need no other one.
        for missing in missing.iter().filter(|missing| !missing.replaces) {
            let numa_node = self.domain.guest.numa_node;
            let request =
                placement::Request { vgpus: &ids, numa_node, ..placement::Request::one(&missing.profile) };
            match self.place(missing, &request, &room) {
                Ok(gpu) => room.take(gpu, &missing.profile),
                Err((code, because)) => {
                    let other_vf = missing.id.vf().map(|_| self.start_command());
                    let free = other_vf.unwrap_or_else(|| match code {
                        RefusalCode::Maintenance => "gpuvirt host maintenance off".to_owned(),
                        _ => "stop a VM that has one: gpuvirt vgpu list".to_owned(),
                    });
                    let refusal = self.refuse(code, because, vec![free]);
                    if !found.contains(&refusal) {
                        found.push(refusal);
                    }
                }
            }
        }
        found
    }

    /// The GPU for one of them: that of the virtual function that the definition names, or the one that is chosen.
    fn place(
        &self,
        missing: &Missing,
        request: &placement::Request<'_>,
        room: &Room<'_>,
    ) -> Result<PciAddress, (RefusalCode, String)> {
        let profile = &missing.profile;
        let cannot = |why: &str| format!("no vGPU of profile {profile} can be made for it: {why}");
        let Some(vf) = missing.id.vf() else {
            return room.choose(request).map(|choice| choice.gpu).map_err(|refusal| {
                let code = match refusal.code {
                    RefusalCode::NoSuitableGpu => RefusalCode::NoCapacity,
                    other => other,
                };
                (code, cannot(&refusal.because))
            });
        };
        let gpu = self.observed.gpu_of(vf).ok_or((RefusalCode::GpuNotFound, cannot("it is not there")))?;
        if let Some(obstacle) = room.obstacle(request, gpu.address) {
            return Err((obstacle.code, cannot(&format!("{}: {}", gpu.address, obstacle.because))));
        }
        let offers = |offer: &gpuvirt_model::Profile| {
            offer.parent == vf && offer.name == *profile && offer.available > 0
        };
        let here = gpu.profiles.iter().any(offers);
        here.then_some(gpu.address)
            .ok_or_else(|| (RefusalCode::NoCapacity, cannot(&format!("{vf} has no room for it now"))))
    }

    /// A vGPU that is there: nobody else's, and what was asked for.
    fn there(&self, vgpu: &Vgpu, request: Option<&Request>, judgement: &mut Judgement) {
        let record = self.records.vgpus.get(&vgpu.id).filter(|_| self.records.made(vgpu));
        let made_for = record.and_then(|record| record.domain);
        let same = |other: &Hostdev| other.same_device(&vgpu.id.hostdev());
        let what = format!("vGPU {}", vgpu.id);
        let held = self.held(RefusalCode::VgpuInUse, &what, &same, vgpu.holders.seen.iter());
        if let Some(refusal) = held {
            judgement.refusals.push(refusal);
        } else if let Some(other) = made_for.filter(|other| *other != self.domain.uuid) {
            let because =
                format!("its {what} was made for the start of another VM ({other}) and goes with that");
            let remedy = "give it a vGPU of its own: gpuvirt vm add".to_owned();
            judgement.refusals.push(self.refuse(RefusalCode::VgpuInUse, because, vec![remedy]));
        } else if let Some(Wanted::Profile { profile, params }) = request.map(|request| &request.wanted) {
            if vgpu.removing || vgpu.profile != *profile {
                self.another(vgpu, profile, params, made_for.is_some(), judgement);
            }
        } else if vgpu.removing {
            let because = format!("a removal of its {what} waits in the kernel");
            let wait = "try again when that has ended: gpuvirt status".to_owned();
            judgement.refusals.push(self.refuse(RefusalCode::VgpuInUse, because, vec![wait]));
        }
    }

    /// A vGPU of another profile than asked for: ours of an earlier start of this domain is replaced, no other.
    fn another(
        &self,
        vgpu: &Vgpu,
        profile: &ProfileName,
        params: &VgpuParams,
        ours: bool,
        judgement: &mut Judgement,
    ) {
        if ours && !vgpu.removing {
            let (profile, params) = (profile.clone(), params.clone());
            return judgement.missing.push(Missing { id: vgpu.id, profile, params, replaces: true });
        }
        let because =
            format!("its vGPU {} has profile {}, and its request is for {profile}", vgpu.id, vgpu.profile);
        judgement.refusals.push(self.refuse(RefusalCode::RequestUnmet, because, vec![self.start_command()]));
    }

    /// A virtual function.
    fn vf(&self, vf: &Function, gpu: &Gpu, judgement: &mut Judgement) {
        let Some(entry) = self.desired.gpu(gpu.address) else { return };
        if let Some(refusal) = self.untrusted(gpu) {
            return judgement.refusals.push(refusal);
        }
        let kind = entry.graphics_type.resolve(&self.desired.host);
        if kind != GraphicsType::SharedDirect {
            let because = format!(
                "its vGPU {} is a share of {}, which is configured as {kind}",
                vf.address, gpu.address
            );
            let set = format!("gpuvirt gpu set {} --type shared-direct", gpu.address);
            return judgement.refusals.push(self.refuse(RefusalCode::NotSharedDirect, because, vec![set]));
        }
        let id = VgpuId::Vf(vf.address);
        let request = self.domain.requests.of_device(&id.hostdev());
        match (self.observed.vgpus.get(&id), request.map(|request| &request.wanted)) {
            (Some(vgpu), _) => self.there(vgpu, request, judgement),
            (None, Some(Wanted::Profile { profile, params })) => self.missing(id, profile, params, judgement),
            (None, _) => judgement.refusals.push(self.vgpu_gone(id)),
        }
    }
}
