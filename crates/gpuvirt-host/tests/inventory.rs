//! The inventory over small trees: what is a GPU, what belongs to it, what it offers.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

mod tree;

use std::sync::Arc;

use gpuvirt_host::{GpuMatch, GpuRules};
use gpuvirt_model::{Framework, GraphicsType, ModulePresence, PciAddress, Reading, Unknown, VfioMigration};
use tree::{Reacting, Tree};

const GPU: &str = "0000:41:00.0";
const AUDIO: &str = "0000:41:00.1";
const UUID: &str = "c73f1fa6-489e-4834-9476-d70dabd98c40";

fn at(text: &str) -> PciAddress {
    text.parse().unwrap()
}

/// A card with audio behind a bridge, in a group with both.
fn card() -> Tree {
    let tree = Tree::new();
    tree.function("0000:40:01.0", "0x8086", "0x060400").attribute(
        "0000:40:01.0",
        "secondary_bus_number",
        "65",
    );
    tree.function(GPU, "0x10de", "0x030000").driver(GPU, "nouveau");
    tree.function(AUDIO, "0x10de", "0x040300").driver(AUDIO, "snd_hda_intel");
    tree.function("0000:00:1f.0", "0x8086", "0x060100");
    tree.group(17, &["0000:40:01.0", GPU, AUDIO]);
    tree
}

#[test]
fn a_card_is_its_display_function_with_its_companions() {
    let tree = card();
    tree.attribute(GPU, "boot_vga", "1");
    tree.folder(&format!("/sys/bus/pci/devices/{GPU}/drm/card0"));
    tree.folder(&format!("/sys/bus/pci/devices/{GPU}/drm/renderD128"));
    tree.folder(&format!("/sys/bus/pci/devices/{GPU}/drm/card0-DP-1"));
    tree.folder(&format!("/sys/bus/pci/devices/{GPU}/graphics/fb0"));
    tree.folder(&format!("/sys/bus/pci/devices/{GPU}/i2c-3"));
    tree.folder(&format!("/sys/bus/pci/devices/{AUDIO}/sound/card1/pcmC1D3p"));
    tree.folder(&format!("/sys/bus/pci/devices/{AUDIO}/sound/card1/controlC1"));
    tree.file("/usr/share/misc/pci.ids", "10de  NVIDIA Corporation\n\t2235  GA102GL [A40]\n");
    let observed = tree.host().observe().unwrap();
    assert_eq!(observed.gpus.len(), 1);
    let gpu = &observed.gpus[&at(GPU)];
    assert_eq!(gpu.functions, [at(GPU), at(AUDIO)]);
    assert!(gpu.host_driver && !gpu.on_vfio);
    assert_eq!(gpu.active_type(None), GraphicsType::Shared);
    let primary = &observed.functions[&at(GPU)];
    assert_eq!(primary.vendor_name.as_deref(), Some("NVIDIA Corporation"));
    assert_eq!(primary.device_name.as_deref(), Some("GA102GL [A40]"));
    assert_eq!(primary.bar_bytes(), 16 << 20);
    assert_eq!(primary.boot_vga, Some(true));
    assert_eq!(primary.drm_nodes, ["card0", "renderD128"]);
    assert_eq!(primary.device_nodes, ["fb0", "i2c-3"]);
    assert!(primary.endpoint && !primary.unresponsive);
    assert_eq!(primary.reset_methods, Reading::Known(vec!["flr".to_owned(), "bus".to_owned()]));
    assert_eq!(observed.functions[&at(AUDIO)].device_nodes, ["snd/controlC1", "snd/pcmC1D3p"]);
    assert!(!observed.functions[&at("0000:40:01.0")].endpoint);
    assert_eq!(observed.groups[&17].members.len(), 3);
    assert_eq!(observed.groups[&17].domain_type.as_deref(), Some("DMA-FQ"));
    assert!(observed.host.iommu);
    assert_eq!(observed.host.function_count, 4);
    assert!(!observed.functions.contains_key(&at("0000:00:1f.0")), "no part of a GPU");
    assert_eq!(observed.domains, Reading::Unknown(Unknown::NeedsDaemon));
    assert!(primary.oddities.is_empty() && observed.host.oddities.is_empty());
}

