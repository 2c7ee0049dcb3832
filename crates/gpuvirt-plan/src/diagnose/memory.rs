//! Memory: VFIO pins all of a guest's, so it must be there, in the right pages, and may be locked.

use gpuvirt_model::{
    Domain, DomainState, Evidence, Finding, FindingCode, HostMemory, Machine, Severity, Subject,
};

use super::Case;
use crate::checks::guest::{self, Judged, Moment};
use crate::checks::several::devices_of;

pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    let host = host_memory(case);
    for domain in case.domains() {
        let devices = devices_of(domain, case.observed);
        if devices.is_empty() {
            continue;
        }
        let judged =
            Judged { vm: &domain.name, guest: &domain.guest, devices: &devices, memory: host.as_ref() };
        found.extend(forbidden(case, domain, &judged));
        found.extend(scarce(domain, &judged));
        found.extend(lock_limit(case, domain));
        let mut machines = case.libvirt.machines.known().into_iter().flatten();
        found.extend(
            machines.find(|machine| machine.name == domain.name).and_then(|machine| balloon(domain, machine)),
        );
    }
    found
}

pub(super) const GIB: u64 = 1 << 20;

fn of(domain: &Domain, code: FindingCode, severity: Severity, cause: String) -> Finding {
    Finding::new(code, severity, Subject::Vm(domain.name.clone()), cause)
}

/// What the definition says of memory.
pub(super) fn definition(domain: &Domain) -> Evidence {
    let guest = &domain.guest;
    let memory = guest.memory_kib.map(|kib| format!("<memory> {}", amount(kib)));
    let limit = guest.hard_limit_kib.map(|kib| format!("<hard_limit> {}", amount(kib)));
    let pages = guest.huge_pages.map(|_| "<hugepages>".to_owned());
    let said: Vec<String> = [memory, limit, pages].into_iter().flatten().collect();
    Evidence { source: format!("definition of {}", domain.name), value: said.join(", ") }
}

/// The host's memory as starts reckon with it. What is free changes by the minute, and VMs may take turns: all of it is.
fn host_memory(case: &Case<'_>) -> Option<HostMemory> {
    let memory = &case.health.memory;
    let total_kib = *memory.total_kib.known()?;
    Some(HostMemory {
        total_kib,
        available_kib: total_kib,
        cached_elsewhere_kib: 0,
        default_huge_page_kib: memory.huge_page_kib.known().copied(),
        free_huge_pages: memory.pools.known()?.iter().map(|pool| (pool.size_kib, pool.total)).collect(),
    })
}

/// What its next start is refused for: a hard limit, memory or huge pages that are not there, an IOMMU of the guest's.
fn forbidden(case: &Case<'_>, domain: &Domain, judged: &Judged<'_>) -> Vec<Finding> {
    // One that runs has what it needs, huge pages among it.
    let moment = if domain.state == DomainState::Active { Moment::Later } else { Moment::Alone };
    let finding = |(code, because, remedy): (gpuvirt_model::RefusalCode, String, Vec<String>)| {
        let code = code.as_str().parse().unwrap_or(FindingCode::MemoryNotLockable);
        let total = &case.health.memory.total_kib;
        let finding = of(domain, code, Severity::Error, format!("its next start is refused: {because}"));
        let finding = finding.seen(definition(domain));
        let finding = match total.known() {
            Some(kib) => finding.seen(total.shows(amount(*kib))),
            None => finding,
        };
        let pools = &case.health.memory.pools;
        let of_size = pools.known().into_iter().flatten().filter(|_| domain.guest.huge_pages.is_some());
        let finding = of_size.fold(finding, |finding, pool| {
            let place = format!("{}/hugepages-{}kB", pools.source, pool.size_kib);
            finding.seen_at(place, format!("{} of {} free", pool.free, pool.total))
        });
        remedy.into_iter().fold(finding, Finding::remedy)
    };
    guest::refusals(judged, moment).into_iter().map(finding).collect()
}

/// A hard limit that its starts pass, and that they or the running VM may meet.
fn scarce(domain: &Domain, judged: &Judged<'_>) -> Option<Finding> {
    let (because, remedy) = guest::scarce_limit(judged)?;
    let finding = of(domain, FindingCode::MemoryLimit, Severity::Warning, because).seen(definition(domain));
    Some(remedy.into_iter().fold(finding, Finding::remedy))
}

fn balloon(domain: &Domain, machine: &Machine) -> Option<Finding> {
    let (memory, current) = (domain.guest.memory_kib?, machine.current_kib?);
    (machine.balloon && current < memory).then(|| {
        of(
            domain,
            FindingCode::BalloonUseless,
            Severity::Note,
            format!(
                "it is to have {} of its {} by ballooning, which does nothing here: with a GPU all of its memory is pinned",
                amount(current),
                amount(memory)
            ),
        )
        .seen_at(
            format!("definition of {}", domain.name),
            format!("<memory> {}, <currentMemory> {}", amount(memory), amount(current)),
        )
        .remedy("make <memory> and <currentMemory> alike: virsh edit, or virsh setmaxmem and setmem with --config")
    })
}

/// libvirt raises the limit for each VM, where it may.
fn lock_limit(case: &Case<'_>, domain: &Domain) -> Option<Finding> {
    let need = domain.guest.memory_kib?.saturating_add(GIB);
    let too_low = |limit: &u64| *limit < need;
    let mut lockers = case.health.memory.lockers.known()?.iter().filter(|locker| !locker.may_raise);
    let (bound, limit) = lockers.find_map(|locker| Some((locker, locker.limit_kib.filter(too_low)?)))?;
    Some(
        of(
            domain,
            FindingCode::LockLimitLow,
            Severity::Error,
            format!(
                "{} may lock {} and not raise that: VFIO can't pin the guest's memory",
                bound.command,
                amount(limit)
            ),
        )
        .seen(definition(domain))
        .seen_at(format!("/proc/{}/limits", bound.pid), format!("Max locked memory {}", amount(limit)))
        .seen_at(format!("/proc/{}/status", bound.pid), "CapEff without CAP_SYS_RESOURCE")
        .remedy(format!(
            "mkdir -p /etc/systemd/system/{0}.service.d; printf '[Service]\\nLimitMEMLOCK=infinity\\n' \
             >/etc/systemd/system/{0}.service.d/gpuvirt.conf; systemctl daemon-reload; systemctl restart {0}",
            bound.command
        ))
        .remedy(format!(
            "systemctl cat {} # where a CapabilityBoundingSet= lacks CAP_SYS_RESOURCE: with it libvirt raises the limit itself",
            bound.command
        )),
    )
}

pub(super) fn amount(kib: u64) -> String {
    if kib >= GIB && kib % GIB == 0 {
        format!("{} GiB", kib / GIB)
    } else if kib >= 1024 {
        format!("{} MiB", kib / 1024)
    } else {
        format!("{kib} KiB")
    }
}
