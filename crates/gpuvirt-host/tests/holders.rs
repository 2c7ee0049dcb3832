//! Who holds a card, over small trees and with a real process of this machine.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

mod tree;

use std::fs::File;
use std::process::{Command, Stdio};
use std::sync::Arc;

use gpuvirt_host::ObserveScope;
use gpuvirt_model::{Holder, Holders, PciAddress, Unknown, Via};
use tree::{Reacting, Tree};

const GPU: &str = "0000:41:00.0";
const AUDIO: &str = "0000:41:00.1";
const UUID: &str = "c73f1fa6-489e-4834-9476-d70dabd98c40";

fn at(text: &str) -> PciAddress {
    text.parse().unwrap()
}

/// A card whose DRM node is this machine's `/dev/full`, a device that hardly anybody has open.
fn card() -> Tree {
    let tree = Tree::new();
    tree.function(GPU, "0x10de", "0x030000").function(AUDIO, "0x10de", "0x040300");
    tree.group(17, &[GPU, AUDIO]);
    tree.folder(&format!("/sys/bus/pci/devices/{GPU}/drm/card0"));
    tree.link("/dev/dri/card0", "/dev/full");
    tree
}

fn holders(tree: Tree) -> Holders {
    holders_over(Reacting::new(tree))
}

fn holders_over(kernel: Reacting) -> Holders {
    Arc::new(kernel).host().observe().unwrap().gpus[&at(GPU)].holders.clone()
}

#[test]
fn a_card_holds_the_devices_on_its_usb_controller() {
    let tree = card();
    let usb = "0000:41:00.2";
    tree.function(usb, "0x10de", "0x0c0330").driver(usb, "xhci_hcd");
    let bus = format!("/sys/bus/pci/devices/{usb}/usb3");
    tree.file(&format!("{bus}/product"), "xHCI Host Controller\n").folder(&format!("{bus}/3-0:1.0"));
    assert_eq!(holders(tree).seen, [], "a root hub is the controller itself");
    let tree = card();
    tree.function(usb, "0x10de", "0x0c0330").driver(usb, "xhci_hcd");
    tree.file(&format!("{bus}/3-1/product"), "Keyboard \u{1b}[2J\n").folder(&format!("{bus}/3-1/3-1:1.0"));
    tree.file(&format!("{bus}/3-2/idVendor"), "0951\n").file(&format!("{bus}/3-2/idProduct"), "1666\n");
    let seen: Vec<String> = holders(tree).seen.iter().map(ToString::to_string).collect();
    assert_eq!(seen, ["USB device 3-1 (Keyboard [2J)", "USB device 3-2 (0951:1666)"]);
}

#[test]
fn nobody_holds_an_idle_card_and_the_list_is_whole() {
    assert_eq!(holders(card()), Holders::default());
}

#[test]
fn a_descriptor_is_matched_by_device_number_whatever_its_path() {
    let tree = card();
    // Inside its container the process knows the node by another name.
    tree.link("/run/container/my-gpu", "/dev/full");
    let path = tree.path("/run/container/my-gpu").to_str().unwrap().to_owned();
    tree.link("/proc/77/fd/5", &path).link("/proc/77/fd/6", &path).link("/proc/77/fd/0", "/dev/null");
    tree.link("/proc/77/fd/1", "pipe:[1]");
    tree.file("/proc/77/comm", "Xorg\n").file("/proc/77/maps", "");
    let id = "4f2a9c01d3be8f6b7a5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a8b7c6d5e4f3a";
    tree.file("/proc/77/cgroup", format!("0::/system.slice/docker-{id}.scope\n"));
    let want = Holder::Process {
        pid: 77,
        command: "Xorg".to_owned(),
        via: Via::Fd { fd: 5, path },
        container: Some("docker 4f2a9c01d3be".to_owned()),
    };
    assert_eq!(holders(tree).seen, [want]);
}

