//! Cards that a line names by what they are, and for whom they are.

use gpuvirt_model::health::TakingLine;
use gpuvirt_model::{Evidence, Gpu, GraphicsType, Hostdev};

use super::Case;
use super::display::is_boot_display;

/// The line itself.
pub(super) fn seen(line: &TakingLine) -> Evidence {
    Evidence { source: line.file.clone(), value: line.line.clone() }
}

/// Whether a line's ids are a card's.
pub(super) fn fits(case: &Case<'_>, line: &TakingLine, gpu: &Gpu) -> bool {
    let identity = case.observed.primary_of(gpu).map(|function| function.identity);
    identity.is_some_and(|identity| line.ids.iter().any(|id| id.matches(&identity)))
}

/// For a sentence.
pub(super) fn addresses(gpus: &[&Gpu]) -> String {
    let names: Vec<String> = gpus.iter().map(|gpu| gpu.address.to_string()).collect();
    names.join(", ")
}

/// What takes those of them for VMs that are not the host's; `alone`: there is no other of their kind. Of twins one may be the
/// host's. One that is alone is nobody else's, where nothing says so.
pub(super) fn by_address(case: &Case<'_>, taken: &[&Gpu], alone: bool) -> Vec<String> {
    let is_of_vms =
        |gpu: &&&Gpu| if alone { of_host(case, gpu).is_none() } else { is_to_be_direct(case, gpu) };
    let given = taken.iter().filter(is_of_vms);
    given
        .map(|gpu| format!("gpuvirt gpu set {} --type direct # takes it by its address", gpu.address))
        .collect()
}

/// The type that the admin configured, if any.
pub(super) fn configured(case: &Case<'_>, gpu: &Gpu) -> Option<GraphicsType> {
    case.desired.gpu(gpu.address).map(|entry| entry.graphics_type.resolve(&case.desired.host))
}

/// Whether a card is to be direct: so configured, or on VFIO now and nobody's else. That it is there may be the ids' own doing:
/// the host's screen is not given away for it.
fn is_to_be_direct(case: &Case<'_>, gpu: &Gpu) -> bool {
    match configured(case, gpu) {
        Some(wanted) => wanted == GraphicsType::Direct,
        None => gpu.on_vfio && !is_boot_display(case, gpu),
    }
}

/// Whether a card is said to be for VMs: by its type, or by a VM that names it.
pub(super) fn is_of_vms(case: &Case<'_>, gpu: &Gpu) -> bool {
    is_to_be_direct(case, gpu) && (configured(case, gpu).is_some() || is_named(case, gpu))
}

/// Why a card is for the host, where something says so: its type, or the host's screen on it, which no VM is to have.
pub(super) fn of_host(case: &Case<'_>, gpu: &Gpu) -> Option<String> {
    match configured(case, gpu) {
        Some(GraphicsType::Direct) => None,
        Some(wanted) => Some(format!("it is configured as {wanted}")),
        None if is_boot_display(case, gpu) && !is_named(case, gpu) => {
            Some("it is the host's boot display".to_owned())
        }
        None => None,
    }
}

/// Whether a VM names a function of a card.
fn is_named(case: &Case<'_>, gpu: &Gpu) -> bool {
    named(case, gpu).next().is_some()
}

/// Whether libvirt itself takes a card for a VM when that starts.
pub(super) fn is_taken_by_libvirt(case: &Case<'_>, gpu: &Gpu) -> bool {
    named(case, gpu).any(|managed| managed)
}

/// Each naming of a function of a card by a VM: whether libvirt is to take it from its driver.
fn named<'a>(case: &'a Case<'_>, gpu: &'a Gpu) -> impl Iterator<Item = bool> + 'a {
    let devices = case.domains().flat_map(|domain| &domain.config);
    devices.filter_map(|device| match device {
        Hostdev::Pci { address, managed } if gpu.functions.contains(address) => Some(*managed),
        Hostdev::Pci { .. } | Hostdev::Mdev { .. } => None,
    })
}
