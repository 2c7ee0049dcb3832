//! The host as this command read it by itself, and the documents made from it.

use gpuvirt_api::status::GpuStatus;
use gpuvirt_api::{
    ApiError, Capacity, ErrorKind, GpuDocument, GpuSelector, HostDocument, List, ProfileDocument, Source,
    StatusDocument, VgpuDocument, VmDocument, XmlDocument,
};
use gpuvirt_domain::{GpuForGuest, Placement, gpu_fragment, vgpu_fragment};
use gpuvirt_model::{Desired, Gpu, Observed, ProfileName, Reading, Records, Refusal, VgpuId};
use gpuvirt_plan::capacity::{named, of_host};
use gpuvirt_plan::checks;
use gpuvirt_plan::placement::{Details, HostPicture};

use crate::failure::Failure;

/// A host, read without the daemon.
#[derive(Debug)]
pub struct Picture {
    /// What the host shows.
    pub observed: Observed,
    /// What the admin asked for, from the stored files.
    pub desired: Desired,
    /// What gpuvirt made, from the stored files.
    pub records: Records,
    /// A live host or a recording.
    pub source: Source,
    /// What is strange about the reading itself.
    pub oddities: Vec<String>,
}

impl Picture {
    /// All GPUs.
    pub fn gpus(&self) -> List<GpuDocument> {
        let documents = self.observed.gpus.values().map(|gpu| self.document(gpu)).collect();
        self.list("GpuList", documents)
    }

    /// One GPU.
    ///
    /// # Errors
    /// The refusal `gpu-not-found`.
    pub fn gpu(&self, selector: &GpuSelector) -> Result<List<GpuDocument>, Failure> {
        Ok(self.list("Gpu", vec![self.document(self.find(selector)?)]))
    }

    /// The profiles of all GPUs or of one.
    ///
    /// # Errors
    /// The refusal `gpu-not-found`.
    pub fn profiles(&self, selector: Option<&GpuSelector>) -> Result<List<ProfileDocument>, Failure> {
        let mut profiles = ProfileDocument::all(&self.observed, &self.desired);
        if let Some(selector) = selector {
            let gpu = self.find(selector)?.address;
            profiles.retain(|profile| profile.gpu == gpu);
        }
        Ok(self.list("ProfileList", profiles).without_vms())
    }

    /// What fits, lives, remains and is kept.
    ///
    /// # Errors
    /// The refusal `profile-not-offered`.
    pub fn capacity(&self, profile: Option<&str>) -> Result<List<Capacity>, Failure> {
        let Self { observed, desired, records, .. } = self;
        // Which GPUs are hands-off only the daemon knows.
        let details = Details::default();
        let mut all = of_host(&HostPicture { observed, desired, records, details: &details });
        if let Some(profile) = profile {
            all = vec![named(all, &ProfileName(profile.to_owned())).map_err(|refusal| refused(*refusal))?];
        }
        Ok(self.list("CapacityList", all))
    }

    /// The host's defaults.
    pub fn host(&self) -> List<HostDocument> {
        self.list("Host", vec![HostDocument::new(&self.desired)])
    }

    /// All vGPUs.
    pub fn vgpus(&self) -> List<VgpuDocument> {
        let documents = self.observed.vgpus.values();
        let documents =
            documents.map(|vgpu| VgpuDocument::new(vgpu, &self.observed, &self.records)).collect();
        self.list("VgpuList", documents)
    }

    /// One vGPU.
    ///
    /// # Errors
    /// The refusal `vgpu-not-found`.
    pub fn vgpu(&self, id: VgpuId) -> Result<List<VgpuDocument>, Failure> {
        let vgpu = self.observed.vgpus.get(&id).ok_or_else(|| no_vgpu(id))?;
        Ok(self.list("Vgpu", vec![VgpuDocument::new(vgpu, &self.observed, &self.records)]))
    }

    /// All domains; an empty list with the reason where they are not known.
    pub fn vms(&self) -> List<VmDocument> {
        let domains = self.observed.domains.known().into_iter().flatten();
        self.list(
            "VmList",
            domains.map(|domain| VmDocument::new(domain, &self.observed, &self.desired)).collect(),
        )
    }

    /// The elements that give a whole GPU to a VM.
    ///
    /// # Errors
    /// The refusal `gpu-not-found`.
    pub fn gpu_xml(&self, selector: &GpuSelector) -> Result<XmlDocument, Failure> {
        let gpu = GpuForGuest::new(self.find(selector)?.functions.iter().copied());
        let gpu = gpu.map_err(|error| Failure::new(ErrorKind::Bug, format!("{selector}: {error}")))?;
        Ok(XmlDocument::new(gpu_fragment(&gpu, Placement::LibvirtChooses)))
    }

    /// The element that gives a vGPU to a VM.
    ///
    /// # Errors
    /// The refusal `vgpu-not-found`.
    pub fn vgpu_xml(&self, id: VgpuId) -> Result<XmlDocument, Failure> {
        let vgpu = self.observed.vgpus.get(&id).ok_or_else(|| no_vgpu(id))?;
        Ok(XmlDocument::new(vgpu_fragment(vgpu.id)))
    }

    /// How things stand, as far as it shows without the daemon.
    pub fn status(&self) -> StatusDocument {
        let gpus = self.gpus();
        StatusDocument {
            domains_unknown: gpus.domains_unknown,
            problems: gpus.oddities,
            maintenance: self.desired.host.maintenance,
            ..StatusDocument::new(self.source, gpus.items.iter().map(GpuStatus::new).collect())
        }
    }

    /// The GPU that a person named.
    ///
    /// # Errors
    /// The refusal `gpu-not-found`.
    pub fn find(&self, selector: &GpuSelector) -> Result<&Gpu, Failure> {
        selector.find(&self.observed, &self.desired).map_err(|refusal| refused(*refusal))
    }

    fn document(&self, gpu: &Gpu) -> GpuDocument {
        GpuDocument::new(gpu, &self.observed, &self.desired, &self.records)
    }

    fn list<T>(&self, kind: &str, items: Vec<T>) -> List<T> {
        let mut list = List::new(kind, self.source, items);
        if let Reading::Unknown(why) = &self.observed.domains {
            list.domains_unknown = Some(why.clone());
        }
        list.oddities = self.oddities.iter().chain(&self.observed.host.oddities).cloned().collect();
        list
    }
}

fn no_vgpu(id: VgpuId) -> Failure {
    refused(checks::vgpu::not_found(id))
}

/// No such VM, in a listing that is whole.
pub fn no_vm(name: &str) -> Failure {
    refused(checks::domain::not_found(name))
}

fn refused(refusal: Refusal) -> Failure {
    ApiError::refused(vec![refusal]).into()
}