#[test]
fn who_has_no_memory_has_descriptors_and_no_mappings() {
    let range = "7f1000000000-7f1001000000";
    let maps = |pid: u32, tree: &Tree| {
        let text = format!("{range} rw-s 00000000 00:06 {pid} /dev/dri/card0\n");
        tree.folder(&format!("/proc/{pid}/fd")).file(&format!("/proc/{pid}/maps"), text);
        tree.link(&format!("/proc/{pid}/map_files/{range}"), "/dev/full");
    };
    let pids = |tree: Tree| -> Vec<u32> {
        let pid = |holder: &Holder| if let Holder::Process { pid, .. } = holder { Some(*pid) } else { None };
        holders(tree).seen.iter().filter_map(pid).collect()
    };
    // One that is ending, one that no kernel makes (memory without a program), and one as others are.
    let host = || {
        let tree = card();
        tree.link("/proc/90/fd/3", "/dev/full").file("/proc/90/maps", "");
        maps(91, &tree);
        maps(92, &tree);
        tree.link("/proc/92/exe", "/usr/bin/cat");
        tree
    };
    let tree = host();
    tree.link("/proc/1/exe", "/usr/lib/systemd/systemd");
    assert_eq!(pids(tree), [90, 92]);
    // Where process 1 does not show its program, nobody's lack of one tells anything.
    assert_eq!(pids(host()), [90, 91, 92]);
}

/// What a card looks like while its removal from vfio-pci waits for whoever has it open.
#[test]
fn a_card_without_a_driver_is_held_through_its_group() {
    let held = |driver: Option<&str>| {
        let tree = Tree::new();
        tree.function(GPU, "0x10de", "0x030000").group(17, &[GPU]);
        tree.link("/dev/vfio/17", "/dev/full").link("/proc/77/fd/4", "/dev/full").file("/proc/77/maps", "");
        if let Some(driver) = driver {
            tree.driver(GPU, driver);
        }
        holders(tree).seen.len()
    };
    assert_eq!(held(None), 1);
    assert_eq!(held(Some("nvidia")), 0, "the group is not VFIO's then");
}

#[test]
fn a_mapping_outlives_its_descriptor() {
    let tree = card();
    tree.folder("/proc/78/fd").file("/proc/78/comm", "miner\n");
    tree.file(
        "/proc/78/maps",
        "7f0000000000-7f0000001000 r--p 00000000 fe:00 7 /usr/lib/libc.so\n\
         7f1000000000-7f1001000000 rw-s 00000000 00:06 9 /dev/dri/card0\n",
    );
    tree.link("/proc/78/map_files/7f1000000000-7f1001000000", "/dev/full");
    let seen = holders(tree).seen;
    assert!(
        matches!(&seen[..], [Holder::Process { pid: 78, via: Via::Mapping { path }, .. }] if path == "/dev/dri/card0")
    );
}

/// A monitor's settings are changed through its connector (ddcutil).
#[test]
fn a_connectors_bus_holds_its_card() {
    let held = |loaded: bool| {
        let tree = card();
        tree.folder(&format!("/sys/bus/pci/devices/{GPU}/drm/card0/card0-DP-1/i2c-7"));
        tree.folder(&format!("/sys/bus/pci/devices/{GPU}/drm/card0/power/i2c-8"));
        tree.link("/dev/i2c-7", "/dev/zero").link("/dev/i2c-8", "/dev/zero");
        tree.link("/proc/79/fd/3", "/dev/zero").file("/proc/79/maps", "").file("/proc/79/comm", "ddcutil\n");
        if loaded {
            tree.folder("/sys/class/i2c-dev");
        }
        holders(tree).seen
    };
    assert!(matches!(&held(true)[..], [Holder::Process { pid: 79, .. }]));
    assert_eq!(held(false), [], "without the module a node is nobody's");
}

