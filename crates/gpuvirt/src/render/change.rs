//! What a change did, or would do.

use gpuvirt_api::Change;

use super::page::Page;

/// The answer to an order: the sentence of its outcome; for a dry run the plan, in sentences and as shell.
pub fn change(change: &Change) -> String {
    let mut page = Page::new();
    let what = change.outcome.value();
    if change.dry_run {
        page.line(format_args!("dry run, nothing was changed: {what}"));
        plan(&mut page, change);
    } else {
        page.line(what);
        // One is named in the sentence.
        if change.ids.len() > 1 {
            change.ids.iter().for_each(|id| page.line(format_args!("  {id}")));
        }
    }
    // A start that is explained says of each request why it gets what it gets.
    for assignment in change.assignments.iter().filter(|_| change.dry_run) {
        page.heading(&assignment.text);
        page.list("because", &assignment.reasons);
        for rejected in &assignment.rejected {
            page.field("not", format_args!("{}: {}", rejected.gpu, rejected.because));
        }
    }
    if let Some(xml) = &change.xml {
        page.heading(if change.dry_run { "XML that would change" } else { "XML that changed" });
        xml.lines().for_each(|line| page.line(line));
    }
    if let Some(reason) = change.pending.as_ref().filter(|_| !change.dry_run) {
        page.line(format_args!("pending: {reason}"));
    }
    page.into_text()
}

fn plan(page: &mut Page, change: &Change) {
    if !change.sentences.is_empty() {
        page.heading("plan");
    }
    for (index, sentence) in change.sentences.iter().enumerate() {
        page.line(format_args!("{:>3}. {sentence}", index + 1));
    }
    if !change.shell.is_empty() {
        page.heading("the same as shell, as root");
    }
    for line in &change.shell {
        page.line(format_args!("  {line}"));
    }
}

/// The warnings, one a line, for stderr.
pub fn warnings(change: &Change) -> String {
    let mut page = Page::new();
    for warning in &change.warnings {
        page.line(format_args!("warning: {}  [{}]", warning.text, warning.code));
    }
    page.into_text()
}
