//! What the next boot will do, and what an earlier change left behind.

use gpuvirt_model::{Finding, FindingCode, Severity, Subject};

use super::Case;
use crate::checks::NO_WRITER_REMEDY;

pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    let mut found: Vec<Finding> = stale_image(case).into_iter().collect();
    found.extend(case.daemon.problems.iter().map(|problem| unreadable(problem)));
    found.extend(case.daemon.no_writer.as_deref().map(no_writer));
    found.extend(unsettled(case));
    found
}

fn stale_image(case: &Case<'_>) -> Option<Finding> {
    let stale = case.daemon.stale_boot_image.as_ref()?;
    let (what, command) = stale.rsplit_once(": ").unwrap_or((stale, "update-initramfs -u"));
    Some(
        Finding::new(
            FindingCode::InitramfsStale,
            Severity::Warning,
            Subject::Host,
            "the next boot does not know which cards are for passthrough: a host driver may take them first",
        )
        .seen_at("/etc/gpuvirt/claims", what)
        .remedy(command),
    )
}

fn unreadable(problem: &str) -> Finding {
    Finding::new(
        FindingCode::StateUnreadable,
        Severity::Error,
        Subject::Host,
        "a stored file can't be understood or kept up to date: nothing is changed until it can",
    )
    .seen_at("/var/lib/gpuvirt", problem)
    .remedy("put the last good file in its place, from your backup: `gpuvirt explain state-unreadable`")
}

fn no_writer(why: &str) -> Finding {
    let finding = Finding::new(
        FindingCode::NoWriter,
        Severity::Error,
        Subject::Host,
        "nobody writes to the host for gpuvirtd: GPUs and vGPUs stay as they are, and VMs that need one made do not start",
    );
    NO_WRITER_REMEDY.iter().fold(finding.seen_at("gpuvirtd", why), |finding, remedy| finding.remedy(*remedy))
}

fn unsettled(case: &Case<'_>) -> Vec<Finding> {
    let finding = |(gpu, purpose): &(gpuvirt_model::PciAddress, String)| {
        Finding::new(
            FindingCode::HandsOff,
            Severity::Error,
            Subject::Gpu(*gpu),
            format!("an earlier change neither succeeded nor could be undone ({purpose}): nothing more is done to it"),
        )
        .seen_at("/var/lib/gpuvirt/journal", purpose)
        .remedy("gpuvirt recover")
        .remedy(format!("gpuvirt gpu show {gpu} # what holds it"))
    };
    case.daemon.unsettled.iter().map(finding).collect()
}
