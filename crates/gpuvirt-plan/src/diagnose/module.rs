//! What modules are told: cards that are taken by what they are, and not by where they sit.

use gpuvirt_model::health::TakingLine;
use gpuvirt_model::{Evidence, Finding, FindingCode, Gpu, GraphicsType, Hostdev, Severity, Subject};

use super::Case;
use super::command_line::{Change, remedies};
use super::display::is_boot_display;
use super::unheeded::Idle;
use crate::initramfs::MADE_ANEW;
use crate::vfio_ids;

pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    let modules = &case.health.modules;
    let lines = &modules.taken_by_id;
    let values = lines.iter().map(|line| (line.file.as_str(), line.heard));
    let heeded = vfio_ids::heeded(values, modules.vfio_built_in).and_then(|at| lines.get(at));
    let is_heeded = |line: &&TakingLine| {
        !vfio_ids::is_parameter(&line.file) || heeded.is_some_and(|heeded| std::ptr::eq(heeded, *line))
    };
    let (taking, without_effect): (Vec<&TakingLine>, Vec<&TakingLine>) = lines.iter().partition(is_heeded);
    let taken = taking.iter().filter_map(|line| taken_by_id(case, line));
    let idle = Idle { case, taking: &taking, heeded };
    taken.chain(idle.findings(&without_effect)).collect()
}

fn taken_by_id(case: &Case<'_>, line: &TakingLine) -> Option<Finding> {
    let taken: Vec<&Gpu> = case.gpus().filter(|gpu| fits(case, line, gpu)).collect();
    let (severity, cause) = judged(case, &taken)?;
    let finding = Finding::new(FindingCode::TakenById, severity, Subject::Host, cause).seen(seen(line));
    let finding = by_address(case, &taken, taken.len() == 1).into_iter().fold(finding, Finding::remedy);
    if vfio_ids::is_the_kernels(&line.file) {
        let dropped = remedies(case, Change::Drop(&line.line));
        return Some(dropped.into_iter().fold(finding, Finding::remedy));
    }
    Some(finding.remedy(format!(
        "drop the ids from {}, make the initramfs anew ({MADE_ANEW}), and reboot",
        line.file
    )))
}

pub(super) fn seen(line: &TakingLine) -> Evidence {
    Evidence { source: line.file.clone(), value: line.line.clone() }
}

pub(super) fn fits(case: &Case<'_>, line: &TakingLine, gpu: &Gpu) -> bool {
    let identity = case.observed.primary_of(gpu).map(|function| function.identity);
    identity.is_some_and(|identity| line.ids.iter().any(|id| id.matches(&identity)))
}

pub(super) fn addresses(gpus: &[&Gpu]) -> String {
    let names: Vec<String> = gpus.iter().map(|gpu| gpu.address.to_string()).collect();
    names.join(", ")
}

/// What takes those of them for VMs that are not the host's; `alone`: there is no other of their kind. Of twins one may be the host's. One that is alone is nobody else's,
/// where nothing says so.
pub(super) fn by_address(case: &Case<'_>, taken: &[&Gpu], alone: bool) -> Vec<String> {
    let is_of_vms =
        |gpu: &&&Gpu| if alone { of_host(case, gpu).is_none() } else { is_to_be_direct(case, gpu) };
    let given = taken.iter().filter(is_of_vms);
    given
        .map(|gpu| format!("gpuvirt gpu set {} --type direct # takes it by its address", gpu.address))
        .collect()
}

/// How bad it is: where all that are taken are for VMs, nobody misses one.
fn judged(case: &Case<'_>, taken: &[&Gpu]) -> Option<(Severity, String)> {
    let first = taken.first()?;
    let alike = format!("vfio-pci takes cards by what they are: to it {} are alike", addresses(taken));
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
fn is_of_vms(case: &Case<'_>, gpu: &Gpu) -> bool {
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
    let functions = case.domains().flat_map(|domain| &domain.config);
    functions
        .into_iter()
        .any(|device| matches!(device, Hostdev::Pci { address, .. } if gpu.functions.contains(address)))
}
