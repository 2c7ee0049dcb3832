//! VMs as they are shown: domains with the GPUs that they have.

use gpuvirt_model::{Desired, Domain, DomainState, Hostdev, Observed, PciAddress, Request, VgpuId, Warning};
use gpuvirt_plan::migration::Check;
use gpuvirt_plan::{drift, migration};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A domain and its devices of GPUs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct VmDocument {
    /// libvirt's name.
    pub name: String,
    /// Its uuid.
    pub uuid: Uuid,
    /// Whether it runs.
    pub state: DomainState,
    /// Whether libvirt starts it with the host.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub autostart: bool,
    /// Its host devices that are GPUs or shares of them.
    pub devices: Vec<VmDevice>,
    /// What it asks for, each with the device that it got.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<Request>,
    /// The driver package in its guest, as an admin stated it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guest_driver: Option<String>,
    /// Whether its devices let it move to another host while it runs; `gpuvirt vm migratable` tells the rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live_migration: Option<Check>,
    /// What of it is not as it was asked for, or breaks a rule while it runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
}

/// A device of a domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct VmDevice {
    /// The host device.
    #[serde(flatten)]
    pub hostdev: Hostdev,
    /// The GPU that it belongs to, when that is on this host now.
    pub gpu: Option<PciAddress>,
    /// In the definition that the next start uses.
    pub configured: bool,
    /// The running QEMU has it.
    pub live: bool,
}

impl VmDocument {
    /// The document of one domain. Host devices that are no GPUs are left out.
    pub fn new(domain: &Domain, observed: &Observed, desired: &Desired) -> Self {
        let mut devices: Vec<VmDevice> = Vec::new();
        for hostdev in domain.config.iter().chain(&domain.live) {
            let gpu = match hostdev {
                Hostdev::Pci { address, .. } => observed.gpu_of(*address).map(|gpu| gpu.address),
                Hostdev::Mdev { uuid } => observed.vgpus.get(&VgpuId::Mdev(*uuid)).map(|vgpu| vgpu.gpu),
            };
            let about_gpus = gpu.is_some() || matches!(hostdev, Hostdev::Mdev { .. });
            if about_gpus && !devices.iter().any(|seen| seen.hostdev.same_device(hostdev)) {
                devices.push(VmDevice {
                    gpu,
                    configured: domain.has_configured(hostdev),
                    live: domain.has_live(hostdev),
                    hostdev: hostdev.clone(),
                });
            }
        }
        let live_migration = migration::of_devices(domain, observed);
        let (name, uuid) = (domain.name.clone(), domain.uuid);
        let (requests, warnings) = (domain.requests.list.clone(), drift::warnings(domain, observed, desired));
        let (state, autostart) = (domain.state, domain.autostart);
        let guest_driver = domain.requests.guest_driver.clone();
        Self { name, uuid, state, autostart, devices, requests, guest_driver, live_migration, warnings }
    }
}
