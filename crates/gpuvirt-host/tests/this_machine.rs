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
fn device_numbers_follow_links_and_know_files() {
    let sysfs = LinuxSysfs::this_machine();
    let null = sysfs.device_number("/dev/null").unwrap().unwrap();
    assert_eq!((null.major, null.minor), (1, 3));
    assert_eq!(sysfs.device_number("/proc/self/exe").unwrap(), None);
    assert!(sysfs.device_number("/dev/there-is-no-such").is_err());
    assert!(sysfs.read("/proc/../etc/passwd", 10).is_err());
    assert!(sysfs.read("/proc/interrupts", 1 << 20).unwrap().len() > 100);
}
