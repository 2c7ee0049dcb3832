//! Trees that no kernel makes: the pass must go on, say what it found, and show the rest.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

mod tree;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use gpuvirt_host::HostError;
use gpuvirt_model::{PciAddress, ProfileClass, Reading, Sharing};
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

/// A card with one virtual function, whose driver's files are given.
fn typed_card(creatable: &[u8], current: &[u8]) -> Tree {
    let (tree, vf) = (Tree::new(), "0000:41:00.4");
    tree.function(GPU, "0x10de", "0x030200").driver(GPU, "nvidia").attribute(GPU, "sriov_totalvfs", "1\n");
    tree.function(vf, "0x10de", "0x030200").driver(vf, "nvidia");
    tree.link(&format!("/sys/bus/pci/devices/{vf}/physfn"), &format!("../{GPU}"));
    tree.link(&format!("/sys/bus/pci/devices/{GPU}/virtfn0"), &format!("../{vf}"));
    tree.file(&format!("/sys/bus/pci/devices/{vf}/nvidia/creatable_vgpu_types"), creatable);
    tree.file(&format!("/sys/bus/pci/devices/{vf}/nvidia/current_vgpu_type"), current);
    tree
}

#[test]
fn a_vendors_list_of_nonsense_is_told_with_file_and_value() {
    let many = "x : y\n".repeat(500);
    for (creatable, current, left, told) in [
        (&b"garbage\n7 : X-4Q\n"[..], &b"0\n"[..], 1, "creatable_vgpu_types: \"garbage\""),
        (b"\xff\xfe", b"0\n", 0, "creatable_vgpu_types: no text"),
        (b"7 : X\0-4Q\n", b"0\n", 0, "creatable_vgpu_types: \"7 : X"),
        (b"7 : X-4Q\n7 : X-8Q\n", b"0\n", 1, "creatable_vgpu_types: \"7 : X-8Q\""),
        (b"-7 : X-4Q\n", b"0\n", 0, "creatable_vgpu_types: \"-7 : X-4Q\""),
        (many.as_bytes(), b"0\n", 0, "more lines make no sense"),
        (b"7 : X-4Q\n", b"-1\n", 1, "current_vgpu_type: \"-1\" is no number"),
        (b"7 : X-4Q\n", b"99999999999\n", 1, "current_vgpu_type: \"99999999999\""),
    ] {
        let observed = typed_card(creatable, current).host().observe().unwrap();
        let oddities = &observed.host.oddities;
        assert!(oddities.iter().any(|line| line.contains(told)), "{told}: {oddities:?}");
        assert!(oddities.len() < 10, "{oddities:?}");
        assert_eq!(observed.gpus[&at(GPU)].profiles.len(), left, "{told}");
        assert!(observed.vgpus.is_empty());
    }
    let observed = typed_card(b"7 : X-4Q", b"0").host().observe().unwrap();
    assert_eq!((observed.gpus[&at(GPU)].profiles.len(), observed.host.oddities.len()), (1, 0), "no header");
}

#[test]
fn types_of_mediated_devices_that_make_no_sense_are_told_with_file_and_value() {
    for (name, content, told) in [
        ("available_instances", &b"-1\n"[..], "available_instances: \"-1\" is no number"),
        ("available_instances", b"\xff\n", "available_instances: no text"),
        ("description", b"num_heads=-4, framebuffer=1024M\n", "description: \"num_heads=-4\" makes no sense"),
        ("description", b"\xff", "description: no text"),
        ("name", b"X\0-1Q\n", "name: \"X\\0-1Q\" is no name"),
        ("name", b"\xff", "name: no text"),
        ("device_api", b"\xff", "device_api: no text"),
    ] {
        let tree = Tree::new();
        tree.function(GPU, "0x10de", "0x030000").driver(GPU, "nvidia");
        let folder = format!("/sys/bus/pci/devices/{GPU}/mdev_supported_types/nvidia-1");
        tree.file(&format!("{folder}/name"), "X-1Q\n").file(&format!("{folder}/available_instances"), "8\n");
        tree.file(&format!("{folder}/{name}"), content);
        let observed = tree.host().observe().unwrap();
        let oddities = &observed.host.oddities;
        assert!(oddities.iter().any(|line| line.contains(told)), "{told}: {oddities:?}");
        assert_eq!(observed.gpus[&at(GPU)].profiles.len(), 1, "{told}");
    }
}

#[test]
fn profiles_of_every_drivers_form_are_read() {
    let tree = Tree::new();
    tree.function(GPU, "0x8086", "0x030000").driver(GPU, "i915");
    let types = format!("/sys/bus/pci/devices/{GPU}/mdev_supported_types");
    let gvt = "low_gm_size: 128MB\nhigh_gm_size: 512MB\nfence: 4\nresolution: 1920x1200\nweight: 4\n";
    for (id, name, description) in [
        ("i915-GVTg_V5_4", "GVTg_V5_4\n", gvt),
        ("mtty-2", "Dual port serial\n", "virtual PCI serial port with 2 ports\n"),
        (
            "nvidia-689",
            "NVIDIA A30-1-6C\n",
            "num_heads=1, frl_config=60, framebuffer=6144M, max_instance=4\n",
        ),
    ] {
        tree.file(&format!("{types}/{id}/name"), name)
            .file(&format!("{types}/{id}/description"), description);
        tree.file(&format!("{types}/{id}/available_instances"), "1\n");
    }
    let observed = tree.host().observe().unwrap();
    assert!(observed.host.oddities.is_empty(), "{:?}", observed.host.oddities);
    let read: Vec<_> = observed.gpus[&at(GPU)]
        .profiles
        .iter()
        .map(|p| (p.name.0.as_str(), p.framebuffer_mib, p.class, p.sharing, p.max))
        .collect();
    assert_eq!(
        read,
        [
            ("i915-GVTg_V5_4", Some(128), None, Some(Sharing::TimeSliced), None),
            ("dual_port_serial", None, None, None, None),
            ("nvidia_a30-1-6c", Some(6144), Some(ProfileClass::Compute), Some(Sharing::MigBacked), Some(4)),
        ]
    );
}

#[test]
fn parameters_that_make_no_sense_are_unknown_and_told() {
    for (content, known) in [
        (&b"frame_rate_limiter=0, disable_vnc=1\n"[..], Some("disable_vnc=1, frame_rate_limiter=0")),
        (b"\n", Some("")),
        (b"x\n", None),
        (b"a=1\0\n", None),
        (b"\xff\xfe", None),
    ] {
        let tree = typed_card(b"", b"7\n");
        tree.file("/sys/bus/pci/devices/0000:41:00.4/nvidia/vgpu_params", content);
        let observed = tree.host().observe().unwrap();
        let vgpu = observed.vgpus.values().next().unwrap();
        assert_eq!(vgpu.known_params().map(ToString::to_string).as_deref(), known);
        assert!(vgpu.params.is_some(), "the driver takes some");
        let told = observed.host.oddities.iter().any(|line| line.contains("vgpu_params: "));
        assert_eq!(told, known.is_none(), "{:?}", observed.host.oddities);
    }
    assert!(
        typed_card(b"", b"7\n").host().observe().unwrap().vgpus.values().all(|vgpu| vgpu.params.is_none())
    );
}
