//! The memory of all VMs that are on at one time: each may fit alone, and all of them together not.

use std::collections::BTreeMap;

use gpuvirt_model::{Domain, DomainState, Evidence, Finding, FindingCode, Severity, Subject};

use super::Case;
use super::memory::{amount, definition};
use crate::checks::guest::huge_pages;
use crate::checks::several::devices_of;

pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    overcommitted(case).into_iter().chain(too_few_pages(case)).collect()
}

/// Those that run now or start with the host.
fn at_once<'a>(case: &'a Case<'_>) -> impl Iterator<Item = &'a Domain> {
    case.domains().filter(|domain| domain.autostart || domain.state == DomainState::Active)
}

fn has_devices(case: &Case<'_>, domain: &Domain) -> bool {
    !devices_of(domain, case.observed).is_empty()
}

fn overcommitted(case: &Case<'_>) -> Option<Finding> {
    let total = &case.health.memory.total_kib;
    let have = *total.known()?;
    let together: Vec<&Domain> = at_once(case).filter(|domain| has_devices(case, domain)).collect();
    let sum = together.iter().filter_map(|domain| domain.guest.memory_kib).fold(0, u64::saturating_add);
    (together.len() > 1 && sum > have).then(|| {
        let pinned = format!("pin {} together, of {}", amount(sum), amount(have));
        finding(&together, &pinned).seen(total.shows(amount(have))).remedy(
            "give them less memory (virsh setmaxmem NAME SIZE --config), or don't start all of them together",
        )
    })
}

/// Pools of huge pages that each VM fits in alone. One without a GPU takes as many as one with.
fn too_few_pages(case: &Case<'_>) -> Vec<Finding> {
    let memory = &case.health.memory;
    let Some(pools) = memory.pools.known() else { return Vec::new() };
    let total = |size| pools.iter().find(|pool| pool.size_kib == size).map_or(0, |pool| pool.total);
    let mut of_size = BTreeMap::<u64, Vec<(&Domain, u64)>>::new();
    for domain in at_once(case) {
        // One that does not fit alone has a finding of its own.
        let pages = huge_pages(&domain.guest, memory.huge_page_kib.known().copied());
        if let Some((size, pages)) = pages.filter(|(size, pages)| *pages <= total(*size)) {
            of_size.entry(size).or_default().push((domain, pages));
        }
    }
    let crowded = |(size, together): (u64, Vec<(&Domain, u64)>)| {
        let (have, sum) =
            (total(size), together.iter().map(|(_, pages)| *pages).fold(0, u64::saturating_add));
        let together: Vec<&Domain> = together.into_iter().map(|(domain, _)| domain).collect();
        let more = sum.checked_sub(have).filter(|more| *more > 0)?;
        together.iter().any(|domain| has_devices(case, domain)).then(|| {
            let wanted = format!("need {sum} huge pages of {} together, of {have}", amount(size));
            let source = format!("{}/hugepages-{size}kB", memory.pools.source);
            finding(&together, &wanted)
                .seen(Evidence { source, value: format!("nr_hugepages {have}") })
                .remedy(format!(
                    "raise the number of huge pages by {more}, or don't start all of them together"
                ))
        })
    };
    of_size.into_iter().filter_map(crowded).collect()
}

fn finding(together: &[&Domain], what: &str) -> Finding {
    let names: Vec<&str> = together.iter().map(|domain| domain.name.as_str()).collect();
    let cause = format!(
        "{} run or start with the host and {what}: the last of them does not start",
        names.join(", ")
    );
    let finding = Finding::new(FindingCode::MemoryOvercommitted, Severity::Warning, Subject::Host, cause);
    together.iter().fold(finding, |finding, domain| finding.seen(definition(domain)))
}
