//! GPUs: the listing, and all of one.

use gpuvirt_api::gpu::{GpuVm, VgpuModeDocument};
use gpuvirt_api::{GpuDocument, PassthroughDocument};
use gpuvirt_model::{HostDriver, HostDriverKind, Reading, VgpuMode};

use super::page::{Page, non_empty, or_none};
use super::table::{Table, cut};
use super::vm::vms_short;
use super::{function, holder, iommu, profile, size, vgpu};

/// Widest name in a listing, so that its lines stay near 100 columns.
const NAME_WIDTH: usize = 22;
/// The same beside labels, which say more to those who gave them.
const NAME_WIDTH_BESIDE_LABEL: usize = 16;

/// All GPUs, a line each; what is pending stands below.
pub fn list(gpus: &[GpuDocument]) -> String {
    if gpus.is_empty() {
        return "no GPUs\n".to_owned();
    }
    let mut table = Table::new([
        "ADDRESS",
        "LABEL",
        "NAME",
        "CONFIGURED",
        "ACTIVE",
        "VGPU MODE",
        "MODE ASKED",
        "DRIVER",
        "GROUP",
        "BUSY",
        "VGPUS",
        "HELD",
        "VMS",
    ])
    .optional(&["LABEL", "VGPU MODE", "MODE ASKED", "BUSY"]);
    let labelled = gpus.iter().any(|gpu| gpu.label.is_some());
    let width = if labelled { NAME_WIDTH_BESIDE_LABEL } else { NAME_WIDTH };
    for gpu in gpus {
        let primary = gpu.function_details.first();
        table.row([
            gpu.address.to_string(),
            gpu.label.clone().unwrap_or_default(),
            cut(&primary.map(function::short_name).unwrap_or_default(), width),
            gpu.configured.map(|configured| configured.to_string()).unwrap_or_default(),
            gpu.active.to_string(),
            gpu.vgpu_mode.map(|mode| mode.active.to_string()).unwrap_or_default(),
            gpu.vgpu_mode.and_then(asked).map(|mode| mode.to_string()).unwrap_or_default(),
            primary.map(function::driver).unwrap_or_default(),
            primary.and_then(|f| f.iommu_group).map(|group| group.to_string()).unwrap_or_default(),
            gpu.usage.busy_percent.map(|percent| format!("{percent}%")).unwrap_or_default(),
            gpu.vgpus.len().to_string(),
            holder::count(&gpu.gpu.holders),
            vms_short(&gpu.vms),
        ]);
    }
    let mut page = Page::new();
    page.table(0, &table);
    for gpu in gpus {
        if let Some(reason) = &gpu.pending {
            page.line(format_args!("pending: {}: {reason}", gpu.address));
        }
    }
    for gpu in gpus.iter().filter(|gpu| gpu.cordoned) {
        page.line(format_args!("cordoned: {}: nothing more is placed on it", gpu.address));
    }
    page.into_text()
}

/// All that is known of one GPU.
pub fn show(gpu: &GpuDocument) -> String {
    let mut page = Page::new();
    page.line(format_args!(
        "{}  {}",
        gpu.address,
        gpu.function_details.first().map(function::full_name).unwrap_or_default()
    ));
    page.field_if("label", gpu.label.as_ref());
    match gpu.configured {
        Some(configured) => match gpu.configured_resolved {
            Some(resolved) if resolved.to_string() != configured.to_string() => {
                page.field("configured", format_args!("{configured} ({resolved} on this host)"));
            }
            _ => page.field("configured", configured),
        },
        None => page.field("configured", "nothing: unmanaged, never written to"),
    }
    page.field("active", gpu.active);
    page.field_if("pending", gpu.pending.as_ref());
    page.field_if("cordoned", gpu.cordoned.then_some("what is on it stays, nothing more is placed there"));
    page.field_if("vGPU mode", gpu.vgpu_mode.map(mode));
    if let Some(passthrough) = &gpu.passthrough {
        show_passthrough(&mut page, passthrough);
    }
    page.field_if("VFs wanted", gpu.vf_count.as_ref());
    if !gpu.accepted.is_empty() {
        page.field("accepted", joined(gpu.accepted.iter()));
    }
    page.field("memory BARs", format_args!("{} over all functions", size::bytes(gpu.bar_bytes)));
    page.field_if("memory", gpu.usage.memory_bytes.map(size::bytes));
    page.field_if("busy", gpu.usage.busy_percent.map(|percent| format!("{percent} % at this moment")));
    page.field_if("host driver", host_driver(&gpu.host_driver));
    page.field(
        "vGPU frameworks",
        match &gpu.framework_undecided {
            Some(why) => format!("undecided: {why}"),
            None => or_none(joined(gpu.gpu.frameworks.iter())),
        },
    );
    for warning in &gpu.warnings {
        page.field("warning", format_args!("{}  [{}]", warning.text, warning.code));
    }
    for function in &gpu.function_details {
        function::section(&mut page, function);
    }
    for group in &gpu.iommu_groups {
        iommu::section(&mut page, group);
    }
    if gpu.iommu_groups.is_empty() {
        page.heading("IOMMU group: none");
        page.line("  the IOMMU is off or does not reach this card: it can't be given to a VM");
    }
    if !gpu.gpu.profiles.is_empty() {
        page.heading("profiles");
        profile::of_gpu(&mut page, gpu);
    }
    if !gpu.vgpus.is_empty() {
        page.heading("vGPUs");
        page.table(2, &vgpu::of_gpu(gpu));
    }
    show_vms(&mut page, &gpu.vms);
    holder::section(&mut page, &gpu.gpu.holders);
    page.into_text()
}

