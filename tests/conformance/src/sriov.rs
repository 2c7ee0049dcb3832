//! SR-IOV: `sriov_numvfs` and virtual functions.

use gpuvirt_model::PciAddress;
use nix::errno::Errno;

use crate::behaviour::Behaviour;
use crate::bench::{Bench, Check, GROUPS, PROBE, Stop, driver_file, failed, file, holds, same};

const NUMVFS: &str = "drivers/pci/iov.c: sriov_numvfs_store";

pub(crate) const BEHAVIOURS: &[Behaviour] = &[
    Behaviour {
        id: "numvfs-absent",
        sentence: "a function without SR-IOV has no sriov_numvfs: ENOENT",
        source: "drivers/pci/iov.c: sriov_pf_attrs_are_visible",
        check: |bench| bench.refused(&file(bench.plain()?, "sriov_numvfs"), "1", Errno::ENOENT),
    },
    Behaviour {
        id: "numvfs-garbage",
        sentence: "sriov_numvfs takes a 16-bit number, and nothing else: EINVAL",
        source: NUMVFS,
        check: |bench| {
            for data in ["x", "-1", "65536", "1 2", ""].iter().filter(|data| !data.is_empty()) {
                bench.refused(&file(bench.sriov()?, "sriov_numvfs"), data, Errno::EINVAL)?;
            }
            Ok(())
        },
    },
    Behaviour {
        id: "numvfs-too-many",
        sentence: "more than sriov_totalvfs gives ERANGE",
        source: NUMVFS,
        check: |bench| {
            let function = bench.sriov()?;
            let total = bench.number(&file(function, "sriov_totalvfs"))?;
            bench.refused(&file(function, "sriov_numvfs"), &(total + 1).to_string(), Errno::ERANGE)
        },
    },
    Behaviour {
        id: "numvfs-same",
        sentence: "the number that is there already succeeds",
        source: NUMVFS,
        check: |bench| {
            let function = bench.sriov()?;
            bench.done(&file(function, "sriov_numvfs"), "0")?;
            numvfs(bench, function, 2)?;
            bench.done(&file(function, "sriov_numvfs"), "2\n")
        },
    },
    Behaviour {
        id: "numvfs-other-number",
        sentence: "another number than none, while there are some, gives EBUSY",
        source: NUMVFS,
        check: |bench| {
            let function = bench.sriov()?;
            numvfs(bench, function, 2)?;
            bench.refused(&file(function, "sriov_numvfs"), "1", Errno::EBUSY)?;
            same("sriov_numvfs", &bench.number(&file(function, "sriov_numvfs"))?, &2)
        },
    },
    Behaviour {
        id: "numvfs-without-driver",
        sentence: "without a driver sriov_numvfs gives ENOENT",
        source: NUMVFS,
        check: |bench| {
            let function = bench.sriov()?;
            bench.unbind(function)?;
            bench.refused(&file(function, "sriov_numvfs"), "1", Errno::ENOENT)
        },
    },
    Behaviour {
        id: "numvfs-driver-makes-none",
        sentence: "under vfio-pci, which makes no virtual functions unasked, sriov_numvfs gives ENOENT",
        source: "drivers/vfio/pci/vfio_pci.c: vfio_pci_sriov_configure",
        check: |bench| {
            let function = bench.sriov()?;
            bench.move_to(function, "vfio-pci")?;
            bench.refused(&file(function, "sriov_numvfs"), "1", Errno::ENOENT)
        },
    },
    Behaviour {
        id: "vfs-are-linked",
        sentence: "each virtual function is linked from virtfnN, and back by physfn",
        source: "drivers/pci/iov.c: pci_iov_sysfs_link",
        check: |bench| {
            let function = bench.sriov()?;
            numvfs(bench, function, 2)?;
            let vfs = vfs(bench, function);
            same("the number of virtual functions", &vfs.len(), &2)?;
            for vf in vfs {
                let target = bench.sysfs.read_link(&file(vf, "physfn")).map_err(|e| failed(e.to_string()))?;
                same("physfn", &target, &format!("../{function}"))?;
            }
            Ok(())
        },
    },
    Behaviour {
        id: "vf-addresses",
        sentence: "virtual function N is at the physical one's routing id plus sriov_offset plus N times sriov_stride",
        source: "drivers/pci/iov.c: pci_iov_virtfn_devfn",
        check: |bench| {
            let function = bench.sriov()?;
            numvfs(bench, function, 2)?;
            let offset = bench.number(&file(function, "sriov_offset"))?;
            let stride = bench.number(&file(function, "sriov_stride"))?;
            for (number, vf) in (0_u64..).zip(vfs(bench, function)) {
                same("its routing id", &routing(vf), &(routing(function) + offset + stride * number))?;
            }
            Ok(())
        },
    },
    Behaviour {
        id: "vf-identity",
        sentence: "a virtual function has the physical one's vendor and class, and the device id of sriov_vf_device",
        source: "drivers/pci/iov.c: pci_iov_add_virtfn",
        check: |bench| {
            let function = bench.sriov()?;
            numvfs(bench, function, 1)?;
            let vf = first_vf(bench, function)?;
            for name in ["vendor", "class"] {
                same(name, &bench.text(&file(vf, name))?, &bench.text(&file(function, name))?)?;
            }
            let device = bench.text(&file(function, "sriov_vf_device"))?;
            same("device", &bench.text(&file(vf, "device"))?, &format!("0x{:0>4}\n", device.trim_end()))
        },
    },
    Behaviour {
        id: "vf-files",
        sentence: "a virtual function has no SR-IOV files of its own, and its override is not set",
        source: "drivers/pci/iov.c: sriov_pf_attrs_are_visible",
        check: |bench| {
            let function = bench.sriov()?;
            numvfs(bench, function, 1)?;
            let vf = first_vf(bench, function)?;
            holds(!bench.sysfs.exists(&file(vf, "sriov_numvfs")), || "it has sriov_numvfs".to_owned())?;
            bench.overridden(vf, "(null)\n")
        },
    },
    Behaviour {
        id: "vf-cannot-be-removed",
        sentence: "a virtual function has neither remove nor rescan: ENOENT",
        source: "drivers/pci/pci-sysfs.c: pci_dev_hp_attrs_are_visible",
        check: |bench| {
            let function = bench.sriov()?;
            numvfs(bench, function, 1)?;
            let vf = first_vf(bench, function)?;
            bench.refused(&file(vf, "remove"), "1", Errno::ENOENT)?;
            bench.refused(&file(vf, "rescan"), "1", Errno::ENOENT)
        },
    },
    Behaviour {
        id: "vf-group-of-its-own",
        sentence: "a virtual function behind an isolating port is alone in a group",
        source: "drivers/iommu/iommu.c: pci_device_group",
        check: |bench| {
            let function = bench.sriov()?;
            numvfs(bench, function, 2)?;
            for vf in vfs(bench, function) {
                let members = bench.names(&format!("{GROUPS}/{}/devices", bench.group(vf)?));
                same("the members", &members, &vec![vf.to_string()])?;
            }
            Ok(())
        },
    },
    Behaviour {
        id: "numvfs-zero-removes",
        sentence: "zero removes the virtual functions and their links",
        source: NUMVFS,
        check: |bench| {
            let function = bench.sriov()?;
            numvfs(bench, function, 2)?;
            let before = vfs(bench, function);
            bench.done(&file(function, "sriov_numvfs"), "0")?;
            holds(vfs(bench, function).is_empty(), || "virtfn links are still there".to_owned())?;
            holds(before.iter().all(|vf| !bench.sysfs.exists(&file(*vf, ""))), || {
                "one is still there".to_owned()
            })
        },
    },
    Behaviour {
        id: "vf-override-is-not-kept",
        sentence: "a virtual function that is made again has no driver_override any more",
        source: "drivers/pci/iov.c: pci_iov_add_virtfn",
        check: |bench| {
            let function = bench.sriov()?;
            numvfs(bench, function, 1)?;
            let vf = first_vf(bench, function)?;
            bench.done(&file(vf, "driver_override"), "vfio-pci")?;
            bench.done(&file(function, "sriov_numvfs"), "0")?;
            numvfs(bench, function, 1)?;
            bench.overridden(vf, "(null)\n")
        },
    },
    Behaviour {
        id: "vf-autoprobe-off",
        sentence: "with sriov_drivers_autoprobe 0 a virtual function stays without a driver, by drivers_probe too",
        source: "drivers/pci/pci-driver.c: pci_device_can_probe",
        check: |bench| {
            let function = bench.sriov()?;
            bench.done(&file(function, "sriov_drivers_autoprobe"), "0")?;
            numvfs(bench, function, 1)?;
            let vf = first_vf(bench, function)?;
            bench.bound(vf, None)?;
            bench.done(PROBE, &vf.to_string())?;
            bench.bound(vf, None)
        },
    },
    Behaviour {
        id: "vf-autoprobe-off-override",
        sentence: "with sriov_drivers_autoprobe 0 a virtual function binds only by driver_override",
        source: "drivers/pci/pci-driver.c: pci_device_can_probe",
        check: |bench| {
            let function = bench.sriov()?;
            bench.done(&file(function, "sriov_drivers_autoprobe"), "0")?;
            numvfs(bench, function, 1)?;
            let vf = first_vf(bench, function)?;
            // Its ids are in the table then: it matches, and is not probed all the same.
            let ids =
                |name| Ok::<_, Stop>(bench.text(&file(vf, name))?.trim().trim_start_matches("0x").to_owned());
            let ids = format!("{} {}", ids("vendor")?, ids("device")?);
            bench.done(&driver_file("vfio-pci", "new_id"), &ids)?;
            let refused = bench.refused(&driver_file("vfio-pci", "bind"), &vf.to_string(), Errno::ENODEV);
            bench.done(&driver_file("vfio-pci", "remove_id"), &ids)?;
            refused?;
            bench.move_to(vf, "vfio-pci")
        },
    },
    Behaviour {
        id: "autoprobe-values",
        sentence: "sriov_drivers_autoprobe takes a truth value, and nothing else: EINVAL",
        source: "drivers/pci/iov.c: sriov_drivers_autoprobe_store",
        check: |bench| {
            let path = file(bench.sriov()?, "sriov_drivers_autoprobe");
            bench.refused(&path, "x", Errno::EINVAL)?;
            bench.done(&path, "n")?;
            same("it", &bench.text(&path)?.as_str(), &"0\n")?;
            bench.done(&path, "1\n")?;
            same("it", &bench.text(&path)?.as_str(), &"1\n")
        },
    },
];

fn numvfs(bench: &Bench<'_>, function: PciAddress, count: u64) -> Check {
    let path = file(function, "sriov_numvfs");
    bench.done(&path, &count.to_string())?;
    same("sriov_numvfs", &bench.number(&path)?, &count)
}

/// The virtual functions in the order of their links.
fn vfs(bench: &Bench<'_>, function: PciAddress) -> Vec<PciAddress> {
    let target = |number: u32| {
        let target = bench.sysfs.read_link(&file(function, &format!("virtfn{number}"))).ok()?;
        PciAddress::parse(target.strip_prefix("../")?).ok()
    };
    (0..256).map_while(target).collect()
}

fn first_vf(bench: &Bench<'_>, function: PciAddress) -> Result<PciAddress, Stop> {
    vfs(bench, function).first().copied().ok_or_else(|| failed("there is no virtual function".to_owned()))
}

fn routing(function: PciAddress) -> u64 {
    u64::from(function.bus) << 8 | u64::from(function.slot) << 3 | u64::from(function.function)
}
