//! Whom the kernel counts spares a pass over all processes, and only where that count says everything.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

mod tree;

use std::fs;
use std::sync::Arc;

use gpuvirt_host::ObserveScope;
use gpuvirt_model::{Holders, Observed, PciAddress};
use tree::{Reacting, Tree};

const GPU: &str = "0000:41:00.0";
const AUDIO: &str = "0000:41:00.1";

fn at(text: &str) -> PciAddress {
    text.parse().unwrap()
}

/// A driver's module with so many references, of which modules above it have some.
fn module(tree: &Tree, name: &str, references: u32, above: &[&str]) {
    tree.file(&format!("/sys/module/{name}/refcnt"), format!("{references}\n"));
    tree.folder(&format!("/sys/module/{name}/holders"));
    for module in above {
        tree.folder(&format!("/sys/module/{name}/holders/{module}"));
    }
}

/// A function's driver, and the module that has it.
fn driver(tree: &Tree, function: &str, driver: &str, module: &str) {
    tree.driver(function, driver);
    let link = format!("/sys/bus/pci/drivers/{driver}/module");
    if fs::symlink_metadata(tree.path(&link)).is_err() {
        tree.link(&link, &format!("../../../../module/{module}"));
    }
}

/// A card of two functions whose drivers nobody uses, and whose node process 77 has open all the same: who finds it has looked at
/// processes.
fn card() -> Tree {
    let tree = Tree::new();
    tree.function(GPU, "0x10de", "0x030000").function(AUDIO, "0x10de", "0x040300");
    tree.group(17, &[GPU, AUDIO]);
    driver(&tree, GPU, "amdgpu", "amdgpu");
    driver(&tree, AUDIO, "snd_hda_intel", "snd_hda_intel");
    module(&tree, "amdgpu", 0, &[]);
    module(&tree, "snd_hda_intel", 0, &[]);
    tree.folder(&format!("/sys/bus/pci/devices/{GPU}/drm/card0"));
    tree.folder(&format!("/sys/bus/pci/devices/{GPU}/i2c-3"));
    tree.folder(&format!("/sys/bus/pci/devices/{AUDIO}/sound/card1/controlC1"));
    tree.link("/dev/dri/card0", "/dev/full").link("/proc/77/fd/5", "/dev/full");
    tree.file("/proc/77/comm", "Xorg\n").file("/proc/77/maps", "");
    tree
}

fn of_one_card(kernel: Reacting) -> Holders {
    picture(kernel).gpus[&at(GPU)].holders.clone()
}

fn picture(kernel: Reacting) -> Observed {
    Arc::new(kernel).host().observe_scope(ObserveScope::GpuAndHolders(at(GPU))).unwrap()
}

fn is_looked_for(change: impl FnOnce(&Tree)) -> bool {
    let tree = card();
    change(&tree);
    let holders = of_one_card(Reacting::new(tree));
    assert_eq!(holders.unseen, None);
    !holders.seen.is_empty()
}

#[test]
fn where_nobody_uses_a_driver_no_process_is_looked_at() {
    assert!(!is_looked_for(|_| ()));
    let all = Arc::new(Reacting::new(card())).host().observe().unwrap();
    assert_eq!(all.gpus[&at(GPU)].holders.seen.len(), 1, "a picture of everything looks");
}

#[test]
fn a_module_above_is_no_user_but_its_users_are() {
    let above = |users: u32| {
        move |tree: &Tree| {
            module(tree, "amdgpu", 1, &["amdgpu_peer"]);
            module(tree, "amdgpu_peer", users, &[]);
        }
    };
    assert!(!is_looked_for(above(0)));
    assert!(is_looked_for(above(1)));
}

#[test]
fn whoever_is_counted_is_looked_for() {
    assert!(is_looked_for(|tree| module(tree, "amdgpu", 1, &[])), "the card's driver");
    assert!(is_looked_for(|tree| module(tree, "snd_hda_intel", 2, &[])), "its companion's");
}

#[test]
fn where_the_kernel_does_not_count_everybody_is_looked_at() {
    let remove = |path: &'static str| move |tree: &Tree| fs::remove_file(tree.path(path)).unwrap();
    assert!(is_looked_for(remove("/sys/module/amdgpu/refcnt")), "built in");
    let unloading = |tree: &Tree| {
        tree.file("/sys/module/amdgpu/refcnt", "-1\n");
    };
    assert!(is_looked_for(unloading), "it is being unloaded");
    assert!(is_looked_for(|tree| module(tree, "amdgpu", 1, &["amdgpu"])), "a circle, which no kernel has");
    let unbind = format!("/sys/bus/pci/devices/{AUDIO}/driver");
    assert!(is_looked_for(|tree| fs::remove_file(tree.path(&unbind)).unwrap()), "a driver may be going");
    let with_node = |folder: String, node: &'static str| {
        is_looked_for(move |tree| {
            tree.folder(&folder).link(node, "/dev/zero");
        })
    };
    assert!(with_node("/run".to_owned(), "/dev/i2c-3"), "a bus of I2C, whoever made it");
    let odd = format!("/sys/bus/pci/devices/{GPU}/misc/odd");
    assert!(with_node(odd, "/dev/odd"), "a node that somebody else may have made");
    let compressed = format!("/sys/bus/pci/devices/{AUDIO}/sound/card1/comprC1D0");
    assert!(with_node(compressed, "/dev/snd/comprC1D0"), "a node that keeps no driver");
}

