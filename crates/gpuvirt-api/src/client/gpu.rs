//! Questions and orders of GPUs.

use std::time::Duration;

use ureq::http::Method;

use super::{CHANGE_DEADLINE, Call, Client, ClientError};
use crate::{Change, GpuDocument, GpuSelector, List, SetCordon, SetType, XmlDocument, route};

impl Client {
    /// All GPUs.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn gpus(&self) -> Result<List<GpuDocument>, ClientError> {
        self.get(route::GPUS.to_owned())
    }

    /// One GPU.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn gpu(&self, gpu: &GpuSelector) -> Result<List<GpuDocument>, ClientError> {
        self.get(route::gpu(gpu))
    }

    /// The `<hostdev>` elements of a whole GPU.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn gpu_xml(&self, gpu: &GpuSelector) -> Result<XmlDocument, ClientError> {
        self.get(route::gpu_xml(gpu))
    }

    /// Gives a GPU a graphics type.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn set_type(&self, gpu: &GpuSelector, request: &SetType) -> Result<Change, ClientError> {
        let wait = Duration::from_secs(request.wait_seconds.unwrap_or(0));
        let deadline = CHANGE_DEADLINE.saturating_add(wait);
        self.call(Call { method: Method::PUT, path: route::gpu_type(gpu), body: Some(request), deadline })
    }

    /// Says whether anything more is placed on a GPU.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn set_cordon(&self, gpu: &GpuSelector, request: &SetCordon) -> Result<Change, ClientError> {
        self.change(Method::PUT, route::gpu_cordon(gpu), Some(request))
    }

    /// Forgets a GPU's configuration: it is unmanaged from then on.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn unset(&self, gpu: &GpuSelector) -> Result<Change, ClientError> {
        self.change(Method::DELETE, route::gpu_configuration(gpu), None::<&()>)
    }
}
