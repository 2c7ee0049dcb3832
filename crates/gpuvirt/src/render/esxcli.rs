//! What ESXi's command prints of graphics: of devices and of the host in its very form, of statistics and VMs in ours.
//!
//! ESXi indents by three spaces, and puts an empty line between devices.

use gpuvirt_api::gpu::GpuVm;
use gpuvirt_api::{GpuDocument, HostDocument};
use gpuvirt_model::{AssignmentPolicy, ConfiguredType, GraphicsType, Reading, VgpuId};

use super::page::Page;

/// Which of a GPU's two types is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Types {
    /// The one in force.
    Active,
    /// The one that was asked for.
    Configured,
}

/// ESXi's word for what is not there.
const NONE: &str = "None";

/// `esxcli graphics device list`
pub fn devices(gpus: &[GpuDocument], types: Types) -> String {
    blocks(gpus, |page, gpu| {
        let primary = gpu.function_details.first();
        let vendor = primary.and_then(|function| function.vendor_name.clone());
        let device = primary.and_then(|function| function.device_name.clone());
        let driver = primary.and_then(|function| function.binding.driver.as_ref());
        let id = |of: fn(&gpuvirt_model::PciIdentity) -> u16| {
            primary.map(|function| format!("0x{:04x}", of(&function.identity))).unwrap_or_default()
        };
        field(page, "Vendor Name", vendor.unwrap_or_else(|| id(|identity| identity.vendor)));
        field(page, "Device Name", device.unwrap_or_else(|| id(|identity| identity.device)));
        field(page, "Module Name", driver.map_or_else(|| NONE.to_owned(), ToString::to_string));
        let kind = match types {
            Types::Active => Some(gpu.active),
            Types::Configured => gpu.configured_resolved,
        };
        field(page, "Graphics Type", kind.map_or(NONE, spelled));
        field(page, "Memory Size in KB", gpu.usage.memory_bytes.unwrap_or_default() / 1024);
        field(page, "Number of VMs", count(&gpu.vms));
    })
}

/// `esxcli graphics device stats list`
pub fn stats(gpus: &[GpuDocument]) -> String {
    blocks(gpus, |page, gpu| {
        let busy = gpu.usage.busy_percent.map(|percent| percent.to_string());
        field(page, "Utilization in Percent", busy.unwrap_or_else(|| "unknown".to_owned()));
        let memory = gpu.usage.memory_bytes.map(|bytes| (bytes / 1024).to_string());
        field(page, "Memory Size in KB", memory.unwrap_or_else(|| "unknown".to_owned()));
        field(page, "Number of vGPUs", gpu.vgpus.len());
        field(page, "Number of VMs", count(&gpu.vms));
    })
}

/// `esxcli graphics host get`
pub fn host(host: &HostDocument) -> String {
    let mut page = Page::new();
    let kind = match host.default_type {
        ConfiguredType::SharedDirect => GraphicsType::SharedDirect,
        ConfiguredType::Direct => GraphicsType::Direct,
        ConfiguredType::Shared | ConfiguredType::Default => GraphicsType::Shared,
    };
    field(&mut page, "Default Graphics Type", spelled(kind));
    let policy = match host.assignment_policy {
        AssignmentPolicy::Performance => "Performance",
        AssignmentPolicy::Consolidation => "Consolidation",
    };
    field(&mut page, "Shared Passthru Assignment Policy", policy);
    page.into_text()
}

/// `esxcli graphics vm list`: a block for each running VM and GPU.
pub fn vms(gpus: &[GpuDocument]) -> String {
    let mut page = Page::new();
    for (gpu, vm) in gpus.iter().flat_map(|gpu| running(&gpu.vms).map(move |vm| (gpu, vm))) {
        let kind = if vm.vgpus.is_empty() { GraphicsType::Direct } else { GraphicsType::SharedDirect };
        page.heading(&vm.name);
        field(&mut page, "UUID", vm.uuid);
        field(&mut page, "Graphics Device", gpu.address);
        field(&mut page, "Graphics Type", spelled(kind));
        for id in &vm.vgpus {
            field(&mut page, "vGPU", named(*id, gpu));
        }
    }
    page.into_text()
}

fn blocks(gpus: &[GpuDocument], fields: impl Fn(&mut Page, &GpuDocument)) -> String {
    let mut page = Page::new();
    for gpu in gpus {
        page.heading(gpu.address);
        fields(&mut page, gpu);
    }
    page.into_text()
}

fn field(page: &mut Page, name: &str, value: impl std::fmt::Display) {
    page.line(format_args!("   {name}: {value}"));
}

fn spelled(kind: GraphicsType) -> &'static str {
    match kind {
        GraphicsType::Basic => "Basic",
        GraphicsType::Shared => "Shared",
        GraphicsType::Direct => "Direct",
        GraphicsType::SharedDirect => "SharedPassthru",
    }
}

fn running(vms: &Reading<Vec<GpuVm>>) -> impl Iterator<Item = &GpuVm> {
    vms.known().into_iter().flatten().filter(|vm| vm.running)
}

/// VMs that run with it, whole or with a vGPU.
fn count(vms: &Reading<Vec<GpuVm>>) -> String {
    match vms {
        Reading::Known(_) => running(vms).count().to_string(),
        Reading::Unknown(_) => "unknown".to_owned(),
    }
}

fn named(id: VgpuId, gpu: &GpuDocument) -> String {
    let profile = gpu.vgpus.iter().find(|vgpu| vgpu.id == id).map(|vgpu| vgpu.profile.to_string());
    profile.map_or_else(|| id.to_string(), |profile| format!("{id} ({profile})"))
}
