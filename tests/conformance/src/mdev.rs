//! Mediated devices: creation, capacity, links, removal.

use gpuvirt_model::PciAddress;
use nix::errno::Errno;

use crate::behaviour::Behaviour;
use crate::bench::{Bench, Check, GROUPS, Stop, driver_file, failed, file, holds, same};

const CREATE: &str = "drivers/vfio/mdev/mdev_sysfs.c: create_store";
const CORE: &str = "drivers/vfio/mdev/mdev_core.c: mdev_device_create";
const REMOVE: &str = "drivers/vfio/mdev/mdev_sysfs.c: remove_store";

/// Uuids of this suite; what is left of them is removed after each behaviour.
pub(crate) const UUID_PREFIX: &str = "c0f0beef-0000-4000-8000-";

fn uuid(number: u32) -> String {
    format!("{UUID_PREFIX}{number:012x}")
}

pub(crate) const BEHAVIOURS: &[Behaviour] = &[
    Behaviour {
        id: "mdev-parent-shows",
        sentence: "a parent is linked from /sys/class/mdev_bus, and each type has its files",
        source: "drivers/vfio/mdev/mdev_sysfs.c: add_mdev_supported_type",
        check: |bench| {
            let parent = bench.mdev()?;
            let link = format!("/sys/class/mdev_bus/{parent}");
            holds(bench.sysfs.read_link(&link).is_ok(), || format!("{link} is no link"))?;
            for id in types(bench, parent)? {
                for name in ["available_instances", "create", "device_api", "devices", "name"] {
                    let path = type_file(parent, &id, name);
                    holds(bench.sysfs.exists(&path), || format!("{path} is not there"))?;
                }
                let api = bench.text(&type_file(parent, &id, "device_api"))?;
                same("device_api", &api.as_str(), &"vfio-pci\n")?;
            }
            Ok(())
        },
    },
    Behaviour {
        id: "mdev-type-is-named-after-the-driver",
        sentence: "a type's folder begins with the name of the parent's driver and a hyphen",
        source: "drivers/vfio/mdev/mdev_sysfs.c: add_mdev_supported_type",
        check: |bench| {
            let parent = bench.mdev()?;
            let driver = bench.native(parent)?;
            let named = |id: &String| id.starts_with(&format!("{driver}-"));
            let types = types(bench, parent)?;
            holds(types.iter().all(named), || format!("the types of {driver} are {types:?}"))
        },
    },
    Behaviour {
        id: "mdev-create",
        sentence: "create takes a uuid of 36 characters, or 37 with anything as the last",
        source: CREATE,
        check: |bench| {
            let (parent, small) = smallest(bench)?;
            for (number, data) in [(1, uuid(1)), (2, uuid(2) + "\n"), (3, uuid(3) + "x")] {
                bench.done(&type_file(parent, &small, "create"), &data)?;
                holds(bench.sysfs.exists(&mdev(number)), || format!("{data:?} made no device"))?;
            }
            Ok(())
        },
    },
    Behaviour {
        id: "mdev-create-length",
        sentence: "create of fewer than 36 or more than 37 characters gives EINVAL",
        source: CREATE,
        check: |bench| {
            let (parent, small) = smallest(bench)?;
            let whole = uuid(1);
            let short = whole.get(..35).unwrap_or_default().to_owned();
            for data in
                [short, whole.clone() + "\n\n", format!("{{{whole}}}"), " ".to_owned(), "a".repeat(5000)]
            {
                bench.refused(&type_file(parent, &small, "create"), &data, Errno::EINVAL)?;
            }
            holds(!bench.sysfs.exists(&mdev(1)), || "a device was made".to_owned())
        },
    },
    Behaviour {
        id: "mdev-create-no-uuid",
        sentence: "create of 36 characters that are no uuid gives EINVAL",
        source: CREATE,
        check: |bench| {
            let (parent, small) = smallest(bench)?;
            let whole = uuid(1);
            for data in [
                whole.replace('-', "0"),
                whole.replace('b', "x"),
                "-".repeat(36),
                format!(" {}", &whole[..35]),
            ] {
                bench.refused(&type_file(parent, &small, "create"), &data, Errno::EINVAL)?;
            }
            Ok(())
        },
    },
    Behaviour {
        id: "mdev-create-capitals",
        sentence: "a uuid in capitals makes a device with a name in small letters",
        source: CORE,
        check: |bench| {
            let (parent, small) = smallest(bench)?;
            bench.done(&type_file(parent, &small, "create"), &uuid(1).to_uppercase())?;
            holds(bench.sysfs.exists(&mdev(1)), || "it is not there in small letters".to_owned())
        },
    },
    Behaviour {
        id: "mdev-create-twice",
        sentence: "a uuid that is taken gives EEXIST, for every type",
        source: CORE,
        check: |bench| {
            let (parent, small) = smallest(bench)?;
            bench.done(&type_file(parent, &small, "create"), &uuid(1))?;
            for id in types(bench, parent)? {
                bench.refused(&type_file(parent, &id, "create"), &uuid(1), Errno::EEXIST)?;
            }
            Ok(())
        },
    },
    Behaviour {
        id: "mdev-create-exhausted",
        sentence: "when nothing is left, create gives the driver's errno (ENOSPC), and a taken uuid still EEXIST",
        source: "drivers/vfio/mdev/mdev_driver.c: mdev_probe",
        check: |bench| {
            let (parent, small) = smallest(bench)?;
            let fill = fill(bench, parent, &small)?;
            bench.refused(&type_file(parent, &small, "create"), &uuid(fill + 1), Errno::ENOSPC)?;
            bench.refused(&type_file(parent, &small, "create"), &uuid(1), Errno::EEXIST)?;
            holds(!bench.sysfs.exists(&mdev(fill + 1)), || "a device is left of the refused one".to_owned())
        },
    },
    Behaviour {
        id: "mdev-capacity-is-shared",
        sentence: "creating a device of one type lowers what is left of the others",
        source: "drivers/vfio/mdev/mdev_sysfs.c: available_instances_show",
        check: |bench| {
            let (parent, small) = smallest(bench)?;
            let left = || -> Result<Vec<u64>, Stop> {
                let left = |id: &String| bench.number(&type_file(parent, id, "available_instances"));
                types(bench, parent)?.iter().map(left).collect()
            };
            let before = left()?;
            bench.done(&type_file(parent, &small, "create"), &uuid(1))?;
            let after = left()?;
            let lower = before.iter().zip(&after).filter(|(before, after)| after < before).count();
            let higher = before.iter().zip(&after).any(|(before, after)| after > before);
            holds(lower > 1 && !higher, || format!("{before:?} became {after:?}"))?;
            bench.done(&format!("{}/remove", mdev(1)), "1")?;
            same("what is left after removal", &left()?, &before)
        },
    },
    Behaviour {
        id: "mdev-links",
        sentence: "a device is a folder of its parent, linked from the bus and from its type, with mdev_type leading back",
        source: "drivers/vfio/mdev/mdev_sysfs.c: mdev_create_sysfs_files",
        check: |bench| {
            let (parent, small) = smallest(bench)?;
            bench.done(&type_file(parent, &small, "create"), &uuid(1))?;
            same(
                "mdev_type",
                &link(bench, &format!("{}/mdev_type", mdev(1)))?,
                &format!("../mdev_supported_types/{small}"),
            )?;
            same("the type's list", &bench.names(&type_file(parent, &small, "devices")), &vec![uuid(1)])?;
            let target = link(bench, &mdev(1))?;
            let inside = format!("/{parent}/{}", uuid(1));
            holds(target.ends_with(&inside), || format!("it is at {target}"))?;
            holds(bench.sysfs.exists(&file(parent, &uuid(1))), || "the parent has no such folder".to_owned())
        },
    },
    Behaviour {
        id: "mdev-driver",
        sentence: "a device is bound to a driver of the mdev bus when create returns",
        source: CORE,
        check: |bench| {
            let (parent, small) = smallest(bench)?;
            bench.done(&type_file(parent, &small, "create"), &uuid(1))?;
            let driver = link(bench, &format!("{}/driver", mdev(1)))?;
            holds(driver.contains("/bus/mdev/drivers/"), || format!("its driver link is {driver}"))
        },
    },
    Behaviour {
        id: "mdev-group",
        sentence: "a device is alone in a group named vfio-noiommu of type unknown, with a node below /dev/vfio",
        source: "drivers/vfio/group.c: vfio_noiommu_group_alloc",
        check: |bench| {
            let (parent, small) = smallest(bench)?;
            bench.done(&type_file(parent, &small, "create"), &uuid(1))?;
            let group = link(bench, &format!("{}/iommu_group", mdev(1)))?;
            let group = group.rsplit('/').next().unwrap_or_default();
            same("its members", &bench.names(&format!("{GROUPS}/{group}/devices")), &vec![uuid(1)])?;
            same("its name", &bench.text(&format!("{GROUPS}/{group}/name"))?.as_str(), &"vfio-noiommu\n")?;
            same("its type", &bench.text(&format!("{GROUPS}/{group}/type"))?.as_str(), &"unknown\n")?;
            let number = bench.sysfs.device_number(&format!("/dev/vfio/{group}"));
            holds(matches!(number, Ok(Some(_))), || format!("/dev/vfio/{group} is {number:?}"))
        },
    },
    Behaviour {
        id: "mdev-remove",
        sentence: "a number other than 0 removes the device, with its links and its group, before the write returns",
        source: REMOVE,
        check: |bench| {
            let (parent, small) = smallest(bench)?;
            bench.done(&type_file(parent, &small, "create"), &uuid(1))?;
            let group = link(bench, &format!("{}/iommu_group", mdev(1)))?;
            let group = group.rsplit('/').next().unwrap_or_default().to_owned();
            bench.done(&format!("{}/remove", mdev(1)), "2\n")?;
            for path in
                [mdev(1), file(parent, &uuid(1)), format!("{GROUPS}/{group}"), format!("/dev/vfio/{group}")]
            {
                holds(!bench.sysfs.exists(&path), || format!("{path} is still there"))?;
            }
            same("the type's list", &bench.names(&type_file(parent, &small, "devices")), &Vec::new())
        },
    },
    Behaviour {
        id: "mdev-remove-twice",
        sentence: "removing a device that is gone gives ENOENT, for its file is gone",
        source: REMOVE,
        check: |bench| {
            let (parent, small) = smallest(bench)?;
            bench.done(&type_file(parent, &small, "create"), &uuid(1))?;
            bench.done(&format!("{}/remove", mdev(1)), "1")?;
            bench.refused(&format!("{}/remove", mdev(1)), "1", Errno::ENOENT)
        },
    },
    Behaviour {
        id: "mdev-remove-garbage",
        sentence: "remove takes a number, and nothing else: EINVAL; 0 succeeds and removes nothing",
        source: REMOVE,
        check: |bench| {
            let (parent, small) = smallest(bench)?;
            bench.done(&type_file(parent, &small, "create"), &uuid(1))?;
            for data in ["x", "1x", " 1", "-1", "\n"] {
                bench.refused(&format!("{}/remove", mdev(1)), data, Errno::EINVAL)?;
            }
            for data in ["0", "0\n", "0x0"] {
                bench.done(&format!("{}/remove", mdev(1)), data)?;
            }
            holds(bench.sysfs.exists(&mdev(1)), || "it was removed".to_owned())
        },
    },
    Behaviour {
        id: "mdev-uuid-is-free-again",
        sentence: "the uuid of a removed device can be used again, for another type too",
        source: CORE,
        check: |bench| {
            let (parent, small) = smallest(bench)?;
            let other = types(bench, parent)?.into_iter().find(|id| *id != small);
            let other = other.ok_or_else(|| Stop::NotRun("the parent has one type only".to_owned()))?;
            bench.done(&type_file(parent, &small, "create"), &uuid(1))?;
            bench.done(&format!("{}/remove", mdev(1)), "1")?;
            bench.done(&type_file(parent, &other, "create"), &uuid(1))?;
            same(
                "mdev_type",
                &link(bench, &format!("{}/mdev_type", mdev(1)))?,
                &format!("../mdev_supported_types/{other}"),
            )
        },
    },
    Behaviour {
        id: "mdev-file-modes",
        sentence: "create can't be read and available_instances can't be written: EACCES, for root too",
        source: "fs/kernfs/file.c: kernfs_fop_open",
        check: |bench| {
            let (parent, small) = smallest(bench)?;
            bench.unreadable(&type_file(parent, &small, "create"), Errno::EACCES)?;
            bench.refused(&type_file(parent, &small, "available_instances"), "9", Errno::EACCES)
        },
    },
    Behaviour {
        id: "mdev-goes-with-its-parents-driver",
        sentence: "unbinding the parent removes its idle devices, its types and its link; binding brings the types back",
        source: "drivers/vfio/mdev/mdev_core.c: mdev_unregister_parent",
        check: |bench| {
            let (parent, small) = smallest(bench)?;
            let driver = bench.native(parent)?;
            let left = bench.number(&type_file(parent, &small, "available_instances"))?;
            bench.done(&type_file(parent, &small, "create"), &uuid(1))?;
            bench.unbind(parent)?;
            let gone =
                [mdev(1), file(parent, "mdev_supported_types"), format!("/sys/class/mdev_bus/{parent}")];
            for path in &gone {
                holds(!bench.sysfs.exists(path), || format!("{path} is still there"))?;
            }
            bench.done(&driver_file(&driver, "bind"), &parent.to_string())?;
            same("what is left", &bench.number(&type_file(parent, &small, "available_instances"))?, &left)?;
            holds(!bench.sysfs.exists(&mdev(1)), || "the device came back".to_owned())
        },
    },
];

