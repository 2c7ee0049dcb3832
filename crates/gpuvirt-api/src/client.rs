//! The command's side of the socket: typed requests, blocking, one connection each.
//!
//! It reads no kernel file and decides nothing: it carries requests and hands back documents, the daemon's own
//! errors among them. Every wait has a deadline and every answer a largest size.

mod error;
mod transport;

use std::path::{Path, PathBuf};
use std::time::Duration;

use gpuvirt_model::{Configuration, VgpuId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::http::Method;

pub use error::ClientError;

use crate::event::EventList;
use crate::{
    API_VERSION, ApiError, ApplyConfig, Capacity, Change, ConfigChange, CreateGpuInstances, CreateVgpu,
    DoctorDocument, GpuDocument, GpuSelector, HookAnswer, HookCall, HostDocument, List, MigDocument,
    ProfileDocument, RemoveVgpus, SetCordon, SetHost, SetType, SetVgpuParams, StatusDocument, VgpuDocument,
    VmAdd, VmDocument, VmRemove, VmStart, XmlDocument, route,
};

/// Where the daemon listens unless it is told otherwise.
pub const DEFAULT_SOCKET: &str = "/run/gpuvirt/gpuvirt.sock";
/// Longest wait for the connection: it is local, so a longer one means a daemon that accepts nobody.
const CONNECT_DEADLINE: Duration = Duration::from_secs(2);
/// Longest wait for the whole answer to a question.
const READ_DEADLINE: Duration = Duration::from_secs(10);
/// Longest wait for the whole answer to a change, beyond what the request itself allows: a switch waits for drivers.
const CHANGE_DEADLINE: Duration = Duration::from_secs(600);
/// The largest answer: thousands of vGPUs fit, a daemon gone wild does not.
const MAX_ANSWER: u64 = 32 * 1024 * 1024;

/// A client of one daemon.
#[derive(Debug)]
pub struct Client {
    socket: PathBuf,
    agent: ureq::Agent,
}

/// One question or order.
struct Call<'a, B> {
    method: Method,
    path: String,
    body: Option<&'a B>,
    deadline: Duration,
}