#[test]
fn a_gpus_own_address_is_told_without_a_picture_and_nothing_elses() {
    const VF: &str = "0000:42:00.1";
    let tree = card();
    tree.function("0000:42:00.0", "0x10de", "0x030200").function(VF, "0x10de", "0x030200");
    tree.link(&format!("/sys/bus/pci/devices/{VF}/physfn"), "../0000:42:00.0");
    let host = tree.host();
    let gpus: Vec<PciAddress> = host.observe().unwrap().gpus.into_keys().collect();
    assert_eq!(gpus, [at(GPU), at("0000:42:00.0")]);
    for address in [GPU, AUDIO, "0000:42:00.0", VF, "0000:00:1f.0", "0000:40:01.0", "0000:43:00.0"] {
        assert_eq!(host.is_gpu(at(address)), gpus.contains(&at(address)), "{address}");
    }
    assert!(!Tree::new().host().is_gpu(at(GPU)), "no bus");
}

#[test]
fn an_apus_own_usb_stays_with_the_host_and_audio_in_its_group_goes_along() {
    let tree = Tree::new();
    for (address, vendor, class) in [
        ("0000:05:00.0", "0x1002", "0x030000"),
        ("0000:05:00.1", "0x1002", "0x040300"),
        ("0000:05:00.2", "0x1022", "0x108000"),
        ("0000:05:00.3", "0x1022", "0x0c0330"),
        ("0000:05:00.6", "0x1022", "0x040300"),
    ] {
        tree.function(address, vendor, class);
    }
    // The USB controller shares the group, as on boards without isolation, and stays all the same.
    tree.group(8, &["0000:05:00.0", "0000:05:00.3", "0000:05:00.6"]).group(9, &["0000:05:00.1"]);
    let observed = tree.host().observe().unwrap();
    let gpu = &observed.gpus[&at("0000:05:00.0")];
    assert_eq!(gpu.functions, [at("0000:05:00.0"), at("0000:05:00.1"), at("0000:05:00.6")]);
    assert_eq!(gpu.active_type(None), GraphicsType::Basic);
}

#[test]
fn a_usb_controller_of_the_cards_own_vendor_goes_along() {
    let tree = card();
    tree.function("0000:41:00.2", "0x10de", "0x0c0330").function("0000:41:00.3", "0x10de", "0x0c8000");
    let observed = tree.host().observe().unwrap();
    let functions = [GPU, AUDIO, "0000:41:00.2", "0000:41:00.3"].map(at);
    assert_eq!(observed.gpus[&at(GPU)].functions, functions);
}

#[test]
fn a_binding_that_cannot_be_read_is_unknown_and_not_none() {
    let folder = format!("/sys/bus/pci/devices/{GPU}");
    for (denied, link) in
        [("", "drivers/a b"), ("/driver_override", "drivers/nouveau"), ("/driver", "drivers/nouveau")]
    {
        let tree = Tree::new();
        tree.function(GPU, "0x10de", "0x030000").link(&format!("{folder}/driver"), link);
        let mut kernel = Reacting::new(tree);
        kernel.denied = if denied.is_empty() { Vec::new() } else { vec![format!("{folder}{denied}")] };
        let observed = Arc::new(kernel).host().observe().unwrap();
        let function = &observed.functions[&at(GPU)];
        let named = if denied.is_empty() { "/driver" } else { denied };
        let why = function.binding_unknown.as_ref().unwrap();
        assert!(why.contains(&format!("{folder}{named}:")), "{why}");
        assert!(function.oddities.contains(why) && !function.locked);
    }
    let mut kernel = Reacting::new(Tree::new());
    kernel.tree.function(GPU, "0x10de", "0x030000").driver(GPU, "nouveau");
    kernel.denied = vec![folder];
    let observed = Arc::new(kernel).host().observe().unwrap();
    assert!(observed.functions[&at(GPU)].binding_unknown.is_some());
}