#[test]
fn a_vgpu_is_held_through_its_own_group() {
    let tree = card();
    tree.folder(&format!("/sys/bus/pci/devices/{GPU}/mdev_supported_types/nvidia-557"));
    tree.folder(&format!("/sys/bus/pci/devices/{GPU}/{UUID}"));
    tree.link(&format!("/sys/bus/mdev/devices/{UUID}"), &format!("../../../bus/pci/devices/{GPU}/{UUID}"));
    tree.link(
        &format!("/sys/bus/pci/devices/{GPU}/{UUID}/iommu_group"),
        "../../../../kernel/iommu_groups/90",
    );
    tree.link("/dev/vfio/90", "/dev/zero");
    tree.link("/proc/81/fd/9", "/dev/zero")
        .file("/proc/81/comm", "qemu-system-x86\n")
        .file("/proc/81/maps", "");
    let observed = tree.host().observe().unwrap();
    assert!(observed.gpus[&at(GPU)].holders.seen.is_empty());
    let seen = &observed.vgpus[&UUID.parse().unwrap()].holders.seen;
    assert!(matches!(&seen[..], [Holder::Process { pid: 81, .. }]));
    std::fs::remove_file(tree.path("/dev/vfio/90")).unwrap();
    tree.folder(&format!("/sys/bus/pci/devices/{GPU}/{UUID}/vfio-dev/vfio3"));
    tree.link("/dev/vfio/devices/vfio3", "/dev/zero");
    let observed = tree.host().observe().unwrap();
    assert_eq!(observed.vgpus[&UUID.parse().unwrap()].holders.seen.len(), 1, "by its own node too");
}

#[test]
fn what_is_hidden_is_said() {
    let mut tree = card();
    tree.link("/proc/77/fd/5", "/dev/full");
    tree.file("/proc/77/maps", "7f10-7f20 rw-s 00000000 00:06 9 /dev/dri/card0\n");
    for denied in ["/proc/77/fd", "/proc/77/fd/5", "/proc/77/maps", "/proc/77/map_files/7f10-7f20"] {
        let kernel = Reacting { denied: vec![denied.to_owned()], ..Reacting::new(tree) };
        let kernel = Arc::new(kernel);
        let found = kernel.host().observe().unwrap().gpus[&at(GPU)].holders.clone();
        assert_eq!(found.unseen, Some(Unknown::NeedsRoot), "{denied}");
        tree = Arc::into_inner(kernel).unwrap().tree;
    }

    let tree = card();
    std::fs::remove_dir_all(tree.path("/proc/1")).unwrap();
    assert_eq!(holders(tree).unseen, Some(Unknown::NotRecorded));

    let tree = card();
    std::fs::remove_dir_all(tree.path("/proc/1")).unwrap();
    tree.folder("/proc/77/fd");
    assert_eq!(holders(tree).unseen, Some(Unknown::NeedsRoot), "process 1 is hidden, so others may be");

    let observed = card().host().observe_scope(ObserveScope::WithoutHolders).unwrap();
    assert!(observed.gpus[&at(GPU)].holders.unseen.is_some());
}

#[test]
fn files_on_network_mounts_are_not_asked_about() {
    let tree = card();
    tree.link("/srv/nfs/odd", "/dev/full");
    let path = tree.path("/srv/nfs/odd").to_str().unwrap().to_owned();
    tree.link("/proc/77/fd/5", &path).link("/proc/77/ns/mnt", "mnt:[42]").file("/proc/77/maps", "");
    assert_eq!(Arc::new(Reacting::new(tree)).host().observe().unwrap().gpus[&at(GPU)].holders.seen.len(), 1);
    let tree = card();
    tree.link("/srv/nfs/odd", "/dev/full");
    let path = tree.path("/srv/nfs/odd").to_str().unwrap().to_owned();
    tree.link("/proc/77/fd/5", &path).link("/proc/77/ns/mnt", "mnt:[42]").file("/proc/77/maps", "");
    let point = path.trim_end_matches("/odd");
    tree.file(
        "/proc/77/mountinfo",
        format!("22 1 0:21 / / rw - ext4 x rw\n31 22 0:44 / {point} rw - nfs4 nas:/ rw\n"),
    );
    assert!(holders(tree).seen.is_empty());
}

