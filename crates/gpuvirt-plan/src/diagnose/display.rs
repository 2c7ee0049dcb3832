//! The boot display: whose screen goes dark, and who still draws in a card's memory.

use gpuvirt_model::{
    Evidence, Finding, FindingCode, Gpu, Holder, PciAddress, RefusalCode, ReleaseNumber, Severity, Subject,
};

use super::Case;
use super::command_line::{Change, remedies};

pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    let gpus = case.gpus();
    gpus.flat_map(|gpu| [boot_display(case, gpu), frame_buffer(case, gpu), shadowed_rom(case, gpu)])
        .flatten()
        .collect()
}

/// Whether the firmware drew on it, or the kernel says that it is the display.
pub(super) fn is_boot_display(case: &Case<'_>, gpu: &Gpu) -> bool {
    let mut functions = case.observed.functions_of(gpu);
    functions.any(|function| function.boot_vga == Some(true) || function.boot_display == Some(true))
}

/// A card that is configured for passthrough, and whose admin was not asked about its screen.
fn boot_display(case: &Case<'_>, gpu: &Gpu) -> Option<Finding> {
    let accepted =
        case.desired.gpu(gpu.address).is_some_and(|entry| entry.accepted.contains(&RefusalCode::BootDisplay));
    let going = case.is_for_passthrough(gpu) && !gpu.on_vfio && !accepted;
    (going && is_boot_display(case, gpu)).then(|| {
        let finding = Finding::new(
            FindingCode::BootDisplay,
            Severity::Warning,
            Subject::Gpu(gpu.address),
            "it is the display that the firmware chose: the host has no screen once a VM has it",
        )
        .seen_at(format!("/sys/bus/pci/devices/{}/boot_vga", gpu.address), "1");
        let finding = drawers(case, gpu).into_iter().fold(finding, Finding::seen);
        finding.remedy("choose another display in the firmware's setup (integrated graphics, another slot)")
        .remedy(format!(
            "or take it, with another way into the host (ssh): gpuvirt gpu set {} --type direct --accept boot-display",
            gpu.address
        ))
    })
}

/// Who draws on it now: its driver with its nodes, and the console.
fn drawers(case: &Case<'_>, gpu: &Gpu) -> Vec<Evidence> {
    let mut found = Vec::new();
    let seen = |source: String, value: String| Evidence { source, value };
    for function in case.observed.functions_of(gpu) {
        let frame_buffers = function.device_nodes.iter().filter(|node| node.starts_with("fb"));
        let nodes: Vec<&str> = function.drm_nodes.iter().chain(frame_buffers).map(String::as_str).collect();
        let Some(driver) = function.binding.driver.as_ref().filter(|_| !nodes.is_empty()) else { continue };
        let place = format!("/sys/bus/pci/devices/{}/driver", function.address);
        found.push(seen(place, format!("{driver} draws on it: {}", nodes.join(" "))));
    }
    let consoles = gpu.holders.seen.iter().filter(|holder| matches!(holder, Holder::Console { .. }));
    found.extend(consoles.map(|holder| seen("held by".to_owned(), holder.to_string())));
    found
}

fn frame_buffer(case: &Case<'_>, gpu: &Gpu) -> Option<Finding> {
    let claims = &case.health.display.claims;
    let all = claims.known().into_iter().flatten();
    let of_card: Vec<_> = all.filter(|claim| gpu.functions.contains(&claim.function)).collect();
    let function = of_card.first()?.function;
    if !case.is_for_passthrough(gpu) || is_evicted(case, gpu, function) {
        return None;
    }
    // The kernel's own claim, and in it that of the driver that draws: the last one is who holds it.
    let names: Vec<&str> =
        of_card.iter().filter(|claim| claim.function == function).map(|claim| claim.name.as_str()).collect();
    let driver = case.observed.functions.get(&function).and_then(|function| function.binding.driver.as_ref());
    let (severity, cause) = if gpu.on_vfio {
        let cause = "the firmware's frame buffer still has a part of its memory: VFIO can't map it, and the guest's screen \
                     stays black";
        (Severity::Error, cause.to_owned())
    } else {
        let over = match driver {
            Some(driver) => format!("{driver} has not taken it over"),
            None => "no driver has taken it over".to_owned(),
        };
        let cause = format!(
            "the firmware's frame buffer has a part of its memory, and {over}: VFIO could not map it"
        );
        (Severity::Warning, cause)
    };
    let finding = Finding::new(FindingCode::FirmwareFramebuffer, severity, Subject::Gpu(gpu.address), cause)
        .seen(claims.shows(format!("{} inside the memory of {function}", names.join(", "))));
    let argument = remedies(case, Change::Add("initcall_blacklist=sysfb_init"));
    let finding = argument.into_iter().fold(finding, Finding::remedy);
    Some(finding.remedy("before Linux 5.15: video=efifb:off instead"))
}

/// Whether vfio-pci takes the firmware's picture away when it takes the card: it does with VGA controllers, since Linux 6.0
/// (d17378062079 "vfio/pci: Remove console drivers"). One that it has already, and the claim with it, is no such case.
fn is_evicted(case: &Case<'_>, gpu: &Gpu, function: PciAddress) -> bool {
    let release = case.observed.host.kernel_release.as_deref();
    let release: Option<ReleaseNumber> = release.and_then(|release| release.parse().ok());
    let class = case.observed.functions.get(&function).map(|function| function.identity.class.base_and_sub());
    let evicts = release.is_some_and(|release| release >= EVICTS);
    !gpu.on_vfio && evicts && class == Some(VGA)
}

const EVICTS: ReleaseNumber = ReleaseNumber::new(6, 0);
/// PCI_CLASS_DISPLAY_VGA (include/linux/pci_ids.h).
const VGA: u16 = 0x0300;
const NVIDIA: u16 = 0x10de;

/// The firmware ran the boot display's ROM and left its shadow: NVIDIA's cards start on their own copy only.
fn shadowed_rom(case: &Case<'_>, gpu: &Gpu) -> Option<Finding> {
    let primary = case.observed.primary_of(gpu)?;
    let rom = case.health.functions.get(&gpu.address)?.rom;
    let shadowed = is_boot_display(case, gpu) && primary.identity.vendor == NVIDIA && rom;
    let guest = case
        .machines_of(gpu)
        .find(|guest| guest.devices.iter().any(|device| device.address == gpu.address && !device.rom_file))?;
    let shown = format!("/sys/bus/pci/devices/{}/rom", gpu.address);
    let saved = format!("/var/lib/libvirt/gpu-{}.rom", gpu.address.to_string().replace(':', "-"));
    shadowed.then(|| {
        Finding::new(
            FindingCode::ShadowedRom,
            Severity::Note,
            Subject::Gpu(gpu.address),
            format!(
                "it was the boot display, so its ROM may read as what the firmware made of it: VM {} may find no picture",
                guest.name
            ),
        )
        .seen_at(format!("/sys/bus/pci/devices/{}/boot_vga", gpu.address), "1")
        .seen_at(format!("definition of {}", guest.name), "no <rom file=> for it")
        .remedy("boot once with another display, and save the ROM:")
        .remedy(format!("echo 1 > {shown}; cat {shown} > {saved}; echo 0 > {shown}"))
        .remedy(format!("then <rom file='{saved}'/> in its hostdev"))
    })
}
