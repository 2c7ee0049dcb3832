//! What a start is judged on, what is said of it, and what every check of it says alike.

use std::collections::BTreeSet;

use gpuvirt_model::{
    Desired, Domain, Gpu, Holder, HostMemory, Hostdev, Observed, PciAddress, ProfileName, Records, Refusal,
    RefusalCode, VgpuId, VgpuParams, Wanted,
};

use crate::checks::domain::Device;
use crate::checks::holder::shell_word;
use crate::checks::{list, with_explain};
use crate::placement::Details;

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

impl Start<'_> {
    /// Whether a device is of a GPU that is managed, or asked for by a request.
    pub(super) fn is_ours(&self, device: Device) -> bool {
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

    pub(super) fn refuse(&self, code: RefusalCode, because: String, remedy: Vec<String>) -> Refusal {
        let summary = format!("VM {} cannot start", self.domain.name);
        Refusal { code, summary, because, remedy: with_explain(code, remedy) }
    }

    /// A function that this host does not have. Only one of a GPU that we know of is our business.
    pub(super) fn absent(&self, address: PciAddress) -> Option<Refusal> {
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
    pub(super) fn untrusted(&self, gpu: &Gpu) -> Option<Refusal> {
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

    /// Another VM, or somebody else, has it.
    pub(super) fn held<'h>(
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
}
