//! GPUs: the listing, and all of one.

use gpuvirt_api::GpuDocument;
use gpuvirt_api::gpu::{GpuVm, GroupDocument};
use gpuvirt_model::{Function, MemberRole, Reading};

use super::page::Page;
use super::table::{Table, cut};
use super::{holder, profile, size, vgpu};

/// Widest name in a listing, so that its lines stay near 100 columns.
const NAME_WIDTH: usize = 22;
/// The same beside labels, which say more to those who gave them.
const NAME_WIDTH_BESIDE_LABEL: usize = 16;
/// Widest name of a VM in a listing.
const VM_WIDTH: usize = 16;

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
        "DRIVER",
        "GROUP",
        "VGPUS",
        "HELD",
        "VMS",
    ])
    .optional(&["LABEL"]);
    let labelled = gpus.iter().any(|gpu| gpu.label.is_some());
    let width = if labelled { NAME_WIDTH_BESIDE_LABEL } else { NAME_WIDTH };
    for gpu in gpus {
        let primary = gpu.function_details.first();
        table.row([
            gpu.address.to_string(),
            gpu.label.clone().unwrap_or_default(),
            cut(&primary.map(short_name).unwrap_or_default(), width),
            gpu.configured.map(|configured| configured.to_string()).unwrap_or_default(),
            gpu.active.to_string(),
            primary.map(driver).unwrap_or_default(),
            primary.and_then(|f| f.iommu_group).map(|group| group.to_string()).unwrap_or_default(),
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
    page.into_text()
}

/// All that is known of one GPU.
pub fn show(gpu: &GpuDocument) -> String {
    let mut page = Page::new();
    page.line(format_args!(
        "{}  {}",
        gpu.address,
        gpu.function_details.first().map(full_name).unwrap_or_default()
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
    if !gpu.accepted.is_empty() {
        page.field("accepted", joined(gpu.accepted.iter()));
    }
    page.field("memory BARs", format_args!("{} over all functions", size::bytes(gpu.bar_bytes)));
    page.field("vGPU frameworks", or_none(joined(gpu.gpu.frameworks.iter())));
    for function in &gpu.function_details {
        show_function(&mut page, function);
    }
    for group in &gpu.iommu_groups {
        show_group(&mut page, group);
    }
    if gpu.iommu_groups.is_empty() {
        page.heading("IOMMU group: none");
        page.line("  the IOMMU is off or does not reach this card: it can't be given to a VM");
    }
    if !gpu.gpu.profiles.is_empty() {
        page.heading("profiles");
        page.table(2, &profile::of_gpu(gpu));
    }
    if !gpu.vgpus.is_empty() {
        page.heading("vGPUs");
        page.table(2, &vgpu::of_gpu(gpu));
    }
    show_vms(&mut page, &gpu.vms);
    holder::section(&mut page, &gpu.gpu.holders);
    page.into_text()
}

fn show_function(page: &mut Page, function: &Function) {
    page.heading(format_args!("function {}", function.address));
    page.field("name", full_name(function));
    page.field("identity", function.identity);
    page.field("driver", or_none(driver(function)));
    page.field_if("driver_override", function.binding.driver_override.as_ref());
    page.field_if("NUMA node", function.numa_node);
    page.list("BARs", function.bars.iter().map(bar));
    match &function.reset_methods {
        Reading::Known(methods) if methods.is_empty() => {
            page.field("reset methods", "none: the next guest gets it as the last one left it");
        }
        Reading::Known(methods) => page.field("reset methods", methods.join(", ")),
        Reading::Unknown(why) => page.field("reset methods", why),
    }
    page.field_if("power state", function.power_state.as_ref());
    let boot = [(function.boot_vga, "boot_vga"), (function.boot_display, "boot_display")];
    let boot: Vec<&str> = boot.iter().filter(|(set, _)| *set == Some(true)).map(|(_, name)| *name).collect();
    page.field_if("boot display", (!boot.is_empty()).then(|| format!("yes ({})", boot.join(", "))));
    page.field_if("DRM nodes", non_empty(function.drm_nodes.join(", ")));
    page.field_if("device nodes", non_empty(function.device_nodes.join(", ")));
    page.field_if("VFIO device", function.vfio_device.as_ref());
    page.field_if("physical function", function.physfn);
    if let Some(sriov) = &function.sriov {
        let autoprobe = if sriov.drivers_autoprobe { "bound by the kernel" } else { "left without a driver" };
        page.field(
            "SR-IOV",
            format_args!("{} of {} VFs; new ones are {autoprobe}", sriov.enabled, sriov.total),
        );
        page.list("VFs", &sriov.vfs);
    }
    if !function.endpoint {
        page.field("endpoint", "no: it can't be given to a VM");
    }
    if function.unresponsive {
        page.field("on the bus", "no answer: its config space reads as all ones");
    }
    page.list("odd", &function.oddities);
}

fn show_group(page: &mut Page, group: &GroupDocument) {
    let viable = match (group.group.noiommu, group.viable) {
        (true, _) => "no isolation: VFIO's no-IOMMU mode",
        (false, true) => "viable",
        (false, false) => "not viable: other devices in it have host drivers",
    };
    page.heading(format_args!("IOMMU group {}: {viable}", group.group.id));
    page.field_if("domain type", group.group.domain_type.as_ref());
    let mut table = Table::new(["MEMBER", "ROLE", "DRIVER", "NAME"]).optional(&["NAME"]);
    for member in &group.roles {
        table.row([
            member.address.to_string(),
            role(member.role).to_owned(),
            member.driver.clone().unwrap_or_default(),
            member.name.clone().unwrap_or_default(),
        ]);
    }
    for other in &group.group.others {
        table.row([other.clone(), "no PCI function".to_owned(), String::new(), String::new()]);
    }
    page.table(2, &table);
}

fn role(role: MemberRole) -> &'static str {
    match role {
        MemberRole::Card => "this card",
        MemberRole::Bridge => "bridge",
        MemberRole::Idle => "idle",
        MemberRole::Foreign => "foreign",
    }
}

fn show_vms(page: &mut Page, vms: &Reading<Vec<GpuVm>>) {
    page.heading("VMs");
    match vms {
        Reading::Unknown(why) => page.line(format_args!("  {why}")),
        Reading::Known(vms) if vms.is_empty() => page.line("  none"),
        Reading::Known(vms) => vms.iter().for_each(|vm| {
            let how = if vm.running { "running with it" } else { "defined with it" };
            page.line(format_args!("  {}  {how}", vm.name));
        }),
    }
}

/// VMs in a cell: names of those that run with it first, those that are only defined with it in brackets.
pub fn vms_short(vms: &Reading<Vec<GpuVm>>) -> String {
    let Reading::Known(vms) = vms else { return "unknown".to_owned() };
    let (running, defined): (Vec<&GpuVm>, Vec<&GpuVm>) = vms.iter().partition(|vm| vm.running);
    let running = running.iter().map(|vm| cut(&vm.name, VM_WIDTH));
    let names: Vec<String> =
        running.chain(defined.iter().map(|vm| format!("({})", cut(&vm.name, VM_WIDTH)))).collect();
    match names.as_slice() {
        [first, second, _, ..] => format!("{first}, {second} +{}", names.len() - 2),
        _ => names.join(", "),
    }
}

/// `NVIDIA GeForce RTX 4090`: the vendor's short name and the name that the box has on it, from pci.ids' long ones
/// (`NVIDIA Corporation`, `AD102 [GeForce RTX 4090]`).
fn short_name(function: &Function) -> String {
    let id = &function.identity;
    let vendor = function.vendor_name.as_deref().map(|name| match in_brackets(name) {
        Some(short) => short,
        None => name.split([' ', ',']).next().unwrap_or_default(),
    });
    let device = function.device_name.as_deref().map(|name| in_brackets(name).unwrap_or(name));
    match (vendor, device) {
        (Some(vendor), Some(device)) => format!("{vendor} {device}"),
        (Some(vendor), None) => format!("{vendor} {:04x}:{:04x}", id.vendor, id.device),
        (None, _) => format!("{:04x}:{:04x}", id.vendor, id.device),
    }
}

/// What stands in the square brackets at the end.
fn in_brackets(name: &str) -> Option<&str> {
    let (_, inside) = name.strip_suffix(']')?.rsplit_once('[')?;
    (!inside.is_empty()).then_some(inside)
}

fn full_name(function: &Function) -> String {
    match (function.vendor_name.as_deref(), function.device_name.as_deref()) {
        (Some(vendor), Some(device)) => format!("{vendor} {device}"),
        (Some(vendor), None) => format!("{vendor}, device {:04x}", function.identity.device),
        (None, _) => {
            format!("vendor {:04x}, device {:04x}", function.identity.vendor, function.identity.device)
        }
    }
}

fn driver(function: &Function) -> String {
    function.binding.driver.as_ref().map(ToString::to_string).unwrap_or_default()
}

fn bar(bar: &gpuvirt_model::Bar) -> String {
    let kind = if bar.memory { "memory" } else { "I/O ports" };
    let wide = if bar.wide { ", 64-bit" } else { "" };
    let prefetchable = if bar.prefetchable { ", prefetchable" } else { "" };
    format!("{}: {} {kind}{wide}{prefetchable}", bar.index, size::bytes(bar.size))
}

fn joined(values: impl Iterator<Item = impl ToString>) -> String {
    values.map(|value| value.to_string()).collect::<Vec<_>>().join(", ")
}

fn non_empty(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn or_none(text: String) -> String {
    non_empty(text).unwrap_or_else(|| "none".to_owned())
}
