//! The engine's report as the document of a change.

use gpuvirt_api::{API_VERSION, Change};
use gpuvirt_engine::Report;
use gpuvirt_model::VgpuId;
use gpuvirt_plan::explain;

/// The document of a report.
pub(super) fn document(report: Report, dry_run: bool) -> Change {
    let id = match report.vgpus.as_slice() {
        [one] => Some(*one),
        _ => None,
    };
    let plan = report.plan.as_ref();
    Change {
        api_version: API_VERSION.to_owned(),
        outcome: report.outcome,
        dry_run,
        sentences: plan.map(explain::sentences).unwrap_or_default(),
        shell: plan.map(|plan| plan.steps.iter().map(gpuvirt_host::shell).collect()).unwrap_or_default(),
        warnings: report.warnings,
        pending: report.pending,
        ids: report.vgpus,
        id,
        uuid: id.and_then(VgpuId::uuid),
        xml: report.xml,
        placement: report.placement,
        assignments: report.assignments,
        still_running: report.still_running,
    }
}
