//! Events as lines.

use gpuvirt_api::event::{Event, EventKind};

use super::page::Page;

/// One line for each event: when, what kind, what.
pub fn lines(events: &[Event]) -> String {
    let mut page = Page::new();
    for event in events {
        page.line(format_args!("{}  {:<11}  {}", event.time, kind(event.kind), event.text));
    }
    page.into_text()
}

fn kind(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Started => "started",
        EventKind::Stopping => "stopping",
        EventKind::Changed => "changed",
        EventKind::NotChanged => "not changed",
        EventKind::Host => "host",
        EventKind::Vm => "vm",
        EventKind::Reconciled => "reconciled",
    }
}
