//! Whether there is memory for a guest, all of which is locked.

use gpuvirt_model::{Guest, HostMemory, HugePages, RefusalCode};

use super::{Found, Judged, Moment, amount};

/// Pages that are not huge, as x86 has them.
const ORDINARY_KIB: u64 = 4;

/// The size of the pages that a guest's memory is to be in; none where that does not tell. `default`: a huge page where no size is
/// asked for.
fn page_kib(guest: &Guest, default: Option<u64>) -> Option<u64> {
    match guest.huge_pages {
        None => Some(ORDINARY_KIB),
        Some(HugePages::HostDefault) => default,
        Some(HugePages::Kib(size)) => Some(size),
        Some(HugePages::Several) => None,
    }
}

/// The huge pages that a guest's memory is: their size, and how many; none where it is in none, or that does not tell.
pub(crate) fn huge_pages(guest: &Guest, default: Option<u64>) -> Option<(u64, u64)> {
    let size = page_kib(guest, default).filter(|size| *size > ORDINARY_KIB)?;
    Some((size, guest.memory_kib?.div_ceil(size)))
}

pub(super) fn more_than_there_is(
    judged: &Judged<'_>,
    memory: u64,
    host: &HostMemory,
    moment: Moment,
) -> Option<Found> {
    let refuse = |because, remedy: String| Some((RefusalCode::MemoryNotLockable, because, vec![remedy]));
    let shown = amount(memory);
    // Where its pages are of a size that nobody tells, nothing is said.
    page_kib(judged.guest, host.default_huge_page_kib)?;
    let huge = huge_pages(judged.guest, host.default_huge_page_kib);
    if let (Some(wanted), true) = (huge, moment != Moment::Later) {
        return too_few_pages(wanted, host, moment);
    }
    if memory > host.total_kib {
        let because = format!(
            "all of its {shown} of memory is locked for devices, and this host has {}",
            amount(host.total_kib)
        );
        return refuse(because, "give it less memory: virsh setmaxmem and virsh setmem, --config".to_owned());
    }
    let can_be_had = host.available_kib.saturating_add(host.cached_elsewhere_kib);
    if huge.is_some() || moment == Moment::Later || memory <= can_be_had {
        return None;
    }
    let because = format!(
        "all of its {shown} of memory is locked for devices, and only {} can be had on this host now, swap included",
        amount(can_be_had)
    );
    refuse(because, "shut down another VM, or give this one less memory".to_owned())
}

fn too_few_pages((size, needed): (u64, u64), host: &HostMemory, moment: Moment) -> Option<Found> {
    // A size that the host does not list has none.
    let free = host.free_huge_pages.get(&size).copied().unwrap_or(0);
    let more = needed.checked_sub(free).filter(|more| *more > 0)?;
    let pages = format!("its memory is {needed} huge pages of {}", amount(size));
    let (because, remedy) = if moment == Moment::Alone {
        let because = format!("{pages}, and this host has {free} of them, those in use included");
        (because, format!("raise the number of huge pages by {more}"))
    } else {
        let because = format!("{pages}, and {free} of them are free on this host");
        (because, format!("free {more} more: stop a VM that has them, or raise the number of huge pages"))
    };
    Some((RefusalCode::MemoryNotLockable, because, vec![remedy]))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{GIB, found, gpu, with};
    use super::*;

    #[test]
    fn huge_pages_must_be_free() {
        let huge = |memory, pages| Guest { huge_pages: Some(pages), ..with(memory, None, None) };
        for (memory, pages, refused) in [
            (2 * GIB, HugePages::HostDefault, false),
            (2 * GIB + 1, HugePages::HostDefault, true),
            (2 * GIB, HugePages::Kib(2048), false),
            (GIB, HugePages::Kib(GIB), true),
            (GIB, HugePages::Kib(16 * GIB), true),
            (GIB, HugePages::Kib(4), false),
            (23 * GIB, HugePages::Several, false),
        ] {
            let guest = huge(memory, pages);
            assert_eq!(!found(&guest, &[gpu(1)], Moment::Now).is_empty(), refused, "{guest:?}");
            assert_eq!(found(&guest, &[gpu(1)], Moment::Later), [], "{guest:?}");
        }
    }

    #[test]
    fn of_a_start_by_itself_the_pages_that_there_are_count() {
        let guest = Guest { huge_pages: Some(HugePages::Kib(2048)), ..with(2 * GIB + 1, None, None) };
        let alone = found(&guest, &[gpu(1)], Moment::Alone);
        assert!(alone[0].1.ends_with("this host has 1024 of them, those in use included"), "{alone:?}");
        assert_eq!(alone[0].2, ["raise the number of huge pages by 1"]);
    }
}
