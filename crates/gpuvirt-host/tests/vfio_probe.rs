//! Which functions may be opened for inspection. Opening one needs VFIO, and so the lab.
#![allow(missing_docs, clippy::unwrap_used)]

mod tree;

use gpuvirt_host::GpuRules;
use gpuvirt_host::vfio_probe::{InspectError, inspect, may_inspect};
use gpuvirt_model::PciAddress;
use tree::Tree;

const GPU: &str = "0000:41:00.0";

fn at(text: &str) -> PciAddress {
    text.parse().unwrap()
}

#[test]
fn only_an_idle_function_on_vfio_is_opened() {
    let tree = Tree::new();
    tree.function(GPU, "0x10de", "0x030000").driver(GPU, "nouveau").group(17, &[GPU]);
    let ask = |tree: &Tree, address| may_inspect(&tree.host().observe().unwrap(), at(address));
    assert!(matches!(ask(&tree, GPU), Err(InspectError::NotOnVfio(_))));
    assert!(matches!(ask(&tree, "0000:42:00.0"), Err(InspectError::NotAGpu(_))));
    std::fs::remove_file(tree.path(&format!("/sys/bus/pci/devices/{GPU}/driver"))).unwrap();
    tree.driver(GPU, "vfio-pci");
    assert!(ask(&tree, GPU).is_ok());
    tree.link("/dev/vfio/17", "/dev/full").link("/proc/9/fd/4", "/dev/full").file("/proc/9/maps", "");
    assert!(matches!(ask(&tree, GPU), Err(InspectError::Held { .. })));
    std::fs::remove_dir_all(tree.path("/proc")).unwrap();
    assert!(matches!(ask(&tree, GPU), Err(InspectError::HoldersUnseen(_))));
}

#[test]
fn what_is_not_on_this_machine_is_not_opened() {
    let result = inspect(at("fffe:fe:1e.7"), GpuRules::default());
    assert!(matches!(result, Err(InspectError::NotAGpu(_))), "{result:?}");
}