#[test]
fn the_console_holds_the_card_whose_frame_buffer_it_draws_on() {
    let consoles = |tree: &Tree, bound: &str| {
        tree.file("/sys/class/vtconsole/vtcon0/name", "(S) dummy device\n");
        tree.file("/sys/class/vtconsole/vtcon0/bind", "0\n");
        tree.file("/sys/class/vtconsole/vtcon1/name", "(M) frame buffer device\n");
        tree.file("/sys/class/vtconsole/vtcon1/bind", format!("{bound}\n"));
        tree.file("/proc/fb", "0 nouveaudrmfb\n");
    };
    let on = |target: &str, bound: &str| {
        let tree = card();
        consoles(&tree, bound);
        tree.link("/sys/class/graphics/fb0", target);
        holders(tree).seen
    };
    let own = format!("../../devices/pci0000:40/0000:40:01.0/{GPU}/graphics/fb0");
    let want = Holder::Console { framebuffer: "fb0".to_owned(), driver: "nouveaudrmfb".to_owned() };
    assert_eq!(on(&own, "1"), vec![want.clone()]);
    assert!(on(&own, "0").is_empty(), "not bound");
    assert!(on("../../devices/pci0000:00/0000:00:02.0/graphics/fb0", "1").is_empty(), "another card's");
    let firmware = "../../devices/platform/efi-framebuffer.0/graphics/fb0";
    assert!(on(firmware, "1").is_empty(), "the firmware's, and this is not its display");

    let tree = card();
    consoles(&tree, "1");
    tree.link("/sys/class/graphics/fb0", firmware).attribute(GPU, "boot_vga", "1");
    assert_eq!(holders(tree).seen, [want]);

    let tree = card();
    consoles(&tree, "1");
    tree.file("/proc/fb", "0 i915drmfb\n1 nouveaudrmfb\n");
    tree.link("/sys/class/graphics/fb0", "../../devices/pci0000:00/0000:00:02.0/graphics/fb0");
    tree.link("/sys/class/graphics/fb1", &own);
    let kernel = Arc::new(Reacting::new(tree));
    let seen = || kernel.host().observe().unwrap().gpus[&at(GPU)].holders.seen.clone();
    assert!(seen().is_empty(), "the console is on fb0");
    kernel.tree.file("/proc/cmdline", "quiet fbcon=map:1\n");
    assert!(matches!(&seen()[..], [Holder::Console { framebuffer, .. }] if framebuffer == "fb1"));
}

#[test]
fn kernel_clients_and_sound_streams_are_found() {
    let tree = card();
    tree.file("/sys/kernel/debug/dri/0/internal_clients", "fbdev\ndrm_log\n");
    tree.folder(&format!("/sys/bus/pci/devices/{AUDIO}/sound/card1/controlC1"));
    tree.file("/proc/asound/card1/pcm3p/sub0/status", "state: RUNNING\nowner_pid   : 900\n");
    tree.file("/proc/asound/card1/pcm7p/sub0/status", "closed\n");
    assert_eq!(
        holders(tree).seen,
        [
            Holder::DrmClient { node: "card0".to_owned(), name: "drm_log".to_owned() },
            Holder::Sound { stream: "card1/pcm3p/sub0".to_owned(), pid: Some(900) },
        ]
    );
}

#[test]
fn a_real_process_is_found() {
    let mut child = Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(File::options().write(true).open("/dev/full").unwrap())
        .spawn()
        .unwrap();
    let kernel = Reacting { real_proc: true, ..Reacting::new(card()) };
    let seen = holders_over(kernel).seen;
    drop(child.stdin.take());
    child.wait().unwrap();
    let found = seen.iter().find_map(|holder| match holder {
        Holder::Process { pid, via, command, .. } if *pid == child.id() => Some((via, command.as_str())),
        _ => None,
    });
    assert_eq!(found, Some((&Via::Fd { fd: 1, path: "/dev/full".to_owned() }, "cat")));
}

#[test]
fn a_write_under_way_holds_its_card() {
    use std::os::unix::fs::MetadataExt;
    let tree = card();
    let uid = std::fs::metadata(tree.path("/proc")).unwrap().uid();
    tree.file("/proc/77/status", format!("Uid:\t{uid}\t{uid}\t{uid}\t{uid}\n"));
    tree.file("/proc/77/maps", "").file("/proc/77/comm", "gpuvirtd\n");
    tree.link("/proc/77/fd/3", "/memfd:gpuvirt-writer (deleted)");
    let path = "/sys/bus/pci/drivers/nouveau/unbind";
    let memory_file = Some(format!(r#"{{"path":"{path}","data":"{GPU}"}}"#));
    let seen = holders_over(Reacting { memory_file, ..Reacting::new(tree) }).seen;
    let via = Via::Fd { fd: 3, path: path.to_owned() };
    assert_eq!(seen, [Holder::Process { pid: 77, command: "gpuvirtd".to_owned(), via, container: None }]);
}
