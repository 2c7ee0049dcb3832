//! What advice looks at of a GPU.

use gpuvirt_model::{
    Framework, GraphicsType, HostDriver, HostDriverKind, PciAddress, PciIdentity, ProfileClass, ProfileName,
    RefusalCode, Sharing,
};
use serde::Serialize;

use crate::driver_matrix::card::is_geforce;

/// A GPU as far as the choice goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// Where it sits.
    pub address: PciAddress,
    /// What it is.
    pub identity: PciIdentity,
    /// Its name, where pci.ids has it.
    pub name: String,
    /// The type in force.
    pub active: GraphicsType,
    /// How vGPUs are made on it now.
    pub frameworks: Vec<Framework>,
    /// The host's driver.
    pub driver: HostDriver,
    /// The most virtual functions that it shows, 0 for none.
    pub total_vfs: u16,
    /// Why it can't be passed through now; empty: it can.
    pub obstacles: Vec<String>,
    /// The names of what stands against it and can be accepted: `gpu set --accept NAME`.
    pub to_accept: Vec<RefusalCode>,
    /// What is to be known of passing it through.
    pub warnings: Vec<String>,
    /// What it offers now.
    pub profiles: Vec<Offered>,
}

/// A profile that it offers now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// Its name.
    pub name: ProfileName,
    /// What it is for.
    pub class: Option<ProfileClass>,
    /// How it shares.
    pub sharing: Option<Sharing>,
    /// How many fit on the empty card, where the driver says.
    pub max: Option<u32>,
    /// Frame buffer in MiB, where the driver says.
    pub framebuffer_mib: Option<u64>,
}

/// Whether it makes vGPUs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "makes", content = "why")]
pub enum Makes {
    /// It does now.
    Now,
    /// With another driver, or one set up: what it takes.
    With(String),
    /// It can't: why.
    Never(String),
    /// It can't be told: why.
    Unknown(String),
}

impl Card {
    /// Whether it makes vGPUs, or would.
    pub fn makes(&self) -> Makes {
        let plain = matches!(
            self.driver.kind,
            HostDriverKind::Plain | HostDriverKind::OpenModule | HostDriverKind::Other
        );
        if !self.frameworks.is_empty() || self.driver.kind == HostDriverKind::VgpuHost {
            return Makes::Now;
        }
        match (self.identity.vendor, self.total_vfs) {
            (0x10de, _) if is_geforce(&self.name) => {
                Makes::Never("it is a GeForce card, and NVIDIA offers vGPUs on none of them".to_owned())
            }
            (0x10de, 0) if plain => Makes::Unknown(
                "NVIDIA's list of supported GPUs says whether its vGPU manager knows the card; it shows no SR-IOV".to_owned(),
            ),
            (0x10de, _) if plain => Makes::With(format!("NVIDIA's vGPU manager in the place of its driver ({})", self.driver.evidence)),
            (0x10de, _) => Makes::Unknown(format!("its driver does not show: {}", self.driver.evidence)),
            (0x1002, 0) | (0x8086, 0) => Makes::Unknown(
                "it shows no SR-IOV; whether its driver would with other parameters, the vendor's documents say".to_owned(),
            ),
            (0x1002, _) => Makes::With("AMD's gim, where it knows the card".to_owned()),
            (0x8086, _) => Makes::With("its virtual functions, which its driver must be told to allow".to_owned()),
            (_, 0) => Makes::Never("it has no SR-IOV, and its driver offers no vGPUs".to_owned()),
            (_, _) => Makes::Unknown("its vendor is not one whose vGPUs are known here".to_owned()),
        }
    }

    /// A licence of NVIDIA's for each VM.
    pub fn is_licensed(&self) -> bool {
        self.identity.vendor == 0x10de
    }
}
