//! Trees that no kernel makes: the pass must go on, say what it found, and show the rest.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

mod tree;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use gpuvirt_host::HostError;
use gpuvirt_model::{PciAddress, Reading};
use tree::Tree;

const GPU: &str = "0000:41:00.0";

fn at(text: &str) -> PciAddress {
    text.parse().unwrap()
}

#[test]
fn rubbish_in_every_attribute_leaves_the_rest_readable() {
    for rubbish in
        [&b""[..], b"\xff\xfe\x00\x01", b"0x", b"-1", b"99999999999999999999999\n", b"\n\n\n", b"../../.."]
    {
        let tree = Tree::new();
        tree.function("0000:42:00.0", "0x10de", "0x030000");
        tree.function(GPU, "0x10de", "0x030000").driver(GPU, "nouveau");
        for name in [
            "vendor",
            "device",
            "subsystem_vendor",
            "subsystem_device",
            "numa_node",
            "driver_override",
            "resource",
            "reset_method",
            "boot_vga",
            "boot_display",
            "sriov_totalvfs",
            "sriov_numvfs",
            "power_state",
            "config",
            "drm",
            "sound",
            "graphics",
            "vfio-dev",
            "mdev_supported_types",
            "iommu_group",
            "physfn",
            "nvidia",
        ] {
            tree.file(&format!("/sys/bus/pci/devices/{GPU}/{name}"), rubbish);
        }
        let observed = tree.host().observe().unwrap();
        assert!(observed.gpus.contains_key(&at("0000:42:00.0")), "the other card is there");
        assert!(observed.gpus.contains_key(&at(GPU)), "its class was readable");
        let oddities = &observed.functions[&at(GPU)].oddities;
        assert!(oddities.iter().any(|line| line.contains(GPU) && line.contains("/vendor: ")), "{oddities:?}");
    }
}

#[test]
fn rubbish_as_class_hides_one_function_and_says_so() {
    let tree = Tree::new();
    tree.function(GPU, "0x10de", "0x030000").function("0000:42:00.0", "0x10de", "zz");
    tree.folder("/sys/bus/pci/devices/not-an-address").folder("/sys/bus/pci/devices/0000:43:00.0/class");
    tree.folder("/sys/bus/pci/devices/0000:44:00.0");
    let observed = tree.host().observe().unwrap();
    assert_eq!(observed.gpus.len(), 1);
    for name in ["0000:42:00.0", "not-an-address", "0000:43:00.0", "0000:44:00.0"] {
        assert!(observed.host.oddities.iter().any(|line| line.contains(name)), "{name}");
    }
}

#[test]
fn folders_huge_files_and_loops_in_place_of_attributes() {
    let tree = Tree::new();
    tree.function(GPU, "0x10de", "0x030000");
    let folder = format!("/sys/bus/pci/devices/{GPU}");
    for name in ["numa_node", "resource", "boot_vga", "power_state"] {
        let _ = std::fs::remove_file(tree.path(&format!("{folder}/{name}")));
        tree.folder(&format!("{folder}/{name}"));
    }
    tree.file(&format!("{folder}/reset_method"), vec![b'x'; 10 << 20]);
    tree.file("/usr/share/misc/pci.ids", vec![b'\n'; 10 << 20]);
    tree.link(&format!("{folder}/driver"), "driver").link(&format!("{folder}/drm"), "drm");
    tree.link(&format!("{folder}/sriov_totalvfs"), "sriov_totalvfs");
    tree.link("/sys/kernel/iommu_groups", "iommu_groups").link("/proc/interrupts", "interrupts");
    let observed = tree.host().observe().unwrap();
    let function = &observed.functions[&at(GPU)];
    assert!(function.oddities.iter().any(|line| line.contains("numa_node: Is a directory")));
    assert!(function.oddities.iter().any(|line| line.contains("sriov_totalvfs: Too many levels")));
    assert_eq!(function.reset_methods, Reading::Known(vec!["x".repeat(4096)]), "cut at a page");
    assert!(function.bars.is_empty());
}

#[test]
fn names_that_are_no_text_are_passed_over() {
    let tree = Tree::new();
    tree.function(GPU, "0x10de", "0x030000");
    let odd = OsStr::from_bytes(b"0000:\xff");
    std::fs::create_dir(tree.path("/sys/bus/pci/devices").join(odd)).unwrap();
    std::fs::create_dir(tree.path(&format!("/sys/bus/pci/devices/{GPU}")).join(odd)).unwrap();
    assert_eq!(tree.host().observe().unwrap().host.function_count, 1);
}

#[test]
fn a_host_without_pci_is_an_error_that_names_the_path() {
    let tree = Tree::new();
    std::fs::remove_dir(tree.path("/sys/bus/pci/devices")).unwrap();
    let HostError::Read { path, .. } = tree.host().observe().unwrap_err() else { panic!("another error") };
    assert_eq!(path, "/sys/bus/pci/devices");
}
