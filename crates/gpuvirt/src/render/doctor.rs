//! Findings: what is the matter, from what it is known, what to do.

use std::collections::BTreeMap;

use gpuvirt_api::DoctorDocument;
use gpuvirt_model::{Finding, Severity};

use super::page::Page;

/// Every finding, the worst first, and how many there are.
pub fn findings(found: &DoctorDocument) -> String {
    let mut page = Page::new();
    for finding in &found.findings {
        one(&mut page, finding);
    }
    page.line(summary(&found.findings));
    page.into_text()
}

fn one(page: &mut Page, finding: &Finding) {
    page.line(format_args!("{}: {:<60} [{}]", finding.severity, finding.subject, finding.code));
    page.line(format_args!("  because  {}", finding.cause));
    for seen in &finding.evidence {
        page.line(format_args!("  seen     {}: {}", seen.source, seen.value));
    }
    for line in &finding.remedy {
        page.line(format_args!("  try      {line}"));
    }
    page.line("");
}

fn summary(findings: &[Finding]) -> String {
    let counted = [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Note, "note")];
    let parts = counted.iter().filter_map(|(severity, word)| {
        let count = findings.iter().filter(|finding| finding.severity == *severity).count();
        let plural = if count == 1 { "" } else { "s" };
        (count > 0).then(|| format!("{count} {word}{plural}"))
    });
    let parts: Vec<String> = parts.collect();
    if parts.is_empty() { "nothing found".to_owned() } else { format!("found: {}", parts.join(", ")) }
}

/// What could not be looked at, a line for each reason.
pub fn unchecked(found: &DoctorDocument) -> String {
    let mut by_reason: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for fact in &found.unchecked {
        by_reason.entry(fact.why.to_string()).or_default().push(&fact.what);
    }
    let mut page = Page::new();
    if let Some(why) = &found.domains_unknown {
        page.line(format_args!("note: VMs: {why}"));
    }
    for (why, what) in by_reason {
        page.line(format_args!("note: not looked at: {}: {why}", what.join(", ")));
    }
    page.into_text()
}
