//! What stands below every listing: what is not known, and what the host showed that makes no sense.

use gpuvirt_api::List;
use gpuvirt_model::Unknown;

/// The lines for people, to be shown beside a listing.
pub fn notes<T>(list: &List<T>) -> Vec<String> {
    // That the daemon did not answer is said already, by whoever asked it.
    let unsaid = list.domains_unknown.as_ref().filter(|why| **why != Unknown::NeedsDaemon);
    let domains = unsaid.map(|why| format!("VMs: {why}"));
    domains.into_iter().chain(list.oddities.iter().map(|oddity| format!("odd: {oddity}"))).collect()
}
