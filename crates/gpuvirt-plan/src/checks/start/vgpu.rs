//! A vGPU of a domain that is about to start: one that is there, or that a request asks for.

use gpuvirt_model::{
    Function, Gpu, GraphicsType, Hostdev, ProfileName, Refusal, RefusalCode, Request, Vgpu, VgpuId,
    VgpuParams, Wanted,
};

use super::subject::{Judgement, Missing, Start};
use crate::checks::holder::shell_word;

impl Start<'_> {
    /// A mediated device.
    pub(super) fn mdev(&self, id: VgpuId, judgement: &mut Judgement) {
        let device = id.hostdev();
        let request = self.domain.requests.of_device(&device);
        if let Some(vgpu) = self.observed.vgpus.get(&id) {
            let card = self.observed.gpus.get(&vgpu.gpu);
            return match card.and_then(|card| self.of_card(id, card)) {
                Some(refusal) => judgement.refusals.push(refusal),
                None => self.there(vgpu, request, judgement),
            };
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
            if vgpu.removing {
                // It is made anew when that has ended.
                judgement.refusals.push(self.going(RefusalCode::Busy, vgpu.id));
            } else if vgpu.profile != *profile {
                self.another(vgpu, profile, params, made_for.is_some(), judgement);
            }
        } else if vgpu.removing {
            judgement.refusals.push(self.going(RefusalCode::VgpuInUse, vgpu.id));
        }
    }

    fn going(&self, code: RefusalCode, id: VgpuId) -> Refusal {
        let because = format!("a removal of its vGPU {id} waits in the kernel");
        let wait = "start it again when that has ended: gpuvirt status".to_owned();
        self.refuse(code, because, vec![wait])
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
        if ours {
            let (profile, params) = (profile.clone(), params.clone());
            return judgement.missing.push(Missing { id: vgpu.id, profile, params, replaces: true });
        }
        let because =
            format!("its vGPU {} has profile {}, and its request is for {profile}", vgpu.id, vgpu.profile);
        judgement.refusals.push(self.refuse(RefusalCode::RequestUnmet, because, vec![self.start_command()]));
    }

    /// What is in the way on the managed card that it is a share of: then nothing of the vGPU itself matters.
    fn of_card(&self, id: VgpuId, gpu: &Gpu) -> Option<Refusal> {
        let entry = self.desired.gpu(gpu.address)?;
        let kind = entry.graphics_type.resolve(&self.desired.host);
        let is_another = kind != GraphicsType::SharedDirect;
        self.untrusted(gpu).or_else(|| {
            (is_another && !entry.waits_for_a_boot(self.observed.host.boot_id)).then(|| {
                let because =
                    format!("its vGPU {id} is a share of {}, which is configured as {kind}", gpu.address);
                let set = format!("gpuvirt gpu set {} --type shared-direct", gpu.address);
                self.refuse(RefusalCode::NotSharedDirect, because, vec![set])
            })
        })
    }

    /// A virtual function.
    pub(super) fn vf(&self, vf: &Function, gpu: &Gpu, device: &Hostdev, judgement: &mut Judgement) {
        if self.desired.gpu(gpu.address).is_none() {
            return;
        }
        judgement.refusals.extend(self.bound_by_libvirt(device));
        let id = VgpuId::Vf(vf.address);
        if let Some(refusal) = self.of_card(id, gpu) {
            return judgement.refusals.push(refusal);
        }
        let request = self.domain.requests.of_device(device);
        match (self.observed.vgpus.get(&id), request.map(|request| &request.wanted)) {
            (Some(vgpu), _) => self.there(vgpu, request, judgement),
            (None, Some(Wanted::Profile { profile, params })) => self.missing(id, profile, params, judgement),
            (None, _) => judgement.refusals.push(self.vgpu_gone(id)),
        }
    }

    /// libvirt would take a virtual function from the driver that makes it a vGPU.
    fn bound_by_libvirt(&self, device: &Hostdev) -> Option<Refusal> {
        let because = vf_for_libvirt_to_bind(device)?;
        let name = shell_word(&self.domain.name);
        let edit = format!("virsh edit {name}: write managed='no' for it");
        Some(self.refuse(RefusalCode::HostdevManaged, because, vec![edit]))
    }
}

/// Why a virtual function of a managed card must not be in a definition like this.
pub fn vf_for_libvirt_to_bind(device: &Hostdev) -> Option<String> {
    match device {
        Hostdev::Pci { address, managed: true } => Some(format!(
            "its vGPU {address} has managed='yes': libvirt would take it from the driver that makes it a vGPU"
        )),
        Hostdev::Pci { managed: false, .. } | Hostdev::Mdev { .. } => None,
    }
}