/// None where a daemon of an earlier version did not tell.
fn host_driver(driver: &HostDriver) -> Option<String> {
    if driver.evidence.is_empty() {
        return None;
    }
    let kind = match driver.kind {
        HostDriverKind::None => return Some("none".to_owned()),
        HostDriverKind::VgpuHost => "makes vGPUs",
        HostDriverKind::Plain => "plain, makes no vGPUs",
        HostDriverKind::OpenModule => "open kernel module, makes no vGPUs",
        HostDriverKind::Other => return Some(driver.evidence.clone()),
        HostDriverKind::Unknown => "unknown whether it makes vGPUs",
    };
    let version = driver.version.as_ref().map(|version| format!("{version}, ")).unwrap_or_default();
    Some(format!("{version}{kind}: {}", driver.evidence))
}

fn show_vms(page: &mut Page, vms: &Reading<Vec<GpuVm>>) {
    page.heading("VMs");
    match vms {
        Reading::Unknown(why) => page.line(format_args!("  {why}")),
        Reading::Known(vms) if vms.is_empty() => page.line("  none"),
        Reading::Known(vms) => vms.iter().for_each(|vm| {
            let how = if vm.running { "running" } else { "defined" };
            let what = if vm.vgpus.is_empty() {
                "it".to_owned()
            } else {
                format!("vGPU {}", joined(vm.vgpus.iter()))
            };
            page.line(format_args!("  {}  {how} with {what}", vm.name));
        }),
    }
}

/// The mode that was asked for, where it is not the one in force.
fn asked(mode: VgpuModeDocument) -> Option<VgpuMode> {
    mode.configured.filter(|asked| *asked != mode.active)
}

/// The mode that is in force, and the other one where that was asked for.
fn mode(mode: VgpuModeDocument) -> String {
    let asked = asked(mode).map(|asked| format!(" ({asked} was asked for)")).unwrap_or_default();
    format!("{}{asked}", mode.active)
}

/// vSphere's three words for it, with every reason why it can't be, and what goes along.
fn show_passthrough(page: &mut Page, passthrough: &PassthroughDocument) {
    let PassthroughDocument { enabled, capable, active, .. } = passthrough;
    let yes_no = |yes: &bool| if *yes { "yes" } else { "no" };
    page.field(
        "passthrough",
        format_args!("enabled {}, capable {}, active {}", yes_no(enabled), yes_no(capable), yes_no(active)),
    );
    let obstacles =
        passthrough.obstacles.iter().map(|it| format!("not capable: {}  [{}]", it.because, it.code));
    page.list("", obstacles);
    page.list("", passthrough.warnings.iter().map(|it| format!("{}  [{}]", it.text, it.code)));
    page.field_if("goes along", non_empty(joined(passthrough.dependents.iter())));
}

fn joined(values: impl Iterator<Item = impl ToString>) -> String {
    values.map(|value| value.to_string()).collect::<Vec<_>>().join(", ")
}
