//! One PCI function of a GPU.

use gpuvirt_model::{Function, Reading};

use super::page::Page;
use super::page::{non_empty, or_none};
use super::size;

/// All that is known of one function.
pub fn section(page: &mut Page, function: &Function) {
    page.heading(format_args!("function {}", function.address));
    page.field("name", full_name(function));
    page.field("identity", function.identity);
    page.field("driver", or_none(driver(function)));
    if function.locked {
        page.field("driver_override", "unknown: the function is locked");
    } else {
        page.field_if("driver_override", function.binding.driver_override.as_ref());
    }
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
    if function.locked {
        page.field("locked", "yes: a write to it waits in the kernel, and any other would wait too");
    }
    page.list("odd", &function.oddities);
}

/// `NVIDIA GeForce RTX 4090`: the vendor's short name and the name that the box has on it, from pci.ids' long ones
/// (`NVIDIA Corporation`, `AD102 [GeForce RTX 4090]`).
pub fn short_name(function: &Function) -> String {
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

/// Vendor and device in full, or their ids.
pub fn full_name(function: &Function) -> String {
    match (function.vendor_name.as_deref(), function.device_name.as_deref()) {
        (Some(vendor), Some(device)) => format!("{vendor} {device}"),
        (Some(vendor), None) => format!("{vendor}, device {:04x}", function.identity.device),
        (None, _) => {
            format!("vendor {:04x}, device {:04x}", function.identity.vendor, function.identity.device)
        }
    }
}

/// The driver that has it; empty for none.
pub fn driver(function: &Function) -> String {
    function.binding.driver.as_ref().map(ToString::to_string).unwrap_or_default()
}

fn bar(bar: &gpuvirt_model::Bar) -> String {
    let kind = if bar.memory { "memory" } else { "I/O ports" };
    let wide = if bar.wide { ", 64-bit" } else { "" };
    let prefetchable = if bar.prefetchable { ", prefetchable" } else { "" };
    format!("{}: {} {kind}{wide}{prefetchable}", bar.index, size::bytes(bar.size))
}
