//! What modules are told: cards that are taken by what they are, and not by where they sit.

use gpuvirt_model::health::TakingLine;
use gpuvirt_model::{Evidence, Finding, FindingCode, Gpu, Severity, Subject};

use super::Case;
use super::command_line::{Change, remedies};
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
    let first = taken.first()?;
    let names: Vec<String> = taken.iter().map(|gpu| gpu.address.to_string()).collect();
    let (severity, cause) = if taken.len() > 1 {
        let cause = format!(
            "vfio-pci takes cards by what they are: to it {} are alike, and it takes all of them, those for the host too",
            names.join(", ")
        );
        (Severity::Warning, cause)
    } else {
        let cause =
            format!("vfio-pci takes {} by what it is: another of its kind would be taken too", first.address);
        (Severity::Note, cause)
    };
    let seen = Evidence { source: line.file.clone(), value: line.line.clone() };
    let finding = Finding::new(FindingCode::TakenById, severity, Subject::Host, cause).seen(seen);
    let finding =
        finding.remedy(format!("gpuvirt gpu set {} --type direct # takes it by its address", first.address));
    if line.file == case.health.boot.command_line.source {
        let dropped = remedies(case, Change::Drop(&line.line));
        return Some(dropped.into_iter().fold(finding, Finding::remedy));
    }
    Some(finding.remedy(format!(
        "then drop the ids from {}, make the initramfs anew ({MADE_ANEW}), and reboot",
        line.file
    )))
}
