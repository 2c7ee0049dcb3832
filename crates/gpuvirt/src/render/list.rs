//! What stands below every listing: what is not known, and what the host showed that makes no sense.

use gpuvirt_api::List;

/// The lines for people, to be shown beside a listing.
pub fn notes<T>(list: &List<T>) -> Vec<String> {
    let domains = list.domains_unknown.as_ref().map(|why| format!("VMs: {why}"));
    domains.into_iter().chain(list.oddities.iter().map(|oddity| format!("odd: {oddity}"))).collect()
}
