//! How things stand.

use gpuvirt_api::StatusDocument;
use gpuvirt_api::status::{GpuStatus, RestoreOutcome, RestoreStatus, Working};

use super::page::Page;
use super::table::Table;

/// The daemon, libvirt, problems, and every GPU that is not as asked.
pub fn status(status: &StatusDocument) -> String {
    let mut page = Page::new();
    match (&status.daemon, &status.daemon_problem) {
        (Some(daemon), _) => {
            page.line(format_args!("gpuvirtd: {} runs as process {}", daemon.version, daemon.pid))
        }
        (None, Some(problem)) => page.line(format_args!("gpuvirtd: {problem}")),
        (None, None) => page.line("gpuvirtd: not asked"),
    }
    let steps = status.daemon.iter().flat_map(|daemon| daemon.working.iter().chain(&daemon.also_working));
    for working in steps {
        let Working { purpose, step, number, count, seconds, .. } = working;
        page.line(format_args!("working: {purpose}: step {number} of {count}, {step}, for {seconds} s"));
    }
    match &status.domains_unknown {
        Some(why) => page.line(format_args!("VMs: {why}")),
        None => page.line("VMs: known from libvirt"),
    }
    for problem in &status.problems {
        page.line(format_args!("problem: {problem}"));
    }
    if status.maintenance {
        page.line("maintenance: nothing more is placed on this host");
    }
    for gpu in status.gpus.iter().filter(|gpu| gpu.cordoned) {
        page.line(format_args!("cordoned: {}: nothing more is placed on it", gpu.address));
    }
    let managed = status.gpus.iter().filter(|gpu| gpu.configured.is_some()).count();
    let not_as_asked: Vec<&GpuStatus> =
        status.gpus.iter().filter(|gpu| gpu.pending.is_some() || gpu.hands_off.is_some()).collect();
    page.line(format_args!(
        "GPUs: {}, {managed} managed, {} not as asked",
        status.gpus.len(),
        not_as_asked.len()
    ));
    if !not_as_asked.is_empty() {
        page.table(2, &table(&not_as_asked));
    }
    for warning in status.gpus.iter().flat_map(|gpu| &gpu.warnings) {
        page.line(format_args!("warning: {}  [{}]", warning.text, warning.code));
    }
    if let Some(restore) = &status.restore {
        restored(&mut page, restore);
    }
    page.into_text()
}

/// What the start did, where it did something.
fn restored(page: &mut Page, restore: &RestoreStatus) {
    if !restore.finished {
        page.line("restore: under way");
    }
    for settled in &restore.settled {
        page.line(format_args!("settled: {settled}"));
    }
    for gpu in restore.gpus.iter().filter(|gpu| gpu.outcome == RestoreOutcome::Changed) {
        page.line(format_args!("restored at start: {}", gpu.what));
    }
}

fn table(gpus: &[&GpuStatus]) -> Table<5> {
    let mut table = Table::new(["ADDRESS", "LABEL", "CONFIGURED", "ACTIVE", "WHY"]).optional(&["LABEL"]);
    for gpu in gpus {
        let hands_off = gpu.hands_off.as_ref().map(|why| format!("hands-off: {why}"));
        table.row([
            gpu.address.to_string(),
            gpu.label.clone().unwrap_or_default(),
            gpu.configured.map(|configured| configured.to_string()).unwrap_or_default(),
            gpu.active.to_string(),
            hands_off.or_else(|| gpu.pending.clone()).unwrap_or_default(),
        ]);
    }
    table
}
