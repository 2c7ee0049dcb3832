//! Whether a VM can move to another host while it runs.

use gpuvirt_api::MigrationDocument;
use gpuvirt_plan::migration::{Answer, Check};

use super::page::Page;
use super::table::Table;

/// The answer, everything that it rests on, and what to do.
pub fn show(document: &MigrationDocument) -> String {
    let migration = &document.migration;
    let mut page = Page::new();
    page.line(format_args!("{}: {}", document.vm, whole(migration.answer)));
    let mut table = Table::new(["WHAT", "", "WHY"]);
    for check in &migration.checks {
        table.row([check.what.clone(), word(check.answer).to_owned(), check.because.clone()]);
    }
    page.table(2, &table);
    if !migration.advice.is_empty() {
        page.heading("when it moves");
        migration.advice.iter().for_each(|line| page.line(format_args!("  {line}")));
    }
    page.into_text()
}

/// One check in a line.
pub fn in_short(check: &Check) -> String {
    format!("{}: {}: {}", word(check.answer), check.what, check.because)
}

fn whole(answer: Answer) -> &'static str {
    match answer {
        Answer::Yes => "nothing that shows here keeps it from moving while it runs",
        Answer::No => "can't move while it runs",
        Answer::Unknown => "it can't be told whether it can move while it runs",
    }
}

fn word(answer: Answer) -> &'static str {
    match answer {
        Answer::Yes => "yes",
        Answer::No => "no",
        Answer::Unknown => "can't tell",
    }
}
