//! `bind` and `unbind` of drivers, and what shows a binding.

use nix::errno::Errno;

use crate::behaviour::Behaviour;
use crate::bench::{NOWHERE, driver_file, file, holds, same};

const BIND: &str = "drivers/base/bus.c: bind_store";
const UNBIND: &str = "drivers/base/bus.c: unbind_store";

pub(crate) const BEHAVIOURS: &[Behaviour] = &[
    Behaviour {
        id: "unbind-unknown",
        sentence: "unbinding an address that does not exist gives ENODEV",
        source: UNBIND,
        check: |bench| {
            let driver = bench.native(bench.plain()?)?;
            bench.refused(&driver_file(&driver, "unbind"), NOWHERE, Errno::ENODEV)
        },
    },
    Behaviour {
        id: "unbind-twice",
        sentence: "unbinding a function that the driver does not have any more gives ENODEV",
        source: UNBIND,
        check: |bench| {
            let function = bench.plain()?;
            let path = driver_file(&bench.native(function)?, "unbind");
            bench.done(&path, &function.to_string())?;
            bench.bound(function, None)?;
            bench.refused(&path, &function.to_string(), Errno::ENODEV)
        },
    },
    Behaviour {
        id: "unbind-other-driver",
        sentence: "unbinding through a driver that does not have the function gives ENODEV, and changes nothing",
        source: UNBIND,
        check: |bench| {
            let function = bench.plain()?;
            let driver = bench.native(function)?;
            bench.refused(&driver_file("vfio-pci", "unbind"), &function.to_string(), Errno::ENODEV)?;
            bench.bound(function, Some(&driver))
        },
    },
    Behaviour {
        id: "unbind-takes-the-links",
        sentence: "after unbinding, the function's driver link and the driver's link to it are gone",
        source: "drivers/base/dd.c: driver_sysfs_remove",
        check: |bench| {
            let function = bench.plain()?;
            let driver = bench.native(function)?;
            let link = driver_file(&driver, &function.to_string());
            holds(bench.sysfs.exists(&link), || format!("{link} is not there before"))?;
            bench.unbind(function)?;
            holds(!bench.sysfs.exists(&link), || format!("{link} is there after unbinding"))?;
            holds(!bench.sysfs.exists(&file(function, "driver")), || {
                "the driver link is still there".to_owned()
            })
        },
    },
    Behaviour {
        id: "uevent-names-the-driver",
        sentence: "uevent has a DRIVER line while a driver has the function, and none otherwise",
        source: "drivers/base/core.c: dev_uevent",
        check: |bench| {
            let function = bench.plain()?;
            let line = format!("DRIVER={}", bench.native(function)?);
            let text = bench.text(&file(function, "uevent"))?;
            holds(text.lines().any(|have| have == line), || format!("no {line} in {text:?}"))?;
            bench.unbind(function)?;
            let text = bench.text(&file(function, "uevent"))?;
            holds(!text.contains("DRIVER="), || format!("a DRIVER line without a driver: {text:?}"))
        },
    },
    Behaviour {
        id: "bind-unknown",
        sentence: "binding an address that does not exist, or a text that is none, gives ENODEV",
        source: BIND,
        check: |bench| {
            let function = bench.plain()?;
            let path = driver_file(&bench.native(function)?, "bind");
            let text = function.to_string();
            for data in
                [NOWHERE, "x", text.get(5..).unwrap_or_default(), &format!(" {text}"), &format!("{text}\n\n")]
            {
                bench.refused(&path, data, Errno::ENODEV)?;
            }
            Ok(())
        },
    },
    Behaviour {
        id: "bind-no-match",
        sentence: "binding to a driver that does not match the function gives ENODEV",
        source: BIND,
        check: |bench| {
            let function = bench.plain()?;
            bench.unbind(function)?;
            bench.refused(&driver_file("vfio-pci", "bind"), &function.to_string(), Errno::ENODEV)?;
            bench.bound(function, None)
        },
    },
    Behaviour {
        id: "bind-bound",
        sentence: "binding a function that has a driver gives EBUSY, even to the same driver",
        source: "drivers/base/dd.c: device_driver_attach",
        check: |bench| {
            let function = bench.plain()?;
            let driver = bench.native(function)?;
            bench.refused(&driver_file(&driver, "bind"), &function.to_string(), Errno::EBUSY)?;
            bench.bound(function, Some(&driver))
        },
    },
    Behaviour {
        id: "bind-with-newline",
        sentence: "an address is taken with one newline at its end",
        source: "lib/string_helpers.c: sysfs_streq",
        check: |bench| {
            let function = bench.plain()?;
            let driver = bench.native(function)?;
            bench.done(&driver_file(&driver, "unbind"), &format!("{function}\n"))?;
            bench.done(&driver_file(&driver, "bind"), &format!("{function}\n"))?;
            bench.bound(function, Some(&driver))
        },
    },
    Behaviour {
        id: "empty-write-does-nothing",
        sentence: "a write of no bytes succeeds, and never gets to the file's driver",
        source: "fs/kernfs/file.c: kernfs_fop_write_iter",
        check: |bench| {
            let function = bench.plain()?;
            let driver = bench.native(function)?;
            bench.done(&driver_file(&driver, "unbind"), "")?;
            bench.done(&file(function, "remove"), "")?;
            bench.bound(function, Some(&driver))
        },
    },
    Behaviour {
        id: "new-id-fields",
        sentence: "new_id with less than two numbers gives EINVAL",
        source: "drivers/pci/pci-driver.c: new_id_store",
        check: |bench| {
            for data in ["10de", "x", "\n"] {
                bench.refused(&driver_file("vfio-pci", "new_id"), data, Errno::EINVAL)?;
            }
            Ok(())
        },
    },
    Behaviour {
        id: "new-id-twice",
        sentence: "an id that the driver has gives EEXIST; remove_id forgets it, and gives ENODEV when it is not there",
        source: "drivers/pci/pci-driver.c: new_id_store, remove_id_store",
        check: |bench| {
            // No device has these ids, so that nothing is bound.
            let ids = "fff1 fff2";
            bench.done(&driver_file("vfio-pci", "new_id"), ids)?;
            let twice = bench.refused(&driver_file("vfio-pci", "new_id"), ids, Errno::EEXIST);
            bench.done(&driver_file("vfio-pci", "remove_id"), ids)?;
            bench.refused(&driver_file("vfio-pci", "remove_id"), ids, Errno::ENODEV)?;
            twice
        },
    },
    Behaviour {
        id: "driver-folder-links",
        sentence: "a driver's folder lists the functions that it has, as links",
        source: "drivers/base/dd.c: driver_sysfs_add",
        check: |bench| {
            let (one, other) = bench.twins()?;
            let driver = bench.native(one)?;
            let names = bench.names(&driver_file(&driver, ""));
            for function in [one, other] {
                holds(names.contains(&function.to_string()), || {
                    format!("{driver} does not list {function}")
                })?;
            }
            bench.unbind(one)?;
            let names = bench.names(&driver_file(&driver, ""));
            same(
                "lists of one and the other",
                &(names.contains(&one.to_string()), names.contains(&other.to_string())),
                &(false, true),
            )
        },
    },
];