fn mdev(number: u32) -> String {
    format!("/sys/bus/mdev/devices/{}", uuid(number))
}

fn type_file(parent: PciAddress, id: &str, name: &str) -> String {
    format!("/sys/class/mdev_bus/{parent}/mdev_supported_types/{id}/{name}")
}

fn types(bench: &Bench<'_>, parent: PciAddress) -> Result<Vec<String>, Stop> {
    let path = format!("/sys/class/mdev_bus/{parent}/mdev_supported_types");
    bench.sysfs.list(&path).map_err(|error| failed(format!("listing {path}: {error}")))
}

/// The parent, and the type of which most fit; the parent must be empty.
fn smallest(bench: &Bench<'_>) -> Result<(PciAddress, String), Stop> {
    let parent = bench.mdev()?;
    let mut best: Option<(u64, String)> = None;
    for id in types(bench, parent)? {
        let left = bench.number(&type_file(parent, &id, "available_instances"))?;
        if best.as_ref().is_none_or(|(most, _)| left > *most) {
            best = Some((left, id));
        }
    }
    match best {
        Some((left, id)) if left >= 3 => Ok((parent, id)),
        _ => Err(Stop::NotRun(format!("{parent} has no type with three instances left"))),
    }
}

/// Creates devices until none is left, and returns how many.
fn fill(bench: &Bench<'_>, parent: PciAddress, id: &str) -> Result<u32, Stop> {
    let left = bench.number(&type_file(parent, id, "available_instances"))?;
    let left = u32::try_from(left).map_err(|_| Stop::NotRun("too many fit".to_owned()))?;
    for number in 1..=left {
        bench.done(&type_file(parent, id, "create"), &uuid(number))?;
    }
    let done: Check =
        same("available_instances", &bench.number(&type_file(parent, id, "available_instances"))?, &0);
    done.map(|()| left)
}

fn link(bench: &Bench<'_>, path: &str) -> Result<String, Stop> {
    bench.sysfs.read_link(path).map_err(|error| failed(format!("{path}: {error}")))
}
