//! `drivers_probe` and `driver_override`: which driver takes a function.

use nix::errno::Errno;

use crate::behaviour::Behaviour;
use crate::bench::{NOWHERE, PROBE, driver_file, file};

const DRIVERS_PROBE: &str = "drivers/base/bus.c: drivers_probe_store";
const OVERRIDE: &str = "drivers/base/driver.c: driver_set_override";

pub(crate) const BEHAVIOURS: &[Behaviour] = &[
    Behaviour {
        id: "probe-unknown",
        sentence: "drivers_probe of an address that does not exist gives ENODEV",
        source: DRIVERS_PROBE,
        check: |bench| bench.refused(PROBE, NOWHERE, Errno::ENODEV),
    },
    Behaviour {
        id: "probe-without-match",
        sentence: "drivers_probe succeeds when no driver matches, and the function stays without a driver",
        source: DRIVERS_PROBE,
        check: |bench| {
            let function = bench.plain()?;
            bench.done(&file(function, "driver_override"), "no-such-driver")?;
            bench.unbind(function)?;
            bench.done(PROBE, &function.to_string())?;
            bench.bound(function, None)
        },
    },
    Behaviour {
        id: "probe-bound",
        sentence: "drivers_probe of a function with a driver succeeds and changes nothing, whatever its override",
        source: "drivers/base/dd.c: __device_attach",
        check: |bench| {
            let function = bench.plain()?;
            let driver = bench.native(function)?;
            bench.done(&file(function, "driver_override"), "vfio-pci")?;
            bench.done(PROBE, &function.to_string())?;
            bench.bound(function, Some(&driver))
        },
    },
    Behaviour {
        id: "probe-finds-the-host-driver",
        sentence: "drivers_probe without an override binds the driver that has the function's id",
        source: DRIVERS_PROBE,
        check: |bench| {
            let function = bench.plain()?;
            let driver = bench.native(function)?;
            bench.unbind(function)?;
            bench.done(PROBE, &function.to_string())?;
            bench.bound(function, Some(&driver))
        },
    },
    Behaviour {
        id: "override-unset",
        sentence: "driver_override reads (null) when it is not set",
        source: "drivers/pci/pci-sysfs.c: driver_override_show",
        check: |bench| bench.overridden(bench.plain()?, "(null)\n"),
    },
    Behaviour {
        id: "override-reads-back",
        sentence: "driver_override reads back what was written, with one newline",
        source: OVERRIDE,
        check: |bench| {
            let function = bench.plain()?;
            for data in ["vfio-pci", "vfio-pci\n", "vfio-pci\nignored"] {
                bench.done(&file(function, "driver_override"), data)?;
                bench.overridden(function, "vfio-pci\n")?;
            }
            Ok(())
        },
    },
    Behaviour {
        id: "override-cleared-by-newline",
        sentence: "a newline clears driver_override",
        source: OVERRIDE,
        check: |bench| {
            let function = bench.plain()?;
            bench.done(&file(function, "driver_override"), "vfio-pci")?;
            bench.done(&file(function, "driver_override"), "\n")?;
            bench.overridden(function, "(null)\n")
        },
    },
    Behaviour {
        id: "override-not-cleared-by-nothing",
        sentence: "a write of no bytes does not clear driver_override",
        source: "fs/kernfs/file.c: kernfs_fop_write_iter",
        check: |bench| {
            let function = bench.plain()?;
            bench.done(&file(function, "driver_override"), "vfio-pci")?;
            bench.done(&file(function, "driver_override"), "")?;
            bench.overridden(function, "vfio-pci\n")
        },
    },
    Behaviour {
        id: "override-takes-any-name",
        sentence: "driver_override takes the name of a driver that does not exist",
        source: OVERRIDE,
        check: |bench| {
            let function = bench.plain()?;
            bench.done(&file(function, "driver_override"), "no-such-driver")?;
            bench.overridden(function, "no-such-driver\n")
        },
    },
    Behaviour {
        id: "override-too-long",
        sentence: "driver_override of a page but one byte gives EINVAL, and keeps what it had",
        source: OVERRIDE,
        check: |bench| {
            let function = bench.plain()?;
            bench.done(&file(function, "driver_override"), "vfio-pci")?;
            bench.refused(&file(function, "driver_override"), &"a".repeat(4095), Errno::EINVAL)?;
            bench.overridden(function, "vfio-pci\n")
        },
    },
    Behaviour {
        id: "override-binds-nothing",
        sentence: "setting driver_override neither unbinds nor binds",
        source: OVERRIDE,
        check: |bench| {
            let function = bench.plain()?;
            let driver = bench.native(function)?;
            bench.done(&file(function, "driver_override"), "vfio-pci")?;
            bench.bound(function, Some(&driver))
        },
    },
    Behaviour {
        id: "override-shuts-others-out",
        sentence: "while driver_override is set, a driver of another name does not match: ENODEV",
        source: "drivers/pci/pci-driver.c: pci_match_device",
        check: |bench| {
            let function = bench.plain()?;
            let driver = bench.native(function)?;
            bench.done(&file(function, "driver_override"), "vfio-pci")?;
            bench.unbind(function)?;
            bench.refused(&driver_file(&driver, "bind"), &function.to_string(), Errno::ENODEV)
        },
    },
    Behaviour {
        id: "override-matches-without-id",
        sentence: "the driver that driver_override names binds a function that is not in its table",
        source: "drivers/pci/pci-driver.c: pci_match_device",
        check: |bench| bench.move_to(bench.plain()?, "vfio-pci"),
    },
    Behaviour {
        id: "override-is-one-functions-own",
        sentence: "a twin with the same ids does not move with the function whose override is set",
        source: "drivers/pci/pci-driver.c: pci_match_device",
        check: |bench| {
            let (one, other) = bench.twins()?;
            let driver = bench.native(other)?;
            bench.move_to(one, "vfio-pci")?;
            bench.bound(other, Some(&driver))?;
            bench.overridden(other, "(null)\n")
        },
    },
    Behaviour {
        id: "override-survives-unbind",
        sentence: "driver_override stays when the function is unbound, and keeps its host driver away from then on",
        source: OVERRIDE,
        check: |bench| {
            let function = bench.plain()?;
            bench.move_to(function, "vfio-pci")?;
            bench.unbind(function)?;
            bench.overridden(function, "vfio-pci\n")?;
            bench.done(PROBE, &function.to_string())?;
            bench.bound(function, Some("vfio-pci"))
        },
    },
];
