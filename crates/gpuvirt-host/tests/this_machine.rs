//! The inventory over this machine's own kernel: whatever it is, it must be readable.
#![allow(missing_docs, clippy::unwrap_used)]

use std::sync::Arc;

use gpuvirt_host::{GpuMatch, GpuRules, LinuxHost, LinuxSysfs, Sysfs};

#[test]
fn this_machine_is_read_without_an_oddity_in_its_functions() {
    if !std::path::Path::new("/sys/bus/pci/devices").exists() {
        panic!("this machine has no PCI bus to read: run the tests where there is one");
    }
    let sysfs = Arc::new(LinuxSysfs::this_machine());
    let names = sysfs.list("/sys/bus/pci/devices").unwrap();
    // Every class that is here counts as a GPU, so that every function is read in full.
    let mut rules = GpuRules::default();
    for name in &names {
        let class = sysfs.read(&format!("/sys/bus/pci/devices/{name}/class"), 64).unwrap();
        let class = String::from_utf8(class).unwrap();
        rules.extra.push(GpuMatch::Class(u16::from_str_radix(class.get(2..6).unwrap(), 16).unwrap()));
    }
    let observed = LinuxHost::new(sysfs, rules).observe().unwrap();
    assert_eq!(observed.host.function_count, names.len());
    let in_cards: usize = observed.gpus.values().map(|gpu| gpu.functions.len()).sum();
    let vfs = observed.functions.values().filter(|function| function.physfn.is_some()).count();
    assert_eq!(in_cards + vfs, names.len());
    for function in observed.functions.values() {
        assert_ne!(function.identity.vendor, u16::MAX, "{}", function.address);
        assert!(function.oddities.is_empty(), "{:?}", function.oddities);
    }
}

#[test]
fn open_files_are_counted_without_listing_them_where_the_kernel_counts() {
    let sysfs = LinuxSysfs::this_machine();
    let own = std::process::id();
    let Some(before) = sysfs.open_files(own) else {
        // Before Linux 6.2: nothing may be told then.
        assert_eq!(std::fs::metadata("/proc/self/fd").unwrap().len(), 0);
        return;
    };
    let more: Vec<std::fs::File> = (0..50).map(|_| std::fs::File::open("/dev/null").unwrap()).collect();
    // Other tests of this program open and close files meanwhile.
    assert!(sysfs.open_files(own).unwrap() >= before.max(50), "{before}");
    drop(more);
    let listed = sysfs.links(&format!("/proc/{own}/fd")).unwrap();
    assert!(!listed.is_empty());
    let tree = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(tree.path().join("proc/1/fd")).unwrap();
    assert_eq!(LinuxSysfs::below(tree.path().to_str().unwrap()).open_files(1), None);
    assert_eq!(sysfs.open_files(u32::MAX), None, "no such process");
}

#[test]
fn device_numbers_follow_links_and_know_files() {
    let sysfs = LinuxSysfs::this_machine();
    let null = sysfs.device_number("/dev/null").unwrap().unwrap();
    assert_eq!((null.major, null.minor), (1, 3));
    assert_eq!(sysfs.device_number("/proc/self/exe").unwrap(), None);
    assert!(sysfs.device_number("/dev/there-is-no-such").is_err());
    assert!(sysfs.read("/proc/../etc/passwd", 10).is_err());
    assert!(sysfs.read("/proc/interrupts", 1 << 20).unwrap().len() > 100);
}

#[test]
fn links_are_told_with_their_targets_and_what_is_none_by_its_error() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("proc/77/fd");
    std::fs::create_dir_all(&folder).unwrap();
    for (name, target) in [("10", "/dev/null"), ("3", "socket:[1]"), ("4", "/gone (deleted)")] {
        std::os::unix::fs::symlink(target, folder.join(name)).unwrap();
    }
    std::fs::File::create(folder.join("5")).unwrap();
    let links = LinuxSysfs::below(root.path().to_str().unwrap()).links("/proc/77/fd").unwrap();
    let told: Vec<(&str, Option<&str>)> = links
        .iter()
        .map(|(name, target)| (name.as_str(), target.as_ref().ok().map(String::as_str)))
        .collect();
    let expected =
        [("10", Some("/dev/null")), ("3", Some("socket:[1]")), ("4", Some("/gone (deleted)")), ("5", None)];
    assert_eq!(told, expected);
    let error = links.last().unwrap().1.as_ref().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    assert!(LinuxSysfs::this_machine().links("/proc/self/no-such-folder").is_err());
}
