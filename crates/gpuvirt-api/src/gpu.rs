//! A GPU as it is shown.

use gpuvirt_model::{
    ConfiguredType, Desired, DesiredGpu, Function, Gpu, GpuUsage, GraphicsType, HostDriver, Hostdev,
    IommuGroup, MemberRole, Observed, PciAddress, Reading, Records, RefusalCode, Vgpu, VgpuId, VgpuMode,
    Warning,
};
use gpuvirt_plan::checks;
use gpuvirt_plan::checks::passthrough::Passthrough;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::PassthroughDocument;

/// One GPU: configured and active, with its functions, groups, vGPUs, holders and VMs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct GpuDocument {
    /// The primary function's address.
    pub address: PciAddress,
    /// The admin's name for it.
    pub label: Option<String>,
    /// Whether the admin configured it; unmanaged GPUs are never written to.
    pub managed: bool,
    /// The type that was asked for.
    pub configured: Option<ConfiguredType>,
    /// What the configured type resolves to (`default` follows the host).
    pub configured_resolved: Option<GraphicsType>,
    /// The type that is in force.
    pub active: GraphicsType,
    /// Why configured and active differ, when they do.
    pub pending: Option<String>,
    /// Which vGPU profiles may live together on it: asked for and in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vgpu_mode: Option<VgpuModeDocument>,
    /// How many virtual functions it is to have, where the admin chose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vf_count: Option<u16>,
    /// Refusals that the admin accepted for it.
    pub accepted: Vec<RefusalCode>,
    /// Nothing more is placed on it. Left out of JSON where it is not so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cordoned: bool,
    /// Sum of the card's memory BARs in bytes, over all functions.
    pub bar_bytes: u64,
    /// What the host's driver of it is for.
    #[serde(default)]
    pub host_driver: HostDriver,
    /// What must be known about it. Left out of JSON where there is nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
    /// Why it can't be told yet how vGPUs are made on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub framework_undecided: Option<String>,
    /// Passthrough: asked for, possible, ready. None from a daemon of before it told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passthrough: Option<PassthroughDocument>,
    /// How busy it is, and its memory, as far as its driver tells.
    #[serde(flatten)]
    pub usage: GpuUsage,
    /// What the host shows of it.
    #[serde(flatten)]
    pub gpu: GpuFacts,
    /// The card's functions, the primary first.
    pub function_details: Vec<Function>,
    /// Its IOMMU groups with every member's role.
    pub iommu_groups: Vec<GroupDocument>,
    /// Its live vGPUs.
    pub vgpus: Vec<Vgpu>,
    /// The domains that have it or would have it.
    pub vms: Reading<Vec<GpuVm>>,
}

/// A GPU's vGPU mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct VgpuModeDocument {
    /// What was asked for.
    pub configured: Option<VgpuMode>,
    /// What is in force, as far as gpuvirt knows: no file of the kernel's shows it.
    pub active: VgpuMode,
}

/// The parts of [`Gpu`] that are shown as they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct GpuFacts {
    /// How vGPUs can be made on it.
    pub frameworks: Vec<gpuvirt_model::Framework>,
    /// The profiles that it offers now.
    pub profiles: Vec<gpuvirt_model::Profile>,
    /// Who holds it.
    pub holders: gpuvirt_model::Holders,
}

/// An IOMMU group with its members' roles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct GroupDocument {
    /// The group.
    #[serde(flatten)]
    pub group: IommuGroup,
    /// Whether the whole group can be given to a VM.
    pub viable: bool,
    /// Each member, its role and its driver.
    pub roles: Vec<MemberDocument>,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct MemberDocument {
    /// Where it sits.
    pub address: PciAddress,
    /// What it is to the card.
    pub role: MemberRole,
    /// Its driver.
    pub driver: Option<String>,
    /// Its name, where pci.ids has it.
    pub name: Option<String>,
}

/// A domain that uses a GPU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct GpuVm {
    /// libvirt's name.
    pub name: String,
    /// Its uuid.
    pub uuid: Uuid,
    /// Whether its running QEMU has the device; otherwise only its definition names it.
    pub running: bool,
    /// The vGPUs of this GPU that it has; none of them: it has the whole card.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vgpus: Vec<VgpuId>,
}

