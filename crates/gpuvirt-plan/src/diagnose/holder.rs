//! Who holds a card that a VM is to have. One that the host uses is held by its programs, which is as it should be.

use gpuvirt_model::{Finding, FindingCode, Gpu, Holder, Severity, Subject, When};

use super::Case;

pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    case.gpus().filter_map(|gpu| held(case, gpu)).collect()
}

/// A card that is not on VFIO yet and whose VM takes it at its start. What is configured as direct and is not yet is said so
/// by `type-pending`, with who holds it.
fn held(case: &Case<'_>, gpu: &Gpu) -> Option<Finding> {
    let entry = case.desired.gpu(gpu.address);
    let lent = entry.is_some_and(|entry| entry.when == When::Vm);
    if gpu.on_vfio || !case.is_for_passthrough(gpu) || (entry.is_some() && !lent) {
        return None;
    }
    let holders: Vec<&Holder> = gpu.holders.seen.iter().filter(|holder| blocks(holder)).collect();
    let first = holders.first()?;
    let follows = if lent {
        "the start of its VM is refused until they are gone"
    } else {
        "libvirt would take it from its driver all the same, and hang for as long as they hold it"
    };
    let more = match holders.len() - 1 {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let cause = format!("a VM is to have it, and it is held by {first}{more}: {follows}");
    let finding = Finding::new(FindingCode::GpuInUse, Severity::Warning, Subject::Gpu(gpu.address), cause);
    let finding = holders.iter().fold(finding, |finding, holder| finding.seen_at("held by", holder));
    let pids: Vec<String> =
        holders.iter().filter_map(|holder| pid(holder)).map(|pid| pid.to_string()).collect();
    let finding = match pids.as_slice() {
        [] => finding,
        pids => finding.remedy(format!("ps -fp {} # end these, or stop their services", pids.join(","))),
    };
    Some(finding.remedy(format!("gpuvirt gpu show {} # who holds it now", gpu.address)))
}

/// Who keeps a driver from being taken away. The console is moved off the card by the switch itself, and a VM that runs with it
/// is no surprise.
fn blocks(holder: &Holder) -> bool {
    match holder {
        Holder::Process { command, .. } => !command.starts_with("qemu"),
        Holder::DrmClient { .. } | Holder::Sound { .. } | Holder::UsbDevice { .. } => true,
        Holder::Console { .. } | Holder::Domain { .. } => false,
    }
}

fn pid(holder: &Holder) -> Option<u32> {
    match holder {
        Holder::Process { pid, .. } => Some(*pid),
        Holder::Sound { pid, .. } => *pid,
        Holder::Console { .. }
        | Holder::DrmClient { .. }
        | Holder::UsbDevice { .. }
        | Holder::Domain { .. } => None,
    }
}
