//! Questions and orders of the host as a whole: defaults, configuration, status, events.

use std::time::Duration;

use gpuvirt_model::Configuration;
use ureq::http::Method;

use super::{CHANGE_DEADLINE, Call, Client, ClientError};
use crate::event::EventList;
use crate::{
    ApplyConfig, Change, ConfigChange, DoctorDocument, GpuSelector, HostDocument, List, SetHost,
    StatusDocument, TestimonyDocument, route,
};

impl Client {
    /// What keeps GPUs from working in VMs: all findings, or those about one GPU.
    ///
    /// # Errors
    /// [`ClientError`], here and below.
    pub fn doctor(&self, gpu: Option<&GpuSelector>) -> Result<DoctorDocument, ClientError> {
        self.get(route::doctor(gpu))
    }

    /// What the daemon knows of its host that no file shows.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn testimony(&self) -> Result<TestimonyDocument, ClientError> {
        self.get(route::TESTIMONY.to_owned())
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

    /// Looks at the host anew; what changed since the last time is in the outcome.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn refresh_host(&self) -> Result<Change, ClientError> {
        self.change(Method::POST, route::HOST_REFRESH.to_owned(), None::<&()>)
    }

    /// How things stand.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn status(&self) -> Result<StatusDocument, ClientError> {
        self.get(route::STATUS.to_owned())
    }

    /// What happened lately, as far as the daemon keeps it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn events(&self) -> Result<EventList, ClientError> {
        self.get(route::events(0, 0))
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

    /// Takes back every change that neither succeeded nor could be undone.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn recover(&self) -> Result<Change, ClientError> {
        self.change(Method::POST, route::RECOVER.to_owned(), None::<&()>)
    }
}