impl GpuDocument {
    /// The document of one GPU.
    pub fn new(gpu: &Gpu, observed: &Observed, desired: &Desired, records: &Records) -> Self {
        let entry = desired.gpu(gpu.address);
        let configured = entry.map(|entry| entry.graphics_type);
        let resolved = configured.map(|configured| configured.resolve(&desired.host));
        let active = gpu.active_type(resolved);
        let functions: Vec<Function> = observed.functions_of(gpu).cloned().collect();
        Self {
            address: gpu.address,
            label: entry.and_then(|entry| entry.label.clone()),
            managed: entry.is_some(),
            configured,
            configured_resolved: resolved,
            active,
            pending: gpuvirt_plan::pending(gpu, observed, desired, records),
            vgpu_mode: vgpu_mode(gpu, entry, active, records),
            vf_count: entry.and_then(|entry| entry.vf_count),
            accepted: entry.map(|entry| entry.accepted.clone()).unwrap_or_default(),
            cordoned: entry.is_some_and(|entry| entry.cordoned),
            host_driver: gpu.driver.clone(),
            warnings: checks::host_driver_mismatch(gpu, observed, desired).into_iter().collect(),
            framework_undecided: gpuvirt_plan::undecided(gpu, observed),
            bar_bytes: functions.iter().fold(0, |sum, f| sum.saturating_add(f.bar_bytes())),
            passthrough: Some(Passthrough::of(gpu, observed, desired, records).into()),
            usage: gpu.usage,
            gpu: GpuFacts {
                frameworks: gpu.frameworks.clone(),
                profiles: gpuvirt_plan::profile::judged(gpu, observed, desired),
                holders: gpu.holders.clone(),
            },
            iommu_groups: observed.groups_of(gpu).map(|g| GroupDocument::new(g, gpu, observed)).collect(),
            vgpus: observed.vgpus_of(gpu).cloned().collect(),
            vms: observed.domains.clone().map(|_| vms_of(gpu, observed)),
            function_details: functions,
        }
    }
}

impl GroupDocument {
    fn new(group: &IommuGroup, gpu: &Gpu, observed: &Observed) -> Self {
        let roles: Vec<MemberDocument> = group
            .members
            .iter()
            .filter_map(|address| observed.functions.get(address))
            .map(|member| MemberDocument {
                address: member.address,
                role: MemberRole::of(member, &gpu.functions),
                driver: member.binding.driver.as_ref().map(ToString::to_string),
                name: member.device_name.clone(),
            })
            .collect();
        let known =
            group.is_listed(&observed.functions) && group.unread(&observed.functions).next().is_none();
        let viable = known && !group.noiommu && roles.iter().all(|member| member.role != MemberRole::Foreign);
        Self { group: group.clone(), viable, roles }
    }
}

/// Where it matters: on a card that serves vGPUs whose sizes its driver chooses, or where the admin chose a mode.
fn vgpu_mode(
    gpu: &Gpu,
    entry: Option<&DesiredGpu>,
    active: GraphicsType,
    records: &Records,
) -> Option<VgpuModeDocument> {
    let configured = entry.and_then(|entry| entry.vgpu_mode);
    let recorded = records.vgpu_modes.get(&gpu.address).map(|record| record.mode);
    let serves = active == GraphicsType::SharedDirect;
    // MIG mode is the card's own and may have been on before us: a change to it was verified when it was made.
    let kept = configured.filter(|mode| *mode == VgpuMode::Mig);
    let now = recorded.or(kept).unwrap_or(VgpuMode::SameSize);
    (serves && (configured.is_some() || recorded.is_some()))
        .then_some(VgpuModeDocument { configured, active: now })
}

fn vms_of(gpu: &Gpu, observed: &Observed) -> Vec<GpuVm> {
    gpuvirt_plan::domains_using(gpu, observed)
        .map(|(domain, running)| {
            let devices = if running { &domain.live } else { &domain.config };
            let vgpus = devices.iter().filter_map(|device| share(device, gpu, observed)).collect();
            GpuVm { name: domain.name.clone(), uuid: domain.uuid, running, vgpus }
        })
        .collect()
}

/// The vGPU of this GPU that a host device is.
fn share(device: &Hostdev, gpu: &Gpu, observed: &Observed) -> Option<VgpuId> {
    match device {
        Hostdev::Mdev { uuid } => {
            let id = VgpuId::Mdev(*uuid);
            observed.vgpus.get(&id).filter(|vgpu| vgpu.gpu == gpu.address).map(|_| id)
        }
        Hostdev::Pci { address, .. } => {
            let function = observed.functions.get(address)?;
            (function.physfn == Some(gpu.address)).then_some(VgpuId::Vf(*address))
        }
    }
}
