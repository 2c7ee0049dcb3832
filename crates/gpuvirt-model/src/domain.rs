//! libvirt domains, as far as they concern GPUs.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Guest, PciAddress, Requests};

/// A libvirt domain with the host devices that it has or would have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Domain {
    /// Its name.
    pub name: String,
    /// Its uuid.
    pub uuid: Uuid,
    /// Whether it runs.
    pub state: DomainState,
    /// Whether libvirt starts it with the host.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub autostart: bool,
    /// Host devices in the definition that the next start uses; of a transient domain, which has no other, those that
    /// it runs with.
    pub config: Vec<Hostdev>,
    /// Host devices that the running QEMU has; empty when it is off.
    pub live: Vec<Hostdev>,
    /// What it asks for, in the definition that the next start uses.
    #[serde(default, skip_serializing_if = "Requests::says_nothing")]
    pub requests: Requests,
    /// What of its guest matters to VFIO, in the definition that the next start uses.
    #[serde(default, skip_serializing_if = "Guest::is_unknown")]
    pub guest: Guest,
}

/// Whether a domain runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum DomainState {
    /// Powered off.
    ShutOff,
    /// Anything with a QEMU process: running, paused, shutting down.
    Active,
}

/// A host device of a domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Hostdev {
    /// A PCI function.
    Pci {
        /// The host's address of it.
        address: PciAddress,
        /// libvirt's `managed=`: libvirt itself would bind and unbind the driver.
        managed: bool,
    },
    /// A mediated device.
    Mdev {
        /// Its uuid.
        uuid: Uuid,
    },
}

impl Domain {
    /// Whether a running QEMU has this device.
    pub fn has_live(&self, device: &Hostdev) -> bool {
        self.live.iter().any(|live| live.same_device(device))
    }

    /// Whether the stored definition names this device.
    pub fn has_configured(&self, device: &Hostdev) -> bool {
        self.config.iter().any(|config| config.same_device(device))
    }
}

impl Hostdev {
    /// The same device of the host, whatever `managed=` says.
    pub fn same_device(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Pci { address: a, .. }, Self::Pci { address: b, .. }) => a == b,
            (Self::Mdev { uuid: a }, Self::Mdev { uuid: b }) => a == b,
            (Self::Pci { .. }, Self::Mdev { .. }) | (Self::Mdev { .. }, Self::Pci { .. }) => false,
        }
    }
}
