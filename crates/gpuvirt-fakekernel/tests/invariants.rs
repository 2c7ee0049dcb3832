//! Whatever is written, the fake's tree stays one that a kernel could show.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::time::Duration;

use gpuvirt_fakekernel::{FakeKernel, Process, SizeRule};
use gpuvirt_host::Sysfs;
use gpuvirt_recording::made_hosts;
use proptest::prelude::*;

const DEVICES: &str = "/sys/bus/pci/devices";
const POOL_MIB: u64 = 4096;
const TYPES: [(&str, &str, u64); 2] = [("nouveau-1", "LAB-1Q", 1024), ("nouveau-2", "LAB-2Q", 2048)];

#[derive(Debug, Clone)]
enum Act {
    Write(String, String),
    Guest(u32),
    EndGuest,
}

fn act() -> impl Strategy<Value = Act> {
    let function =
        prop_oneof!["0000:02:00.0", "0000:02:00.1", "0000:01:00.0", "0000:41:00.0", "ffff:00:00.0"];
    let driver = prop_oneof!["vfio-pci", "nouveau", "snd_hda_intel", "nvidia", "nowhere"];
    let uuid = (0_u32..4).prop_map(|n| format!("83b8f4f2-509f-382f-3c1e-e6bfe0fa100{n}"));
    let number = prop_oneof!["0", "1", "2", "40", "x", ""];
    let named = |name: &'static str| {
        move |(function, data): (String, String)| Act::Write(format!("{DEVICES}/{function}/{name}"), data)
    };
    prop_oneof![
        4 => (function.clone(), driver.clone()).prop_map(named("driver_override")),
        1 => (function.clone(), Just("\n".to_owned())).prop_map(named("driver_override")),
        4 => function.clone().prop_map(|f| Act::Write(format!("{DEVICES}/{f}/driver/unbind"), f)),
        4 => function.clone().prop_map(|f| Act::Write("/sys/bus/pci/drivers_probe".to_owned(), f)),
        3 => (driver, function.clone()).prop_map(|(d, f)| Act::Write(format!("/sys/bus/pci/drivers/{d}/bind"), f)),
        2 => (function.clone(), number.clone()).prop_map(named("sriov_numvfs")),
        1 => (function.clone(), number.clone()).prop_map(named("remove")),
        1 => number.clone().prop_map(|n| Act::Write("/sys/bus/pci/rescan".to_owned(), n)),
        3 => (prop_oneof!["nouveau-1", "nouveau-2"], uuid.clone()).prop_map(|(id, uuid)| {
            Act::Write(format!("{DEVICES}/0000:02:00.0/mdev_supported_types/{id}/create"), uuid)
        }),
        2 => (uuid, number).prop_map(|(u, n)| Act::Write(format!("/sys/bus/mdev/devices/{u}/remove"), n)),
        1 => (0_u32..130).prop_map(Act::Guest),
        1 => Just(Act::EndGuest),
    ]
}

fn name_of(target: &str) -> &str {
    target.rsplit('/').next().unwrap()
}

/// Links agree with each other, groups with their members, capacity with what lives.
fn check(kernel: &FakeKernel) -> Result<(), TestCaseError> {
    for function in kernel.list(DEVICES).unwrap() {
        let at = format!("{DEVICES}/{function}");
        prop_assert!(kernel.exists(&format!("{at}/class")), "{at} leads nowhere");
        if let Ok(driver) = kernel.read_link(&format!("{at}/driver")) {
            let back = format!("/sys/bus/pci/drivers/{}/{function}", name_of(&driver));
            prop_assert!(kernel.exists(&back), "{back} is not there");
        }
        if let Ok(group) = kernel.read_link(&format!("{at}/iommu_group")) {
            let back = format!("/sys/kernel/iommu_groups/{}/devices/{function}", name_of(&group));
            prop_assert!(kernel.exists(&back), "{back} is not there");
        }
        let vfio = kernel.read_link(&format!("{at}/driver")).is_ok_and(|driver| driver.ends_with("vfio-pci"));
        prop_assert_eq!(vfio, kernel.exists(&format!("{at}/vfio-dev")), "vfio-dev of {}", at);
    }
    for driver in kernel.list("/sys/bus/pci/drivers").unwrap() {
        let folder = format!("/sys/bus/pci/drivers/{driver}");
        for name in kernel.list(&folder).unwrap().iter().filter(|name| name.contains(':')) {
            let forth = kernel.read_link(&format!("{DEVICES}/{name}/driver"));
            prop_assert!(forth.is_ok_and(|link| name_of(&link) == driver), "{driver} lists {name}");
        }
    }
    for group in kernel.list("/sys/kernel/iommu_groups").unwrap() {
        let members = kernel.list(&format!("/sys/kernel/iommu_groups/{group}/devices")).unwrap();
        prop_assert!(!members.is_empty(), "group {group} is empty");
        for member in members {
            let folder = format!("/sys/kernel/iommu_groups/{group}/devices/{member}/iommu_group");
            prop_assert!(kernel.read_link(&folder).is_ok_and(|link| name_of(&link) == group), "{folder}");
        }
    }
    let types = format!("{DEVICES}/0000:02:00.0/mdev_supported_types");
    let mut used = 0;
    for (id, _, mib) in TYPES {
        let made = kernel.list(&format!("{types}/{id}/devices")).unwrap_or_default();
        used += made.len() as u64 * mib;
    }
    for (id, _, mib) in TYPES {
        let Ok(text) = kernel.read(&format!("{types}/{id}/available_instances"), 9) else { continue };
        let left: u64 = String::from_utf8(text).unwrap().trim().parse().unwrap();
        prop_assert!(used + left * mib <= POOL_MIB, "{id} offers {left} with {used} MiB used");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_tree_stays_one_that_a_kernel_could_show(acts in prop::collection::vec(act(), 1..40), vgpus: bool) {
        let host = if vgpus { made_hosts::vgpu_host() } else { made_hosts::two_gpus() };
        let kernel = FakeKernel::from_dump(&host.dump()).unwrap().with_proc();
        kernel.load_module("vfio-pci").unwrap();
        if !vgpus {
            kernel.offer_mdev("02:00.0".parse().unwrap(), POOL_MIB, SizeRule::Mixed, &TYPES);
        }
        for act in acts {
            match act {
                // Any answer is right here; what it leaves behind is looked at.
                Act::Write(path, data) => {
                    let _ = kernel.write_that_may_block(&path, data.as_bytes(), Duration::ZERO);
                }
                Act::Guest(group) => kernel.start(Process::new(700, "qemu").opens(&format!("/dev/vfio/{group}"))),
                Act::EndGuest => kernel.end(700),
            }
            check(&kernel)?;
        }
        kernel.end(700);
        prop_assert_eq!(kernel.release(), 0, "nothing waits for nobody");
        check(&kernel)?;
    }
}
