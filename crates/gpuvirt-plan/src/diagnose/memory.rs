//! Memory: VFIO pins all of a guest's, so it must be there, in the right pages, and may be locked.

use gpuvirt_model::{DomainState, Finding, FindingCode, Guest, Severity, Subject};

use super::Case;

pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    let mut found: Vec<Finding> = overcommitted(case).into_iter().collect();
    for guest in pinned(case) {
        found.extend(
            [hard_limit(guest), too_large(case, guest), huge_pages(case, guest)].into_iter().flatten(),
        );
        found.extend([balloon(guest), lock_limit(case, guest)].into_iter().flatten());
    }
    found
}

const GIB: u64 = 1 << 20;

/// The machines whose memory VFIO pins: those with a device of a GPU.
fn pinned<'a>(case: &'a Case<'_>) -> impl Iterator<Item = &'a Guest> {
    let guests = case.libvirt.guests.known().into_iter().flatten();
    guests.filter(|guest| {
        let domain = case.domains().find(|domain| domain.name == guest.name);
        domain.is_some_and(|domain| {
            !domain.requests.list.is_empty()
                || domain.config.iter().any(|device| case.gpu_of(device).is_some())
        })
    })
}

fn of(guest: &Guest, code: FindingCode, severity: Severity, cause: String) -> Finding {
    Finding::new(code, severity, Subject::Vm(guest.name.clone()), cause)
}

fn definition(guest: &Guest) -> String {
    format!("definition of {}", guest.name)
}

/// libvirt itself allows a guest's memory and 1 GiB for locking (`qemuDomainGetMemLockLimitBytes`).
fn hard_limit(guest: &Guest) -> Option<Finding> {
    let limit = guest.hard_limit_kib?;
    let need = guest.memory_kib.saturating_add(GIB);
    (limit < need).then(|| {
        of(
            guest,
            FindingCode::HardLimitLow,
            Severity::Error,
            format!(
                "its hard limit of {} is below its memory and what QEMU needs besides: VFIO can't pin it, and the start \
                 fails or the kernel kills it",
                amount(limit)
            ),
        )
        .seen_at(definition(guest), format!("<memory> {}, <hard_limit> {}", amount(guest.memory_kib), amount(limit)))
        .remedy(format!("virsh memtune {} --config --hard-limit {need}", guest.name))
        .remedy("or drop <hard_limit>: libvirt then chooses one that fits")
    })
}

fn too_large(case: &Case<'_>, guest: &Guest) -> Option<Finding> {
    let total = &case.health.memory.total_kib;
    let have = *total.known()?;
    (guest.memory_kib > have).then(|| {
        of(
            guest,
            FindingCode::MemoryShort,
            Severity::Error,
            format!("it wants {} and the host has {}: all of a guest's memory is pinned, and none of it is swapped", amount(guest.memory_kib), amount(have)),
        )
        .seen(total.shows(amount(have)))
        .seen_at(definition(guest), format!("<memory> {}", amount(guest.memory_kib)))
        .remedy(format!("virsh setmaxmem {} {} --config", guest.name, have.saturating_sub(2 * GIB)))
    })
}

/// Those that run now or start with the host, together.
fn overcommitted(case: &Case<'_>) -> Option<Finding> {
    let total = &case.health.memory.total_kib;
    let have = *total.known()?;
    let together: Vec<&Guest> = pinned(case)
        .filter(|guest| {
            let domain = case.domains().find(|domain| domain.name == guest.name);
            domain.is_some_and(|domain| domain.autostart || domain.state == DomainState::Active)
        })
        .collect();
    let sum = together.iter().fold(0_u64, |sum, guest| sum.saturating_add(guest.memory_kib));
    let names: Vec<&str> = together.iter().map(|guest| guest.name.as_str()).collect();
    (together.len() > 1 && sum > have).then(|| {
        Finding::new(
            FindingCode::MemoryOvercommitted,
            Severity::Warning,
            Subject::Host,
            format!(
                "{} run or start with the host and pin {} together, of {}: the last of them does not start",
                names.join(", "),
                amount(sum),
                amount(have)
            ),
        )
        .seen(total.shows(amount(have)))
        .remedy(
            "give them less memory (virsh setmaxmem NAME SIZE --config), or don't start all of them together",
        )
    })
}

