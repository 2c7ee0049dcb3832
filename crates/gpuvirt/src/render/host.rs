//! The host's defaults.

use gpuvirt_api::HostDocument;

use super::page::{Page, or_none};

/// All of them.
pub fn show(host: &HostDocument) -> String {
    let mut page = Page::new();
    page.line("host");
    page.field("default type", host.default_type);
    page.field("followed by", or_none(joined(&host.following)));
    page.field("policy", host.assignment_policy);
    page.list(
        "",
        host.policy_not_in_effect.iter().map(|gpu| format!("not in effect on {}: {}", gpu.gpu, gpu.mode)),
    );
    page.field("maintenance", if host.maintenance { "on: nothing more is placed here" } else { "off" });
    page.field("cordoned", or_none(joined(&host.cordoned)));
    if host.reservations.is_empty() {
        page.field("reserved", "none");
    }
    page.list("reserved", host.reservations.iter().map(|kept| format!("{} of {}", kept.count, kept.profile)));
    page.into_text()
}

fn joined(values: &[impl ToString]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
