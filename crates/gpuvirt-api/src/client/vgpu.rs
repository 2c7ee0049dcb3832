//! Questions and orders of vGPUs and what is to be had of them.

use gpuvirt_model::VgpuId;
use ureq::http::Method;

use super::{Client, ClientError};
use crate::{
    Capacity, Change, CreateVgpu, GpuSelector, List, ProfileDocument, RemoveVgpus, SetVgpuParams,
    VgpuDocument, XmlDocument, route,
};

impl Client {
    /// The profiles of all GPUs or of one.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn profiles(&self, gpu: Option<&GpuSelector>) -> Result<List<ProfileDocument>, ClientError> {
        self.get(route::profiles(gpu))
    }

    /// What fits, lives, remains and is kept, of all profiles or of one.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn capacity(&self, profile: Option<&str>) -> Result<List<Capacity>, ClientError> {
        self.get(route::capacity(profile))
    }

    /// All live vGPUs.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn vgpus(&self) -> Result<List<VgpuDocument>, ClientError> {
        self.get(route::VGPUS.to_owned())
    }

    /// One live vGPU.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn vgpu(&self, id: VgpuId) -> Result<List<VgpuDocument>, ClientError> {
        self.get(route::vgpu(id))
    }

    /// The `<hostdev>` element of a vGPU.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn vgpu_xml(&self, id: VgpuId) -> Result<XmlDocument, ClientError> {
        self.get(route::vgpu_xml(id))
    }

    /// Creates a vGPU.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn create_vgpu(&self, request: &CreateVgpu) -> Result<Change, ClientError> {
        self.change(Method::POST, route::VGPUS.to_owned(), Some(request))
    }

    /// Sets the parameters of a vGPU, or shows how it would be.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn set_vgpu_params(&self, id: VgpuId, request: &SetVgpuParams) -> Result<Change, ClientError> {
        self.change(Method::PUT, route::vgpu_params(id), Some(request))
    }

    /// Removes a vGPU, or shows how it would be.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn remove_vgpu(&self, id: VgpuId, dry_run: bool) -> Result<Change, ClientError> {
        self.change(Method::DELETE, route::vgpu_removal(id, dry_run), None::<&()>)
    }

    /// Removes several vGPUs in one change, or shows how they would be.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn remove_vgpus(&self, request: &RemoveVgpus) -> Result<Change, ClientError> {
        self.change(Method::POST, route::VGPU_REMOVAL.to_owned(), Some(request))
    }
}
