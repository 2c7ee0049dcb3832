//! Questions and orders of GPU instances.

use ureq::http::Method;

use super::{CHANGE_DEADLINE, Call, Client, ClientError};
use crate::{Change, CreateGpuInstances, GpuSelector, List, MigDocument, route};

impl Client {
    /// The GPU instances of all GPUs or of one. They are asked of the vendor's command, which may take as long as a
    /// change.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn mig(&self, gpu: Option<&GpuSelector>) -> Result<List<MigDocument>, ClientError> {
        let (method, path) = (Method::GET, route::mig(gpu));
        self.call(Call { method, path, body: None::<&()>, deadline: CHANGE_DEADLINE })
    }

    /// Makes GPU instances.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn create_gpu_instances(
        &self,
        gpu: &GpuSelector,
        request: &CreateGpuInstances,
    ) -> Result<Change, ClientError> {
        self.change(Method::POST, route::gpu_instances(gpu), Some(request))
    }

    /// Removes a GPU instance, or all that are ours; or shows how they would be.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn remove_gpu_instances(
        &self,
        gpu: &GpuSelector,
        id: Option<u32>,
        dry_run: bool,
    ) -> Result<Change, ClientError> {
        self.change(Method::DELETE, route::gpu_instance_removal(gpu, id, dry_run), None::<&()>)
    }
}