impl Client {
    /// A client of the daemon behind `socket`. Nothing is opened yet.
    pub fn new(socket: &Path) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_connect(Some(CONNECT_DEADLINE))
            .user_agent(concat!("gpuvirt/", env!("CARGO_PKG_VERSION")))
            .build();
        let agent =
            ureq::Agent::with_parts(config, transport::UnixConnector::new(socket), transport::NoNames);
        Self { socket: socket.to_owned(), agent }
    }

    /// The socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// All GPUs.
    ///
    /// # Errors
    /// [`ClientError`], here and below.
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

    /// The profiles of all GPUs or of one.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn profiles(&self, gpu: Option<&GpuSelector>) -> Result<List<ProfileDocument>, ClientError> {
        self.get(route::profiles(gpu))
    }

    /// What keeps GPUs from working in VMs: all findings, or those about one GPU.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn doctor(&self, gpu: Option<&GpuSelector>) -> Result<DoctorDocument, ClientError> {
        self.get(route::doctor(gpu))
    }

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

    /// All domains.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn vms(&self) -> Result<List<VmDocument>, ClientError> {
        self.get(route::VMS.to_owned())
    }

    /// One domain.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn vm(&self, name: &str) -> Result<List<VmDocument>, ClientError> {
        self.get(route::vm(name))
    }

    /// The `<hostdev>` elements of a whole GPU.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn gpu_xml(&self, gpu: &GpuSelector) -> Result<XmlDocument, ClientError> {
        self.get(route::gpu_xml(gpu))
    }

    /// The `<hostdev>` element of a vGPU.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn vgpu_xml(&self, id: VgpuId) -> Result<XmlDocument, ClientError> {
        self.get(route::vgpu_xml(id))
    }

    /// A domain's definition, without its secrets.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn vm_xml(&self, name: &str) -> Result<XmlDocument, ClientError> {
        self.get(route::vm_xml(name))
    }

    /// What fits, lives, remains and is kept, of all profiles or of one.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn capacity(&self, profile: Option<&str>) -> Result<List<Capacity>, ClientError> {
        self.get(route::capacity(profile))
    }

    /// The host's defaults.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn host(&self) -> Result<List<HostDocument>, ClientError> {
        self.get(route::HOST.to_owned())
    }

    /// Changes the host's defaults.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn set_host(&self, request: &SetHost) -> Result<Change, ClientError> {
        self.change(Method::PUT, route::HOST.to_owned(), Some(request))
    }

    /// Says whether anything more is placed on a GPU.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn set_cordon(&self, gpu: &GpuSelector, request: &SetCordon) -> Result<Change, ClientError> {
        self.change(Method::PUT, route::gpu_cordon(gpu), Some(request))
    }

    /// How things stand.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn status(&self) -> Result<StatusDocument, ClientError> {
        self.get(route::STATUS.to_owned())
    }

    /// What happened after the event `after`, waiting up to so many seconds for the next one.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn events(&self, after: u64, wait_seconds: u64) -> Result<EventList, ClientError> {
        let deadline = READ_DEADLINE.saturating_add(Duration::from_secs(wait_seconds));
        let path = route::events(after, wait_seconds);
        self.call(Call { method: Method::GET, path, body: None::<&()>, deadline })
    }

    /// What is configured, as a document.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn config(&self) -> Result<Configuration, ClientError> {
        self.get(route::CONFIG.to_owned())
    }

    /// Makes the host what a document says, or shows what that would change.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn apply_config(&self, request: &ApplyConfig) -> Result<ConfigChange, ClientError> {
        let wait = Duration::from_secs(request.wait_seconds.unwrap_or(0));
        let gpus = u32::try_from(request.config.gpus.len().max(1)).unwrap_or(u32::MAX);
        let deadline = CHANGE_DEADLINE.saturating_add(wait.saturating_mul(gpus));
        self.call(Call {
            method: Method::POST,
            path: route::CONFIG.to_owned(),
            body: Some(request),
            deadline,
        })
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

    /// Forgets a GPU's configuration: it is unmanaged from then on.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn unset(&self, gpu: &GpuSelector) -> Result<Change, ClientError> {
        self.change(Method::DELETE, route::gpu_configuration(gpu), None::<&()>)
    }

    /// Takes back every change that neither succeeded nor could be undone.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn recover(&self) -> Result<Change, ClientError> {
        self.change(Method::POST, route::RECOVER.to_owned(), None::<&()>)
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

    /// Adds a device to a domain's definition.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn vm_add(&self, name: &str, request: &VmAdd) -> Result<Change, ClientError> {
        self.change(Method::POST, route::vm_devices(name), Some(request))
    }

    /// Removes a device from a domain's definition.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn vm_remove(&self, name: &str, request: &VmRemove) -> Result<Change, ClientError> {
        self.change(Method::POST, route::vm_device_removal(name), Some(request))
    }

    /// Places what a VM asks for and starts it, or shows where that would be.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn vm_start(&self, name: &str, request: &VmStart) -> Result<Change, ClientError> {
        self.change(Method::POST, route::vm_start(name), Some(request))
    }

    /// What libvirt's hook asks, with the longest wait for it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn hook(&self, call: &HookCall, deadline: Duration) -> Result<HookAnswer, ClientError> {
        self.call(Call { method: Method::POST, path: route::HOOK.to_owned(), body: Some(call), deadline })
    }

    fn get<T: DeserializeOwned>(&self, path: String) -> Result<T, ClientError> {
        self.call(Call { method: Method::GET, path, body: None::<&()>, deadline: READ_DEADLINE })
    }

    fn change<B: Serialize>(
        &self,
        method: Method,
        path: String,
        body: Option<&B>,
    ) -> Result<Change, ClientError> {
        self.call(Call { method, path, body, deadline: CHANGE_DEADLINE })
    }

    fn call<T: DeserializeOwned, B: Serialize>(&self, call: Call<'_, B>) -> Result<T, ClientError> {
        let deadline = call.deadline;
        let failed = |error| ClientError::from_ureq(&self.socket, deadline, error);
        let body = call.body.map(serde_json::to_vec).transpose().map_err(ClientError::Request)?;
        let request = ureq::http::Request::builder()
            .method(call.method)
            .uri(format!("http://gpuvirt{}", call.path))
            .header("accept", "application/json")
            // Whoever runs the command wants to see the host, and not what it was a second ago.
            .header("cache-control", "no-cache")
            .header("content-type", "application/json")
            .body(body.unwrap_or_default())
            .map_err(|error| failed(error.into()))?;
        let request = self
            .agent
            .configure_request(request)
            .timeout_global(Some(deadline))
            .allow_non_standard_methods(true)
            .build();
        let mut answer = self.agent.run(request).map_err(failed)?;
        let bytes = answer.body_mut().with_config().limit(MAX_ANSWER).read_to_vec().map_err(failed)?;
        understand(answer.status(), &bytes)
    }
}

/// Reads an answer: the document for a good status, the daemon's error otherwise.
fn understand<T: DeserializeOwned>(status: ureq::http::StatusCode, bytes: &[u8]) -> Result<T, ClientError> {
    if !status.is_success() {
        return Err(match serde_json::from_slice::<ApiError>(bytes) {
            Ok(error) => ClientError::Api(error),
            Err(_) => ClientError::NotUnderstood {
                what: format!("status {status} with a body that is none of ours"),
            },
        });
    }
    serde_json::from_slice(bytes).map_err(|error| match other_version(bytes) {
        Some(found) => ClientError::OtherVersion { found, ours: API_VERSION },
        None => ClientError::NotUnderstood { what: error.to_string() },
    })
}

/// The version that a document names, when it is not ours.
fn other_version(bytes: &[u8]) -> Option<String> {
    let document: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    let version = document.get("apiVersion")?.as_str()?;
    (version != API_VERSION).then(|| version.to_owned())
}

#[cfg(test)]
mod tests;