fn huge_pages(case: &Case<'_>, guest: &Guest) -> Option<Finding> {
    let wanted = guest.hugepages_kib?;
    let domain = case.domains().find(|domain| domain.name == guest.name)?;
    if domain.state == DomainState::Active {
        return None;
    }
    let memory = &case.health.memory;
    let size = if wanted == 0 { *memory.huge_page_kib.known()? } else { wanted };
    let pools = memory.pools.known()?;
    let free = pools.iter().find(|pool| pool.size_kib == size).map_or(0, |pool| pool.free);
    let need = guest.memory_kib.div_ceil(size.max(1));
    (free < need).then(|| {
        of(
            guest,
            FindingCode::HugePagesShort,
            Severity::Error,
            format!("it wants {need} huge pages of {} and {free} are free: it does not start", amount(size)),
        )
        .seen_at(format!("{}/hugepages-{size}kB/free_hugepages", memory.pools.source), free)
        .seen_at(definition(guest), format!("<hugepages>, <memory> {}", amount(guest.memory_kib)))
        .remedy(format!(
            "echo {need} > {}/hugepages-{size}kB/nr_hugepages, soon after a boot",
            memory.pools.source
        ))
        .remedy(format!("for good: hugepagesz={} hugepages={need} on the kernel's command line", page(size)))
    })
}

/// A page's size as the kernel's command line wants it.
fn page(kib: u64) -> String {
    if kib >= GIB { format!("{}G", kib / GIB) } else { format!("{}M", kib / 1024) }
}

fn balloon(guest: &Guest) -> Option<Finding> {
    (guest.balloon && guest.current_kib < guest.memory_kib).then(|| {
        of(
            guest,
            FindingCode::BalloonUseless,
            Severity::Note,
            format!(
                "it is to have {} of its {} by ballooning, which does nothing here: with a GPU all of its memory is pinned",
                amount(guest.current_kib),
                amount(guest.memory_kib)
            ),
        )
        .seen_at(definition(guest), format!("<memory> {}, <currentMemory> {}", amount(guest.memory_kib), amount(guest.current_kib)))
        .remedy(format!("virsh setmaxmem {0} {1} --config; virsh setmem {0} {1} --config", guest.name, guest.current_kib))
    })
}

/// libvirt raises the limit for each VM, where it may.
fn lock_limit(case: &Case<'_>, guest: &Guest) -> Option<Finding> {
    let lockers = &case.health.memory.lockers;
    let need = guest.memory_kib.saturating_add(GIB);
    let bound = lockers
        .known()?
        .iter()
        .find(|locker| !locker.may_raise && locker.limit_kib.is_some_and(|limit| limit < need))?;
    let limit = bound.limit_kib.unwrap_or_default();
    Some(
        of(
            guest,
            FindingCode::LockLimitLow,
            Severity::Error,
            format!(
                "{} may lock {} and not raise that: VFIO can't pin the guest's {}",
                bound.command,
                amount(limit),
                amount(guest.memory_kib)
            ),
        )
        .seen_at(format!("/proc/{}/limits", bound.pid), format!("Max locked memory {}", amount(limit)))
        .seen_at(format!("/proc/{}/status", bound.pid), "CapEff without CAP_SYS_RESOURCE")
        .remedy(format!(
            "systemctl edit {}: [Service] LimitMEMLOCK=infinity; systemctl restart {0}",
            bound.command
        ))
        .remedy("in a container: give it CAP_SYS_RESOURCE, or a memlock limit without end"),
    )
}

fn amount(kib: u64) -> String {
    if kib >= GIB && kib % GIB == 0 {
        format!("{} GiB", kib / GIB)
    } else if kib >= 1024 {
        format!("{} MiB", kib / 1024)
    } else {
        format!("{kib} KiB")
    }
}
