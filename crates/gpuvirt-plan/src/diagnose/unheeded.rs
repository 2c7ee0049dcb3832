//! Ids that vfio-pci was given and that have no effect, where somebody may wait for what they say.

use gpuvirt_model::health::TakingLine;
use gpuvirt_model::{Finding, FindingCode, Gpu, Severity, Subject};

use super::Case;
use super::by_id::{addresses, by_address, configured, fits, is_taken_by_libvirt, of_host, seen};
use super::command_line::{Change, remedies};
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
        if self.heeded.is_some_and(is_switch) {
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
        let is_taken = |gpu: &Gpu| self.taking.iter().any(|other| fits(self.case, other, gpu));
        let waits = |gpu: &&Gpu| {
            fits(self.case, line, gpu)
                && !is_taken(gpu)
                && of_host(self.case, gpu).is_none()
                && !self.alike(gpu).iter().any(|one| self.is_seen_to(one))
        };
        self.case.gpus().filter(waits).collect()
    }

    fn is_seen_to(&self, gpu: &Gpu) -> bool {
        gpu.on_vfio || configured(self.case, gpu).is_some() || is_taken_by_libvirt(self.case, gpu)
    }

    /// The card itself, and others of its model.
    fn alike(&self, gpu: &Gpu) -> Vec<&Gpu> {
        let model = |gpu: &Gpu| {
            let identity = self.case.observed.primary_of(gpu).map(|function| function.identity);
            identity.map(|identity| (identity.vendor, identity.device))
        };
        self.case.gpus().filter(|other| model(other) == model(gpu)).collect()
    }

    fn unheeded(&self, line: &TakingLine, missed: &[&Gpu]) -> Finding {
        let built_in = self.case.health.modules.vfio_built_in && !vfio_ids::is_the_kernels(&line.file);
        let why = if built_in {
            vfio_ids::BUILT_IN.to_owned()
        } else if line.heard {
            self.later(line)
        } else {
            vfio_ids::LOADED_EARLIER.to_owned()
        };
        let cause = format!("the ids in {} do not take {}: {why}", line.file, addresses(missed));
        let finding =
            Finding::new(FindingCode::IdsUnheeded, Severity::Warning, Subject::Host, cause).seen(seen(line));
        let finding = match self.heeded.filter(|_| !built_in && line.heard) {
            Some(later) => finding.seen(seen(later)),
            None if built_in => finding.seen_at(self.builtin_list(), "has vfio-pci"),
            None => finding,
        };
        self.remedies(line, missed).into_iter().fold(finding, Finding::remedy)
    }

    fn later(&self, line: &TakingLine) -> String {
        let place = match self.heeded {
            Some(later) if later.file != line.file => &later.file,
            Some(_) | None => "a later one there",
        };
        format!("{place} says otherwise, and of several values the last counts")
    }

    fn builtin_list(&self) -> String {
        let release = self.case.observed.host.kernel_release.as_deref().unwrap_or("RELEASE");
        format!("/lib/modules/{release}/modules.builtin")
    }

    fn remedies(&self, line: &TakingLine, missed: &[&Gpu]) -> Vec<String> {
        let of_card = |gpu: &&Gpu| by_address(self.case, &[*gpu], self.alike(gpu).len() == 1);
        let mut found: Vec<String> = missed.iter().flat_map(of_card).collect();
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

/// Whether a value that counts is written as an empty one on the kernel's command line: that entry of the boot menu is the one
/// without passthrough.
fn is_switch(heeded: &TakingLine) -> bool {
    let value = heeded.line.split_once('=').map(|(_, value)| value.trim_matches('"'));
    vfio_ids::is_the_kernels(&heeded.file) && value == Some("")
}
