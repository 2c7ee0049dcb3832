//! What modules are told: cards that are taken by what they are, and not by where they sit.

use gpuvirt_model::health::TakingLine;
use gpuvirt_model::{Finding, FindingCode, Gpu, Severity, Subject};

use super::Case;
use super::by_id::{addresses, by_address, fits, is_of_vms, of_host, seen};
use super::command_line::{Change, remedies};
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
