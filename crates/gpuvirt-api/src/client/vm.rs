//! Questions and orders of domains, and of libvirt's hook.

use std::time::Duration;

use ureq::http::Method;

use super::{Call, Client, ClientError};
use crate::{
    Change, HookAnswer, HookCall, List, MigrationDocument, VmAdd, VmAdopt, VmDocument, VmGuestDriver,
    VmRemove, VmStart, XmlDocument, route,
};

impl Client {
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

    /// Whether a domain can move to another host while it runs.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn vm_migration(&self, name: &str) -> Result<List<MigrationDocument>, ClientError> {
        self.get(route::vm_migration(name))
    }

    /// A domain's definition, without its secrets.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn vm_xml(&self, name: &str) -> Result<XmlDocument, ClientError> {
        self.get(route::vm_xml(name))
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

    /// Notes requests for what a domain has without any.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn vm_adopt(&self, name: &str, request: &VmAdopt) -> Result<Change, ClientError> {
        self.change(Method::POST, route::vm_adopt(name), Some(request))
    }

    /// States which driver a domain's guest has.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn vm_guest_driver(&self, name: &str, request: &VmGuestDriver) -> Result<Change, ClientError> {
        self.change(Method::PUT, route::vm_guest_driver(name), Some(request))
    }

    /// What libvirt's hook asks, with the longest wait for it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn hook(&self, call: &HookCall, deadline: Duration) -> Result<HookAnswer, ClientError> {
        self.call(Call { method: Method::POST, path: route::HOOK.to_owned(), body: Some(call), deadline })
    }
}
