//! `/proc/PID/limits` and `/proc/PID/status`: what a process may lock, and whether it may raise that.

use super::pci::count;

/// CAP_SYS_RESOURCE (include/uapi/linux/capability.h).
const SYS_RESOURCE: u32 = 24;

/// The soft limit on locked memory in KiB; inner none: unlimited.
#[allow(clippy::option_option)] // outer: understood; inner: has a limit
pub fn locked_kib(limits: &str) -> Option<Option<u64>> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max locked memory"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(None),
        bytes => count::<u64>(bytes).map(|bytes| Some(bytes / 1024)),
    }
}

/// Whether a process has CAP_SYS_RESOURCE in effect.
pub fn may_raise(status: &str) -> Option<bool> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    Some(u64::from_str_radix(line.trim(), 16).ok()? >> SYS_RESOURCE & 1 == 1)
}

/// Whether a process is root's and of this host: no user's own (its real uid, the first of four), and in no PID namespace below
/// this one (Linux 4.1 and later name the process's number in each, Documentation/filesystems/proc.rst).
pub fn is_of_host(status: &str) -> Option<bool> {
    let line = |name| status.lines().find_map(|line| line.strip_prefix(name));
    let uid = count::<u32>(line("Uid:")?.split_whitespace().next()?)?;
    let namespaces = line("NSpid:").map_or(1, |pids| pids.split_whitespace().count());
    Some(uid == 0 && namespaces < 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_capabilities() {
        let limits =
            "Limit  Soft Limit  Hard Limit  Units\nMax locked memory         8388608   8388608   bytes\n";
        assert_eq!(locked_kib(limits), Some(Some(8192)));
        assert_eq!(locked_kib("Max locked memory unlimited unlimited bytes\n"), Some(None));
        assert_eq!(locked_kib(""), None);
        assert_eq!(may_raise("Name:\tx\nCapEff:\t000001ffffffffff\n"), Some(true));
        assert_eq!(may_raise("CapEff:\t0000000000000000\n"), Some(false));
        assert_eq!(may_raise("CapEff:\tzz\n"), None);
    }

    #[test]
    fn whose_process_it_is() {
        assert_eq!(is_of_host("Uid:\t0\t0\t0\t0\n"), Some(true));
        assert_eq!(is_of_host("Uid:\t0\t0\t0\t0\nNSpid:\t7\n"), Some(true));
        assert_eq!(is_of_host("Uid:\t0\t0\t0\t0\nNSpid:\t7\t1\n"), Some(false));
        assert_eq!(is_of_host("Uid:\t1000\t0\t0\t0\nNSpid:\t7\n"), Some(false));
        assert_eq!(is_of_host("Uid:\n"), None);
        assert_eq!(is_of_host("NSpid:\t7\n"), None);
    }
}
