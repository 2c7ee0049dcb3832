//! The kernel's account of memory: `/proc/meminfo`, and what ZFS keeps outside of it.

/// A line of `/proc/meminfo` in KiB, by its name without the colon.
pub fn meminfo(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// How much ZFS caches, in KiB: the row `size` of its statistics, in bytes in the third column.
pub fn zfs_cache(text: &str) -> Option<u64> {
    let size = text.lines().map(str::split_whitespace).find_map(|mut row| match row.next() {
        Some("size") => row.nth(1),
        _ => None,
    });
    Some(size?.parse::<u64>().ok()? / 1024)
}

/// The size in KiB of the huge pages that a folder of `/sys/kernel/mm/hugepages` counts.
pub fn huge_page_size(folder: &str) -> Option<u64> {
    folder.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMINFO: &str = "MemTotal:       16309908 kB\nMemFree:         1\nMemAvailable:    1024 kB\n\
                           SwapFree:              0 kB\nHugepagesize:       2048 kB\n";

    #[test]
    fn lines_are_found_by_their_whole_name() {
        for (name, want) in [
            ("MemTotal", Some(16_309_908)),
            ("MemAvailable", Some(1024)),
            ("SwapFree", Some(0)),
            ("MemFree", None),
            ("Mem", None),
            ("Cached", None),
        ] {
            assert_eq!(meminfo(MEMINFO, name), want, "{name}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_nothing() {
        let arcstats = "13 1 0x01 123 33456 8142 99\nname   type data\nhits  4  12\nsize  4    2097152\n";
        assert_eq!(zfs_cache(arcstats), Some(2048));
        for text in ["", "size", "size 4", "size 4 x", "size 4 -1"] {
            assert_eq!(zfs_cache(text), None, "{text}");
        }
        assert_eq!(huge_page_size("hugepages-1048576kB"), Some(1 << 20));
        for folder in ["", "hugepages-kB", "hugepages-2048", "2048kB", "hugepages--1kB"] {
            assert_eq!(huge_page_size(folder), None, "{folder}");
        }
    }
}