#[test]
fn passthrough_needs_every_bound_function_on_vfio() {
    let tree = Tree::new();
    tree.function(GPU, "0x10de", "0x030200").driver(GPU, "vfio-pci");
    tree.function(AUDIO, "0x10de", "0x040300").driver(AUDIO, "snd_hda_intel");
    tree.group(17, &[GPU, AUDIO]);
    tree.folder(&format!("/sys/bus/pci/devices/{GPU}/vfio-dev/vfio0"));
    let observed = tree.host().observe().unwrap();
    assert!(!observed.gpus[&at(GPU)].on_vfio);
    assert_eq!(observed.functions[&at(GPU)].device_nodes, ["vfio/17", "vfio/devices/vfio0"]);
    assert_eq!(observed.host.vfio_pci, ModulePresence::Ready);
    std::fs::remove_file(tree.path(&format!("/sys/bus/pci/devices/{AUDIO}/driver"))).unwrap();
    let gpu = &tree.host().observe().unwrap().gpus[&at(GPU)];
    assert!(gpu.on_vfio && !gpu.host_driver);
    assert_eq!(gpu.active_type(None), GraphicsType::Direct);
}

#[test]
fn mediated_devices_are_read_with_their_types() {
    let tree = Tree::new();
    tree.function(GPU, "0x10de", "0x030200").driver(GPU, "nvidia").group(17, &[GPU]);
    let types = format!("/sys/bus/pci/devices/{GPU}/mdev_supported_types");
    for (id, name, free) in [("nvidia-557", "NVIDIA A40-1Q", "31"), ("nvidia-558", "NVIDIA A40-2Q", "x")] {
        tree.file(&format!("{types}/{id}/name"), format!("{name}\n"));
        tree.file(&format!("{types}/{id}/device_api"), "vfio-pci\n");
        tree.file(&format!("{types}/{id}/available_instances"), format!("{free}\n"));
        tree.file(
            &format!("{types}/{id}/description"),
            "num_heads=4, frl_config=60, framebuffer=1024M, max_resolution=5120x2880, max_instance=32\n",
        );
    }
    tree.folder(&format!("/sys/bus/pci/devices/{GPU}/{UUID}"));
    tree.link(&format!("/sys/bus/mdev/devices/{UUID}"), &format!("../../../bus/pci/devices/{GPU}/{UUID}"));
    tree.link(&format!("/sys/bus/pci/devices/{GPU}/{UUID}/mdev_type"), "../mdev_supported_types/nvidia-557");
    tree.link(
        &format!("/sys/bus/pci/devices/{GPU}/{UUID}/iommu_group"),
        "../../../../../kernel/iommu_groups/90",
    );
    let stray = "aaaaaaaa-489e-4834-9476-d70dabd98c40";
    tree.link(
        &format!("/sys/bus/mdev/devices/{stray}"),
        &format!("../../../devices/virtual/mtty/mtty/{stray}"),
    );
    let observed = tree.host().observe().unwrap();
    let gpu = &observed.gpus[&at(GPU)];
    assert_eq!(gpu.frameworks, [Framework::Mdev]);
    assert_eq!(gpu.live_vgpus, 1);
    assert_eq!(gpu.profiles[0].name.0, "nvidia_a40-1q");
    assert_eq!((gpu.profiles[0].available, gpu.profiles[0].max), (31, Some(32)));
    assert_eq!(gpu.profiles[1].available, 0, "an unreadable count offers nothing");
    assert!(observed.host.oddities[0].contains("nvidia-558/available_instances"));
    let vgpu = &observed.vgpus[&UUID.parse().unwrap()];
    assert_eq!((vgpu.gpu, vgpu.parent), (at(GPU), at(GPU)));
    assert_eq!((vgpu.type_id.as_str(), vgpu.profile.0.as_str()), ("nvidia-557", "nvidia_a40-1q"));
    assert_eq!(vgpu.iommu_group, Some(90));
    assert_eq!(observed.vgpus.len(), 1, "an mdev that is on no GPU is none of ours");
    assert_eq!(gpu.active_type(None), GraphicsType::SharedDirect);
}

