//! What modules are told: cards that are taken by what they are, and not by where they sit.

use gpuvirt_model::health::TakingLine;
use gpuvirt_model::{Evidence, Finding, FindingCode, Gpu, GraphicsType, Hostdev, Severity, Subject};

use super::Case;
use super::command_line::{Change, remedies};
use super::display::is_boot_display;
use crate::initramfs::MADE_ANEW;

pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    case.health.modules.taken_by_id.iter().filter_map(|line| taken_by_id(case, line)).collect()
}

fn taken_by_id(case: &Case<'_>, line: &TakingLine) -> Option<Finding> {
    let is_taken = |gpu: &&Gpu| {
        let identity = case.observed.primary_of(gpu).map(|function| function.identity);
        identity.is_some_and(|identity| line.ids.iter().any(|id| id.matches(&identity)))
    };
    let taken: Vec<&Gpu> = case.gpus().filter(is_taken).collect();
    let (severity, cause) = judged(case, &taken)?;
    let seen = Evidence { source: line.file.clone(), value: line.line.clone() };
    let finding = Finding::new(FindingCode::TakenById, severity, Subject::Host, cause).seen(seen);
    // Of twins one may be the host's. One that is alone is nobody else's, where nothing says so.
    let alone = taken.len() == 1;
    let of_vms = taken
        .iter()
        .filter(|gpu| if alone { of_host(case, gpu).is_none() } else { is_to_be_direct(case, gpu) });
    let finding = of_vms.fold(finding, |finding, gpu| {
        finding.remedy(format!("gpuvirt gpu set {} --type direct # takes it by its address", gpu.address))
    });
    if line.file == case.health.boot.command_line.source {
        let dropped = remedies(case, Change::Drop(&line.line));
        return Some(dropped.into_iter().fold(finding, Finding::remedy));
    }
    Some(finding.remedy(format!(
        "drop the ids from {}, make the initramfs anew ({MADE_ANEW}), and reboot",
        line.file
    )))
}

/// How bad it is: where all that are taken are for VMs, nobody misses one.
fn judged(case: &Case<'_>, taken: &[&Gpu]) -> Option<(Severity, String)> {
    let first = taken.first()?;
    let names: Vec<String> = taken.iter().map(|gpu| gpu.address.to_string()).collect();
    let alike = format!("vfio-pci takes cards by what they are: to it {} are alike", names.join(", "));
    Some(if taken.len() == 1 {
        let taken = format!("vfio-pci takes {} by what it is", first.address);
        match of_host(case, first) {
            None => (Severity::Note, format!("{taken}: another of its kind would be taken too")),
            Some(why) => {
                (Severity::Warning, format!("{taken}, and {why}: the ids keep it from the host's driver"))
            }
        }
    } else if taken.iter().all(|gpu| is_of_vms(case, gpu)) {
        (
            Severity::Note,
            format!("{alike}. All of them are for VMs now: another of their kind would be taken too"),
        )
    } else {
        (Severity::Warning, format!("{alike}, and it takes all of them, those for the host too"))
    })
}

/// The type that the admin configured, if any.
fn configured(case: &Case<'_>, gpu: &Gpu) -> Option<GraphicsType> {
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
fn is_of_vms(case: &Case<'_>, gpu: &Gpu) -> bool {
    is_to_be_direct(case, gpu) && (configured(case, gpu).is_some() || is_named(case, gpu))
}

/// Why a card is for the host, where something says so: its type, or the host's screen on it, which no VM is to have.
fn of_host(case: &Case<'_>, gpu: &Gpu) -> Option<String> {
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
    let functions = case.domains().flat_map(|domain| &domain.config);
    functions
        .into_iter()
        .any(|device| matches!(device, Hostdev::Pci { address, .. } if gpu.functions.contains(address)))
}
