//! A `<hard_limit>`, which libvirt takes for the limit on locked memory as it is.

use gpuvirt_model::{RefusalCode, Warning, WarningCode};

use super::super::holder::shell_word;
use super::{Found, Judged, amount, is_pci};

/// What libvirt locks for a domain besides its memory.
const BESIDES_KIB: u64 = 1 << 20;

pub(super) fn over_the_limit(judged: &Judged<'_>, memory: u64) -> Option<Found> {
    let limit = judged.guest.hard_limit_kib?;
    let (locked, times) = locked(judged, memory);
    if limit >= locked {
        return None;
    }
    let each = match times {
        1 => String::new(),
        times => format!(", once for each of its {times} devices because of its own IOMMU"),
    };
    let because = format!(
        "all of its {} of memory is locked for devices{each}, and its <hard_limit> lets it lock {}",
        amount(memory),
        amount(limit)
    );
    Some((RefusalCode::MemoryNotLockable, because, more_to_lock(judged, locked)))
}

/// A vGPU's driver locks what the guest uses when it uses it: a small limit is met by and by.
pub(super) fn of_vgpus(judged: &Judged<'_>) -> Option<Warning> {
    let (memory, limit) = (judged.guest.memory_kib?, judged.guest.hard_limit_kib?);
    let only_mdevs = !judged.devices.is_empty() && !judged.devices.iter().any(is_pci);
    (only_mdevs && limit < memory).then(|| {
        let text = format!(
            "VM {} has {} of memory and a <hard_limit> of {}: its vGPU's driver fails as soon as the guest uses \
             more of it for the vGPU",
            judged.vm,
            amount(memory),
            amount(limit)
        );
        Warning { code: WarningCode::MemoryLimit, text }
    })
}

/// How much of a guest's memory is locked, and for how many devices each on its own.
fn locked(judged: &Judged<'_>, memory: u64) -> (u64, u64) {
    let devices = judged.devices.iter().filter(|device| is_pci(device)).count();
    let times = if judged.guest.viommu.is_some() { u64::try_from(devices).unwrap_or(u64::MAX) } else { 1 };
    (memory.saturating_mul(times), times)
}

/// What lets it lock this much, with what libvirt adds.
fn more_to_lock(judged: &Judged<'_>, locked: u64) -> Vec<String> {
    let vm = shell_word(judged.vm);
    let enough = locked.saturating_add(BESIDES_KIB);
    vec![
        format!("virsh memtune --config --hard-limit -1 --domain {vm} # takes the limit away"),
        format!("virsh memtune --config --hard-limit {enough} --domain {vm} # is enough"),
    ]
}

/// A hard limit that the memory alone fits in: why it may be too low, and what to set. VFIO maps more of the guest than its
/// memory (the ROMs and the memory of emulated devices), and the limit is one of all that QEMU uses too: so libvirt
/// reckons with 1 GiB besides (`qemuDomainGetMemLockLimitBytes`). No start is refused for it: it may be enough.
pub(crate) fn scarce_limit(judged: &Judged<'_>) -> Option<(String, Vec<String>)> {
    let (memory, limit) = (judged.guest.memory_kib?, judged.guest.hard_limit_kib?);
    let (locked, _) = locked(judged, memory);
    let scarce = limit >= locked && limit < locked.saturating_add(BESIDES_KIB);
    (scarce && judged.devices.iter().any(is_pci)).then(|| {
        let because = format!(
            "its <hard_limit> of {} leaves {} besides the {} that are locked for devices: VFIO locks more than the memory, and \
             QEMU itself uses some, so libvirt reckons with 1 GiB",
            amount(limit),
            amount(limit - locked),
            amount(locked)
        );
        (because, more_to_lock(judged, locked))
    })
}

#[cfg(test)]
mod tests {
    use super::super::Moment;
    use super::super::tests::{GIB, found, gpu, mdev, with};
    use super::*;

    #[test]
    fn what_is_set_instead_is_named() {
        let found = found(&with(8 * GIB, Some(GIB), None), &[gpu(1)], Moment::Later);
        let want = "virsh memtune --config --hard-limit 9437184 --domain vm # is enough";
        assert_eq!(found[0].2.last().map(String::as_str), Some(want));
    }

    #[test]
    fn a_limit_that_leaves_less_than_libvirt_adds_is_scarce() {
        for (limit, viommu, devices, scarce) in [
            (8 * GIB - 1, None, vec![gpu(1)], false),
            (8 * GIB, None, vec![gpu(1)], true),
            (9 * GIB - 1, None, vec![gpu(1), gpu(2)], true),
            (9 * GIB, None, vec![gpu(1)], false),
            (8 * GIB, None, vec![mdev()], false),
            (16 * GIB, Some("intel"), vec![gpu(1), gpu(2)], true),
            (17 * GIB, Some("intel"), vec![gpu(1), gpu(2)], false),
        ] {
            let guest = with(8 * GIB, Some(limit), viommu);
            let judged = Judged { vm: "vm", guest: &guest, devices: &devices, memory: None };
            assert_eq!(scarce_limit(&judged).is_some(), scarce, "{limit} {viommu:?}");
        }
    }
}
