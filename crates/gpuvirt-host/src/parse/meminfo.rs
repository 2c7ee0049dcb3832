//! `/proc/meminfo`, in KiB.

use super::pci::count;

/// One of its lines, e.g. `MemTotal`.
pub fn kib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    count(line.trim().trim_end_matches("kB"))
}

/// The size of a pool's pages by the name of its folder, `hugepages-2048kB`, in KiB.
pub fn page_kib(folder: &str) -> Option<u64> {
    count(folder.strip_prefix("hugepages-")?.strip_suffix("kB")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_in_kib() {
        let text = "MemTotal:       65780000 kB\nHugepagesize:       2048 kB\n";
        assert_eq!((kib(text, "MemTotal"), kib(text, "Hugepagesize")), (Some(65_780_000), Some(2048)));
        assert_eq!((kib(text, "MemFree"), kib("MemTotal: x kB", "MemTotal")), (None, None));
        assert_eq!((page_kib("hugepages-1048576kB"), page_kib("hugepages-")), (Some(1 << 20), None));
    }
}
