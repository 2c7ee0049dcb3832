//! Holders in a word and in full.

use gpuvirt_model::Holders;

use super::page::Page;

/// How many there are: `?` when none was seen but some may be hidden, `2+` when there may be more.
pub fn count(holders: &Holders) -> String {
    match (holders.seen.len(), &holders.unseen) {
        (0, Some(_)) => "?".to_owned(),
        (seen, Some(_)) => format!("{seen}+"),
        (seen, None) => seen.to_string(),
    }
}

/// Every holder on its own line, and why there may be more.
pub fn section(page: &mut Page, holders: &Holders) {
    page.heading("holders");
    for holder in &holders.seen {
        page.line(format_args!("  {holder}"));
    }
    match &holders.unseen {
        Some(why) => page.line(format_args!("  others: {why}")),
        None if holders.seen.is_empty() => page.line("  none"),
        None => {}
    }
}