#[test]
fn a_card_on_vfio_is_looked_at_where_a_container_or_its_own_node_may_be_open() {
    let on_vfio = |users: Option<u32>, own: bool, node: bool| {
        is_looked_for(move |tree| {
            fs::remove_dir_all(tree.path(&format!("/sys/bus/pci/devices/{GPU}/drm"))).unwrap();
            tree.link("/dev/vfio/17", "/dev/full");
            module(tree, "vfio_pci", 0, &[]);
            for function in [GPU, AUDIO] {
                fs::remove_file(tree.path(&format!("/sys/bus/pci/devices/{function}/driver"))).unwrap();
                driver(tree, function, "vfio-pci", "vfio_pci");
            }
            if let Some(users) = users {
                module(tree, "vfio_iommu_type1", users, &[]);
            }
            if own {
                tree.folder(&format!("/sys/bus/pci/devices/{GPU}/vfio-dev/vfio0"));
            }
            if node {
                tree.link("/dev/vfio/devices/vfio0", "/dev/zero");
            }
        })
    };
    assert!(!on_vfio(Some(0), false, false));
    assert!(!on_vfio(Some(0), true, false), "a kernel without nodes for it");
    assert!(on_vfio(Some(1), false, false), "a container has an address space");
    assert!(on_vfio(Some(0), true, true), "its own node keeps no driver");
    assert!(on_vfio(None, false, false), "a host that knows of no absence");
}

/// VFIO drivers of vendors have names of their own.
#[test]
fn a_vfio_device_of_any_driver_is_looked_at_where_its_own_node_may_be_open() {
    let looked_for = |node: bool| {
        is_looked_for(move |tree| {
            tree.folder(&format!("/sys/bus/pci/devices/{GPU}/vfio-dev/vfio0"));
            module(tree, "vfio_iommu_type1", 0, &[]);
            if node {
                tree.link("/dev/vfio/devices/vfio0", "/dev/zero");
            }
        })
    };
    assert!(!looked_for(false));
    assert!(looked_for(true));
}

#[test]
fn a_mediated_device_is_counted_with_the_driver_that_has_it() {
    let uuid = "c73f1fa6-489e-4834-9476-d70dabd98c40";
    let holders = |users: u32, driver: bool| {
        let tree = card();
        tree.folder(&format!("/sys/bus/pci/devices/{GPU}/mdev_supported_types/nvidia-557"));
        tree.folder(&format!("/sys/bus/pci/devices/{GPU}/{uuid}"));
        tree.link(
            &format!("/sys/bus/mdev/devices/{uuid}"),
            &format!("../../../bus/pci/devices/{GPU}/{uuid}"),
        );
        tree.link(
            &format!("/sys/bus/pci/devices/{GPU}/{uuid}/iommu_group"),
            "../../../../kernel/iommu_groups/90",
        );
        tree.link("/dev/vfio/90", "/dev/zero").link("/proc/77/fd/6", "/dev/zero");
        tree.folder("/sys/bus/mdev/drivers/nvidia");
        tree.link("/sys/bus/mdev/drivers/nvidia/module", "../../../../module/nvidia_vgpu_vfio");
        if driver {
            let link = format!("/sys/bus/pci/devices/{GPU}/{uuid}/driver");
            tree.link(&link, "../../../../bus/mdev/drivers/nvidia");
        }
        module(&tree, "nvidia_vgpu_vfio", users, &[]);
        module(&tree, "vfio_iommu_type1", 0, &[]);
        picture(Reacting::new(tree)).vgpus[&uuid.parse().unwrap()].holders.seen.len()
    };
    assert_eq!(holders(0, true), 0);
    assert_eq!(holders(1, true), 1);
    assert_eq!(holders(0, false), 1, "its removal may wait for whoever has it");
}

#[test]
fn a_write_under_way_is_looked_for() {
    use std::os::unix::fs::MetadataExt;
    let tree = card();
    let uid = fs::metadata(tree.path("/proc")).unwrap().uid();
    tree.file("/proc/78/status", format!("Uid:\t{uid}\t{uid}\t{uid}\t{uid}\n"));
    tree.file("/proc/78/maps", "").file("/proc/78/comm", "gpuvirt-writer\n");
    tree.link("/proc/78/fd/3", "/memfd:gpuvirt-writer (deleted)");
    let memory_file = Some(format!(r#"{{"path":"/sys/bus/pci/drivers/amdgpu/unbind","data":"{GPU}"}}"#));
    let holders = of_one_card(Reacting { memory_file, ..Reacting::new(tree) });
    assert_eq!(holders.seen.len(), 2, "the writer and process 77: {holders:?}");
}
