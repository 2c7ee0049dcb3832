//! What an import found: the document, ready to be stored in a file, with everything else as comments in it.

use gpuvirt_api::ConfigChange;
use gpuvirt_api::import::ImportDocument;
use gpuvirt_plan::import::Trace;

use super::config;
use super::page::Page;
use crate::yaml;

/// Comments, then the document as `config apply -f` takes it.
pub fn shown(document: &ImportDocument) -> String {
    let mut page = Page::new();
    page.line("# What other tools' files say here, and the document that it makes. Nothing was changed.");
    found(&mut page, document);
    let applied = "gpuvirt import --apply, or this output in a file and gpuvirt config apply --adopt -f FILE";
    afterwards(&mut page, document, &format!("# After it is applied ({applied}):"));
    let mut text = page.into_text();
    text.push_str(&yaml::to_string(&document.import.config).unwrap_or_default());
    text
}

/// Nothing to apply.
pub fn nothing(document: &ImportDocument) -> String {
    let mut page = Page::new();
    found(&mut page, document);
    page.line("nothing to do: no GPU of this host is in other tools' files");
    page.into_text()
}

/// What the application did, and what is left to do by hand.
pub fn applied(document: &ImportDocument, change: &ConfigChange) -> String {
    let mut page = Page::new();
    afterwards(&mut page, document, "next, take the other tools out of the way:");
    config::change(change) + &page.into_text()
}

fn found(page: &mut Page, document: &ImportDocument) {
    if let Some(why) = &document.domains_unknown {
        page.line(format_args!("# VMs: {why}"));
    }
    for trace in &document.import.traces {
        page.line(format_args!("# {}", sentence(trace)));
    }
    for oddity in &document.import.oddities {
        page.line(format_args!("# not understood: {oddity}"));
    }
    for contradiction in &document.import.contradictions {
        page.line(format_args!("# contradiction, left out: {}", contradiction.text));
    }
}

fn afterwards(page: &mut Page, document: &ImportDocument, heading: &str) {
    if document.import.afterwards.is_empty() {
        return;
    }
    page.line(heading);
    let mark = if heading.starts_with('#') { "#   " } else { "  " };
    for line in &document.import.afterwards {
        page.line(format_args!("{mark}{line}"));
    }
}

fn sentence(trace: &Trace) -> String {
    let becomes = match (trace.gpu, trace.becomes) {
        (Some(gpu), Some(becomes)) => format!(" -> {gpu} {becomes}"),
        (Some(gpu), None) => format!(" -> {gpu} left as it is"),
        (None, _) => " -> left out".to_owned(),
    };
    let note = trace.note.as_ref().map(|note| format!(" ({note})")).unwrap_or_default();
    format!("{}: {}{becomes}{note}", trace.origin, trace.says)
}