#[test]
fn virtual_functions_are_a_gpus_and_no_gpus() {
    let tree = Tree::new();
    let vfs = ["0000:41:00.4", "0000:41:01.0"];
    tree.function(GPU, "0x10de", "0x030200").driver(GPU, "nvidia");
    tree.attribute(GPU, "sriov_totalvfs", "32").attribute(GPU, "sriov_numvfs", "2");
    tree.attribute(GPU, "sriov_drivers_autoprobe", "0");
    for (index, vf) in vfs.iter().enumerate() {
        tree.function(vf, "0x10de", "0x030200").driver(vf, "nvidia").group(20, &[vf]);
        tree.link(&format!("/sys/bus/pci/devices/{vf}/physfn"), &format!("../{GPU}"));
        tree.link(&format!("/sys/bus/pci/devices/{GPU}/virtfn{index}"), &format!("../{vf}"));
        tree.attribute(vf, "nvidia/current_vgpu_type", if index == 0 { "1145" } else { "0" });
        tree.attribute(vf, "nvidia/creatable_vgpu_types", "ID    : vGPU Name\n1145  : NVIDIA L40S-1B");
    }
    let observed = tree.host().observe().unwrap();
    assert_eq!(observed.gpus.len(), 1);
    let gpu = &observed.gpus[&at(GPU)];
    assert_eq!((gpu.live_vfs, gpu.live_vgpus), (2, 1));
    assert_eq!(gpu.frameworks, [Framework::NvidiaVfio]);
    assert_eq!(gpu.profiles.len(), 2);
    assert_eq!(gpu.profiles[0].name.0, "nvidia_l40s-1b");
    let sriov = observed.functions[&at(GPU)].sriov.clone().unwrap();
    assert_eq!((sriov.total, sriov.enabled, sriov.drivers_autoprobe), (32, 2, false));
    assert_eq!(sriov.vfs, vfs.map(at));
    assert_eq!(observed.functions[&at(vfs[0])].physfn, Some(at(GPU)));
    assert_eq!(observed.gpu_of(at(vfs[1])).unwrap().address, at(GPU));
}

#[test]
fn stand_ins_are_gpus_when_the_admin_says_so() {
    let tree = Tree::new();
    tree.function("0000:02:00.0", "0x8086", "0x020000").function("0000:03:00.0", "0x1234", "0x00ff00");
    assert!(tree.host().observe().unwrap().gpus.is_empty());
    let rules = GpuRules {
        drivers: gpuvirt_model::DriverRules::default(),
        extra: vec![GpuMatch::Class(0x0200), GpuMatch::Device { vendor: 0x1234, device: 0x2235 }],
    };
    assert_eq!(tree.host_with(rules).observe().unwrap().gpus.len(), 2);
}

#[test]
fn a_card_that_has_left_the_bus_is_seen_only_while_awake() {
    let tree = card();
    tree.file(&format!("/sys/bus/pci/devices/{GPU}/config"), [0xff; 64]);
    assert!(tree.host().observe().unwrap().functions[&at(GPU)].unresponsive);
    tree.attribute(GPU, "power_state", "D3cold");
    assert!(!tree.host().observe().unwrap().functions[&at(GPU)].unresponsive, "asleep is not gone");
}

