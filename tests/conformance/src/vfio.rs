//! What shows that VFIO has a function.

use crate::behaviour::Behaviour;
use crate::bench::{failed, file, holds};

pub(crate) const BEHAVIOURS: &[Behaviour] = &[
    Behaviour {
        id: "vfio-shows-a-device",
        sentence: "a function on vfio-pci has a folder vfio-dev with one name, vfio and a number",
        source: "drivers/vfio/vfio_main.c: __vfio_register_dev",
        check: |bench| {
            let function = bench.plain()?;
            bench.move_to(function, "vfio-pci")?;
            let names = bench.names(&file(function, "vfio-dev"));
            let number =
                |name: &String| name.strip_prefix("vfio").is_some_and(|rest| rest.parse::<u32>().is_ok());
            holds(names.len() == 1 && names.iter().all(number), || format!("vfio-dev holds {names:?}"))
        },
    },
    Behaviour {
        id: "vfio-shows-the-group",
        sentence: "the group's node below /dev/vfio is a character device while a function of it is on vfio-pci",
        source: "drivers/vfio/group.c: vfio_create_group",
        check: |bench| {
            let function = bench.plain()?;
            let node = format!("/dev/vfio/{}", bench.group(function)?);
            holds(!bench.sysfs.exists(&node), || format!("{node} is there before"))?;
            bench.move_to(function, "vfio-pci")?;
            let number =
                bench.sysfs.device_number(&node).map_err(|error| failed(format!("{node}: {error}")))?;
            holds(number.is_some(), || format!("{node} is no character device"))?;
            bench.unbind(function)?;
            holds(!bench.sysfs.exists(&node), || format!("{node} is there after unbinding"))
        },
    },
    Behaviour {
        id: "vfio-container-node",
        sentence: "the container /dev/vfio/vfio is the character device 10:196",
        source: "include/linux/miscdevice.h: VFIO_MINOR",
        check: |bench| {
            let number =
                bench.sysfs.device_number("/dev/vfio/vfio").map_err(|error| failed(error.to_string()))?;
            holds(number.is_some_and(|n| (n.major, n.minor) == (10, 196)), || format!("it is {number:?}"))
        },
    },
    Behaviour {
        id: "vfio-group-goes-with-its-last",
        sentence: "the group's node stays until the last function of the group leaves vfio-pci",
        source: "drivers/vfio/group.c: vfio_device_remove_group",
        check: |bench| {
            let (gpu, audio) = bench.multi()?;
            let node = format!("/dev/vfio/{}", bench.group(gpu)?);
            bench.move_to(gpu, "vfio-pci")?;
            bench.move_to(audio, "vfio-pci")?;
            bench.unbind(gpu)?;
            holds(bench.sysfs.exists(&node), || format!("{node} went with the first function"))?;
            bench.unbind(audio)?;
            holds(!bench.sysfs.exists(&node), || format!("{node} is still there"))
        },
    },
    Behaviour {
        id: "drm-nodes-follow-the-driver",
        sentence: "the display driver's nodes go when it is unbound and come back when it is bound again",
        source: "drivers/gpu/drm/drm_drv.c: drm_dev_unplug",
        check: |bench| {
            let function = bench.plain()?;
            let driver = bench.native(function)?;
            let nodes = || bench.names(&file(function, "drm"));
            holds(nodes().iter().any(|name| name.starts_with("card")), || {
                format!("drm holds {:?} before", nodes())
            })?;
            bench.move_to(function, "vfio-pci")?;
            holds(nodes().is_empty(), || format!("drm holds {:?} on vfio-pci", nodes()))?;
            bench.done(&file(function, "driver_override"), "\n")?;
            bench.unbind(function)?;
            bench.done(&crate::bench::driver_file(&driver, "bind"), &function.to_string())?;
            holds(nodes().iter().any(|name| name.starts_with("card")), || {
                format!("drm holds {:?} after", nodes())
            })
        },
    },
    Behaviour {
        id: "group-is-not-one-binding",
        sentence: "binding one function of a group to vfio-pci leaves the others with their drivers",
        source: "drivers/vfio/pci/vfio_pci.c: vfio_pci_probe",
        check: |bench| {
            let (gpu, audio) = bench.multi()?;
            let driver = bench.driver(audio);
            bench.move_to(gpu, "vfio-pci")?;
            bench.bound(audio, driver.as_deref())
        },
    },
];
