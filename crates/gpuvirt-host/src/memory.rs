//! The host's memory as a start needs it: how much of it a guest can still lock. Read when a VM starts, and at no
//! other time: the numbers are old as soon as they are read.

use std::collections::BTreeMap;

use gpuvirt_model::HostMemory;

use crate::files::Files;
use crate::parse::{memory, pci};
use crate::paths;

/// Longer than `/proc/meminfo` and than ZFS's statistics.
const TEXT: usize = 64 << 10;

/// Reads it; none where the kernel does not tell.
pub(crate) fn read(files: Files<'_>) -> Option<HostMemory> {
    let text = files.long_text(paths::MEMINFO, TEXT).ok()?;
    let line = |name| memory::meminfo(&text, name);
    let zfs = files.long_text(paths::ZFS_CACHE, TEXT).ok();
    Some(HostMemory {
        total_kib: line("MemTotal")?,
        available_kib: line("MemAvailable")?.saturating_add(line("SwapFree").unwrap_or(0)),
        cached_elsewhere_kib: zfs.and_then(|text| memory::zfs_cache(&text)).unwrap_or(0),
        default_huge_page_kib: line("Hugepagesize"),
        free_huge_pages: huge_pages(files),
    })
}

/// Of each size what is free and nobody's yet, and what the kernel would add on demand.
fn huge_pages(files: Files<'_>) -> BTreeMap<u64, u64> {
    let folders = files.sysfs.list(paths::HUGE_PAGES).unwrap_or_default();
    let count = |folder: &str, name: &str| {
        let path = format!("{}/{folder}/{name}", paths::HUGE_PAGES);
        files.text(&path).ok().and_then(|text| pci::count::<u64>(text.trim()))
    };
    let free = |folder: &String| {
        let unused = count(folder, "free_hugepages")?.saturating_sub(count(folder, "resv_hugepages")?);
        let more =
            count(folder, "nr_overcommit_hugepages")?.saturating_sub(count(folder, "surplus_hugepages")?);
        Some((memory::huge_page_size(folder)?, unused.saturating_add(more)))
    };
    folders.iter().filter_map(free).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LinuxSysfs;

    #[test]
    fn this_machine_has_memory() {
        let sysfs = LinuxSysfs::this_machine();
        let found = read(Files::new(&sysfs)).unwrap_or_default();
        assert!(found.total_kib > 0 && found.total_kib >= found.free_huge_pages.len() as u64);
        let nowhere = LinuxSysfs::below("/there-is-no-such-folder");
        assert_eq!(read(Files::new(&nowhere)), None);
    }
}
