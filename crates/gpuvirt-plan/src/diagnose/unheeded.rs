//! Ids that vfio-pci was given and that have no effect, where somebody may wait for what they say.

use gpuvirt_model::health::TakingLine;
use gpuvirt_model::{Finding, FindingCode, Gpu, Hostdev, Severity, Subject};

use super::Case;
use super::command_line::{Change, remedies};
use super::module::{addresses, by_address, configured, fits, of_host, seen};
use crate::vfio_ids;

/// What such lines are judged by.
pub(super) struct Idle<'a> {
    pub(super) case: &'a Case<'a>,
    /// The lines that take cards.
    pub(super) taking: &'a [&'a TakingLine],
    /// The value of the parameter that counts.
    pub(super) heeded: Option<&'a TakingLine>,
}

impl Idle<'_> {
    /// One for each card, or cards, that lines without effect are about.
    pub(super) fn findings(&self, lines: &[&TakingLine]) -> Vec<Finding> {
        // An empty value is a switch: that entry of the boot menu is the one without passthrough.
        if self.heeded.is_some_and(|line| line.ids.is_empty()) {
            return Vec::new();
        }
        let mut told: Vec<Vec<&Gpu>> = Vec::new();
        let mut found = Vec::new();
        for line in lines {
            let missed = self.missed(line);
            if !missed.is_empty() && !told.contains(&missed) {
                found.push(self.unheeded(line, &missed));
                told.push(missed);
            }
        }
        found
    }

    /// The cards that a line is about and nobody has seen to. Where a twin is on VFIO, or configured, somebody has: which one is left
    /// to the host is theirs to say.
    fn missed(&self, line: &TakingLine) -> Vec<&Gpu> {
        let seen_to = |gpu: &&Gpu| {
            gpu.on_vfio || configured(self.case, gpu).is_some() || is_taken_by_libvirt(self.case, gpu)
        };
        let fitting = self.fitting(line);
        if fitting.iter().any(seen_to) {
            return Vec::new();
        }
        let is_taken = |gpu: &Gpu| self.taking.iter().any(|other| fits(self.case, other, gpu));
        fitting.into_iter().filter(|gpu| !is_taken(gpu) && of_host(self.case, gpu).is_none()).collect()
    }

    fn fitting(&self, line: &TakingLine) -> Vec<&Gpu> {
        self.case.gpus().filter(|gpu| fits(self.case, line, gpu)).collect()
    }

    fn unheeded(&self, line: &TakingLine, missed: &[&Gpu]) -> Finding {
        let modules = &self.case.health.modules;
        let later = self.heeded.filter(|_| !modules.vfio_built_in || vfio_ids::is_the_kernels(&line.file));
        let why = match later {
            None => vfio_ids::BUILT_IN.to_owned(),
            Some(later) => {
                let place = if later.file == line.file { "a later one there" } else { &later.file };
                format!("{place} says otherwise, and of several values the last counts")
            }
        };
        let cause = format!("the ids in {} do not take {}: {why}", line.file, addresses(missed));
        let finding =
            Finding::new(FindingCode::IdsUnheeded, Severity::Warning, Subject::Host, cause).seen(seen(line));
        let finding = match later {
            Some(later) => finding.seen(seen(later)),
            None => finding.seen_at(self.builtin_list(), "has vfio-pci"),
        };
        self.remedies(line, missed).into_iter().fold(finding, Finding::remedy)
    }

    fn builtin_list(&self) -> String {
        let release = self.case.observed.host.kernel_release.as_deref().unwrap_or("RELEASE");
        format!("/lib/modules/{release}/modules.builtin")
    }

    fn remedies(&self, line: &TakingLine, missed: &[&Gpu]) -> Vec<String> {
        let mut found = by_address(self.case, missed, self.fitting(line).len() == 1);
        if found.is_empty() {
            found.push(
                "for each of them that a VM is to have: gpuvirt gpu set ADDRESS --type direct".to_owned(),
            );
        }
        if vfio_ids::is_the_kernels(&line.file) {
            found.extend(remedies(self.case, Change::Drop(&line.line)));
        } else {
            found.push(format!(
                "take the ids out of the line `{}` of {}: they do nothing",
                line.line, line.file
            ));
        }
        found
    }
}

/// Whether libvirt itself takes a card for a VM when that starts.
fn is_taken_by_libvirt(case: &Case<'_>, gpu: &Gpu) -> bool {
    case.domains().flat_map(|domain| &domain.config).any(
        |device| matches!(device, Hostdev::Pci { address, managed: true } if gpu.functions.contains(address)),
    )
}
