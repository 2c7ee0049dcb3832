//! Facts about the host as a whole.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use uuid::Uuid;

use crate::{DriverName, DriverRules, Reading, UnitName, Unknown, VfioMigration, VgpuId};

/// What the host as a whole can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct HostFacts {
    /// IOMMU groups exist: the IOMMU translates. Judged by the groups, never by the kernel's command line.
    pub iommu: bool,
    /// Interrupts are remapped, read from the interrupt chips in /proc/interrupts (`IR-`).
    pub interrupt_remapping: Reading<bool>,
    /// An administrator's consent to go without (`allow_unsafe_interrupts` of vfio_iommu_type1).
    pub unsafe_interrupts_allowed: bool,
    /// The `vfio-pci` driver.
    pub vfio_pci: ModulePresence,
    /// The PCI drivers that are registered now.
    #[serde(default)]
    pub pci_drivers: BTreeSet<DriverName>,
    /// All PCI functions of the host, GPUs or not.
    pub function_count: usize,
    /// The kernel's release, when it is known.
    pub kernel_release: Option<String>,
    /// Which boot of the host this is, when it is known: what virtual functions are does not outlive it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_id: Option<Uuid>,
    /// Which VFIO devices can be migrated, as the kernel's debugfs shows it; those that it does not show are not here.
    #[serde(default = "not_looked_for", skip_serializing_if = "is_unknown")]
    pub vfio_migration: Reading<BTreeMap<VgpuId, VfioMigration>>,
    /// What drivers want of whoever prepares their cards: built in, and the admin's configuration.
    #[serde(default)]
    pub driver_rules: DriverRules,
    /// The services of these rules that run now, with their processes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub running_services: BTreeMap<UnitName, BTreeSet<u32>>,
    /// What could not be read or made no sense, for people.
    pub oddities: Vec<String>,
}

fn not_looked_for() -> Reading<BTreeMap<VgpuId, VfioMigration>> {
    Reading::Unknown(Unknown::NotRecorded)
}

fn is_unknown<T>(reading: &Reading<T>) -> bool {
    reading.known().is_none()
}

/// Where a kernel module stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ModulePresence {
    /// Registered with the kernel: loaded, or built in.
    Ready,
    /// Installed for this kernel, not loaded.
    Loadable,
    /// Neither.
    Missing,
    /// It can't be told from what is there (a recorded host without modules).
    Unknown,
}
