//! `remove` and `rescan` of functions. Last, because what goes wrong here takes the device away.

use nix::errno::Errno;

use crate::behaviour::Behaviour;
use crate::bench::{GROUPS, file, holds};

const RESCAN: &str = "/sys/bus/pci/rescan";

pub(crate) const BEHAVIOURS: &[Behaviour] = &[
    Behaviour {
        id: "remove-garbage",
        sentence: "a function's remove takes a number, and nothing else: EINVAL",
        source: "drivers/pci/pci-sysfs.c: remove_store",
        check: |bench| {
            let function = bench.plain()?;
            for data in ["x", "-1", "\n"] {
                bench.refused(&file(function, "remove"), data, Errno::EINVAL)?;
            }
            holds(bench.sysfs.exists(&file(function, "class")), || "it was removed".to_owned())
        },
    },
    Behaviour {
        id: "remove-zero",
        sentence: "0 to a function's remove succeeds and removes nothing",
        source: "drivers/pci/pci-sysfs.c: remove_store",
        check: |bench| {
            let function = bench.plain()?;
            let driver = bench.native(function)?;
            bench.done(&file(function, "remove"), "0")?;
            bench.bound(function, Some(&driver))
        },
    },
    Behaviour {
        id: "rescan-garbage",
        sentence: "the bus's rescan takes a number, and nothing else: EINVAL",
        source: "drivers/pci/pci-sysfs.c: rescan_store",
        check: |bench| bench.refused(RESCAN, "x", Errno::EINVAL),
    },
    Behaviour {
        id: "remove-takes-everything",
        sentence: "a removed function is gone from the bus, from its driver and from its group",
        source: "drivers/pci/remove.c: pci_stop_and_remove_bus_device",
        check: |bench| {
            let function = bench.plain()?;
            let driver = bench.native(function)?;
            let group = bench.group(function)?;
            bench.done(&file(function, "remove"), "1")?;
            for path in [
                file(function, ""),
                crate::bench::driver_file(&driver, &function.to_string()),
                format!("{GROUPS}/{group}/devices/{function}"),
            ] {
                let path = path.trim_end_matches('/');
                holds(!bench.sysfs.exists(path), || format!("{path} is still there"))?;
            }
            bench.done(RESCAN, "1")
        },
    },
    Behaviour {
        id: "rescan-finds-and-binds",
        sentence: "a rescan finds a removed function again, and its host driver takes it",
        source: "drivers/pci/probe.c: pci_rescan_bus",
        check: |bench| {
            let function = bench.plain()?;
            let driver = bench.native(function)?;
            bench.done(&file(function, "remove"), "1\n")?;
            bench.done(RESCAN, "1\n")?;
            bench.bound(function, Some(&driver))?;
            bench.group(function).map(drop)
        },
    },
    Behaviour {
        id: "override-lost-by-rescan",
        sentence: "driver_override is lost when a function is removed and found again",
        source: "drivers/pci/probe.c: pci_release_dev",
        check: |bench| {
            let function = bench.plain()?;
            let driver = bench.native(function)?;
            bench.move_to(function, "vfio-pci")?;
            bench.done(&file(function, "remove"), "1")?;
            bench.done(RESCAN, "1")?;
            bench.overridden(function, "(null)\n")?;
            bench.bound(function, Some(&driver))
        },
    },
    Behaviour {
        id: "remove-takes-the-vfs",
        sentence: "removing a physical function takes its virtual functions along",
        source: "drivers/pci/iov.c: pci_iov_release",
        check: |bench| {
            let function = bench.sriov()?;
            bench.done(&file(function, "sriov_numvfs"), "1")?;
            let vf = bench.sysfs.read_link(&file(function, "virtfn0"));
            let vf = vf.map_err(|error| crate::bench::failed(error.to_string()))?;
            let vf = format!("{}/{}", crate::bench::DEVICES, vf.trim_start_matches("../"));
            bench.done(&file(function, "remove"), "1")?;
            let left = bench.sysfs.exists(&vf);
            bench.done(RESCAN, "1")?;
            holds(!left, || format!("{vf} outlived its physical function"))
        },
    },
];
