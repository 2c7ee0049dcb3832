//! What shows that VFIO has a function.

use crate::behaviour::Behaviour;
use crate::bench::{Stop, driver_file, eventually, failed, file, holds, same};

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
            bench.done(&driver_file(&driver, "bind"), &function.to_string())?;
            holds(nodes().iter().any(|name| name.starts_with("card")), || {
                format!("drm holds {:?} after", nodes())
            })
        },
    },
    Behaviour {
        id: "frame-buffer-follows-the-driver",
        sentence: "the display driver's frame buffer leaves /proc/fb when the driver is unbound, and comes back with it",
        source: "drivers/video/fbdev/core/fbmem.c: unregister_framebuffer",
        check: |bench| {
            let function = bench.plain()?;
            let driver = bench.native(function)?;
            let Some(name) = bench.names(&file(function, "graphics")).into_iter().next() else {
                return Err(Stop::NotRun(format!("{function} has no frame buffer")));
            };
            let number = name.trim_start_matches("fb").to_owned() + " ";
            let listed =
                || Ok::<_, Stop>(bench.text("/proc/fb")?.lines().any(|line| line.starts_with(&number)));
            holds(listed()?, || format!("/proc/fb does not list {name}"))?;
            bench.unbind(function)?;
            holds(!listed()?, || format!("/proc/fb still lists {name}"))?;
            holds(!bench.sysfs.exists(&format!("/dev/{name}")), || format!("/dev/{name} is still there"))?;
            bench.done(&driver_file(&driver, "bind"), &function.to_string())?;
            holds(listed()?, || format!("{name} did not come back"))
        },
    },
    Behaviour {
        id: "sound-card-follows-the-driver",
        sentence: "the audio driver's sound card goes when it is unbound, and comes back some time after binding",
        source: "sound/pci/hda/hda_intel.c: azx_probe_work",
        check: |bench| {
            let (_, audio) = bench.multi()?;
            let driver = bench.native(audio)?;
            let cards = || bench.names(&file(audio, "sound"));
            if cards().is_empty() {
                return Err(Stop::NotRun(format!("{audio} has no sound card")));
            }
            bench.move_to(audio, "vfio-pci")?;
            holds(cards().is_empty(), || format!("sound holds {:?} on vfio-pci", cards()))?;
            bench.done(&file(audio, "driver_override"), "\n")?;
            bench.unbind(audio)?;
            bench.done(&driver_file(&driver, "bind"), &audio.to_string())?;
            // A worker probes the codecs after the binding.
            eventually("the sound card comes back", || !cards().is_empty())
        },
    },
    Behaviour {
        id: "vfio-lets-it-sleep",
        sentence: "vfio-pci sets power/control to auto, and to on when it leaves, whatever it was before",
        source: "drivers/vfio/pci/vfio_pci_core.c: vfio_pci_core_register_device",
        check: |bench| {
            let function = bench.plain()?;
            let path = file(function, "power/control");
            for before in ["on\n", "auto\n"] {
                bench.done(&path, before)?;
                bench.move_to(function, "vfio-pci")?;
                same("power/control on vfio-pci", &bench.text(&path)?.as_str(), &"auto\n")?;
                bench.unbind(function)?;
                same("power/control afterwards", &bench.text(&path)?.as_str(), &"on\n")?;
            }
            Ok(())
        },
    },
    Behaviour {
        id: "power-control-outlives-a-driver",
        sentence: "power/control stays as it is when a driver that does not set it leaves, and when it comes back",
        source: "drivers/base/power/runtime.c: pm_runtime_reinit, which leaves runtime_auto",
        check: |bench| {
            let function = bench.plain()?;
            let (driver, path) = (bench.native(function)?, file(function, "power/control"));
            for set in ["auto\n", "on\n"] {
                bench.done(&path, set)?;
                bench.unbind(function)?;
                same("power/control without a driver", &bench.text(&path)?.as_str(), &set)?;
                bench.done(&driver_file(&driver, "bind"), &function.to_string())?;
                same("power/control with it again", &bench.text(&path)?.as_str(), &set)?;
            }
            Ok(())
        },
    },
    Behaviour {
        id: "enable-follows-the-driver",
        sentence: "enable reads 0 without a driver and on an idle vfio-pci, and more under a host driver",
        source: "drivers/pci/pci-sysfs.c: enable_show",
        check: |bench| {
            let function = bench.plain()?;
            let enabled = || bench.number(&file(function, "enable"));
            bench.native(function)?;
            holds(enabled()? > 0, || "it is 0 under its host driver".to_owned())?;
            bench.unbind(function)?;
            same("enable without a driver", &enabled()?, &0)?;
            bench.move_to(function, "vfio-pci")?;
            same("enable on vfio-pci", &enabled()?, &0)
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
