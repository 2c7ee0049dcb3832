//! Refusals and other errors, for stderr.

use gpuvirt_model::Refusal;

use super::page::Page;
use crate::failure::Failure;

/// Width of a refusal's summary, so that the names in brackets line up.
const SUMMARY: usize = 54;

/// Everything about an error: all refusals at once, or what is the matter and what to do.
pub fn failure(failure: &Failure) -> String {
    let mut page = Page::new();
    if failure.error.refusals.is_empty() {
        page.line(format_args!("error: {}", failure.error.message));
    }
    for refusal in &failure.error.refusals {
        one(&mut page, refusal);
    }
    failure.remedy.iter().for_each(|line| page.line(format_args!("  try      {line}")));
    page.into_text()
}

fn one(page: &mut Page, refusal: &Refusal) {
    page.line(format_args!("refused: {:<SUMMARY$} [{}]", refusal.summary, refusal.code));
    page.line(format_args!("  because  {}", refusal.because));
    refusal.remedy.iter().for_each(|line| page.line(format_args!("  try      {line}")));
}