#[test]
fn the_kernel_tells_to_who_debugs_it_which_devices_can_be_migrated() {
    let tree = card();
    let told = || tree.host().observe().unwrap().host.vfio_migration;
    assert!(matches!(told(), Reading::Unknown(_)), "no debugfs is not: none can");
    let uuid = "00000000-0000-4000-8000-00000000000a";
    let folder = "/sys/kernel/debug/vfio";
    tree.folder(&format!("{folder}/0000:41:00.4"))
        .file(&format!("{folder}/0000:41:00.5/migration/state"), "RUNNING\n")
        .file(&format!("{folder}/{uuid}/migration/features"), "stop-copy p2p\n\u{1b}[1m Pre pre-copy\n")
        .folder(&format!("{folder}/no device/migration"));
    let shown = told().known().unwrap().clone();
    let of = |id: &str| shown[&id.parse().unwrap()].clone();
    assert_eq!(shown.len(), 3, "{shown:?}");
    assert_eq!(of("0000:41:00.4"), VfioMigration { supported: false, features: None });
    assert_eq!(of("0000:41:00.5"), VfioMigration { supported: true, features: None });
    let features = ["stop-copy", "p2p", "pre-copy"].map(str::to_owned).to_vec();
    assert_eq!(of(uuid), VfioMigration { supported: true, features: Some(features) });
}

#[test]
fn modules_tell_whether_vfio_can_be_had() {
    let tree = card();
    let presence = || tree.host().observe().unwrap().host.vfio_pci;
    assert_eq!(presence(), ModulePresence::Unknown);
    tree.file("/proc/sys/kernel/osrelease", "6.12.0-lab\n").folder("/lib/modules/6.1.0-other");
    assert_eq!(presence(), ModulePresence::Missing);
    tree.file("/lib/modules/6.12.0-lab/modules.dep", "kernel/drivers/vfio/pci/vfio-pci.ko.xz:\n");
    assert_eq!(presence(), ModulePresence::Loadable);
}

#[test]
fn a_cards_load_and_memory_are_told_where_its_driver_shows_them_and_a_sleeping_card_is_not_asked() {
    let tree = card();
    let usage = || tree.host().observe().unwrap().gpus[&at(GPU)].usage;
    assert_eq!(usage(), gpuvirt_model::GpuUsage::default());
    tree.attribute(GPU, "gpu_busy_percent", "37\n").attribute(GPU, "mem_info_vram_total", "25753026560\n");
    assert_eq!((usage().busy_percent, usage().memory_bytes), (Some(37), Some(25_753_026_560)));
    for nonsense in ["101", "-1", "many"] {
        tree.attribute(GPU, "gpu_busy_percent", nonsense);
        assert_eq!(usage().busy_percent, None, "{nonsense}");
    }
    tree.attribute(GPU, "gpu_busy_percent", "5\n").attribute(GPU, "power_state", "D3hot");
    assert_eq!((usage().busy_percent, usage().memory_bytes.is_some()), (None, true));
}

#[test]
fn libvirts_files_are_read_by_name_and_others_are_none() {
    use gpuvirt_host::domain;
    let tree = Tree::new();
    let host = || gpuvirt_host::LinuxSysfs::below(tree.path("").to_str().unwrap());
    assert!(domain::read(&host()).unwrap().is_none(), "no libvirt");
    assert!(domain::autostarted(&host()).unwrap().is_none(), "no libvirt");
    tree.file("/etc/libvirt/qemu/vm one.xml", "<domain/>")
        .file("/etc/libvirt/qemu/networks/default.xml", "<network/>")
        .file("/etc/libvirt/qemu/autostart/vm one.xml", "")
        .file("/run/libvirt/qemu/gone.xml", "<domstatus/>")
        .file("/run/libvirt/qemu/gone.pid", "7");
    let found = domain::read(&host()).unwrap().unwrap();
    let shown: Vec<_> = found
        .iter()
        .map(|files| (files.name.as_str(), files.stored.is_some(), files.running.is_some(), files.autostart))
        .collect();
    assert_eq!(shown, [("gone", false, true, false), ("vm one", true, false, true)]);
    tree.file("/etc/libvirt/qemu/off.xml", "<domain id='off'/>")
        .file("/etc/libvirt/qemu/autostart/lost.xml", "");
    assert_eq!(domain::autostarted(&host()).unwrap().unwrap(), ["<domain/>"]);
}
