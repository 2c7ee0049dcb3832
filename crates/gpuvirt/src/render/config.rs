//! What a document changed, or would change.

use gpuvirt_api::{ConfigChange, ConfigUntil, GpuChange, GpuOutcome};

use super::page::Page;

/// The host's defaults, then each GPU: what is stored differently, and what was done.
pub fn change(change: &ConfigChange) -> String {
    let mut page = Page::new();
    match change.until {
        ConfigUntil::Differences => {}
        ConfigUntil::Plans => page.line("dry run, nothing was changed"),
        ConfigUntil::Done => {}
    }
    if !change.changed && change.gpus.iter().all(|gpu| gpu.outcome == GpuOutcome::Unchanged) {
        page.line("nothing to do");
        return page.into_text();
    }
    for difference in &change.host {
        page.line(format_args!("host  {difference}"));
    }
    for gpu in &change.gpus {
        one(&mut page, gpu, change.until);
    }
    page.into_text()
}

fn one(page: &mut Page, gpu: &GpuChange, until: ConfigUntil) {
    for difference in &gpu.differences {
        page.line(format_args!("{}  {difference}", gpu.address));
    }
    if until == ConfigUntil::Differences {
        return;
    }
    let word = match gpu.outcome {
        GpuOutcome::Unchanged => "unchanged",
        GpuOutcome::Changed | GpuOutcome::Pending => "changed",
        GpuOutcome::Refused => "refused",
        GpuOutcome::Failed => "failed",
    };
    page.line(format_args!("{}  {word}: {}", gpu.address, gpu.what));
    if until == ConfigUntil::Plans {
        for (index, sentence) in gpu.sentences.iter().enumerate() {
            page.line(format_args!("{:>5}. {sentence}", index + 1));
        }
    }
    if let Some(reason) = &gpu.pending {
        page.line(format_args!("{}  pending: {reason}", gpu.address));
    }
}

/// The warnings, one a line, for stderr.
pub fn warnings(change: &ConfigChange) -> String {
    let mut page = Page::new();
    for warning in change.gpus.iter().flat_map(|gpu| &gpu.warnings) {
        page.line(format_args!("warning: {}  [{}]", warning.text, warning.code));
    }
    page.into_text()
}
