//! IOMMU groups: membership and type.

use nix::errno::Errno;

use crate::behaviour::Behaviour;
use crate::bench::{GROUPS, file, holds, same};

pub(crate) const BEHAVIOURS: &[Behaviour] = &[
    Behaviour {
        id: "group-lists-its-members",
        sentence: "a function is listed in the group that its iommu_group link names, as a link to the same folder",
        source: "drivers/iommu/iommu.c: iommu_group_add_device",
        check: |bench| {
            for function in bench.testbed.functions() {
                let group = bench.group(function)?;
                let member = format!("{GROUPS}/{group}/devices/{function}");
                let identity = bench.text(&file(function, "uevent"))?;
                same("the member's uevent", &bench.text(&format!("{member}/uevent"))?, &identity)?;
            }
            Ok(())
        },
    },
    Behaviour {
        id: "group-of-one",
        sentence: "a function alone behind its own root port is alone in its group",
        source: "drivers/iommu/iommu.c: pci_device_group",
        check: |bench| {
            let function = bench.plain()?;
            let names = bench.names(&format!("{GROUPS}/{}/devices", bench.group(function)?));
            same("the members", &names, &vec![function.to_string()])
        },
    },
    Behaviour {
        id: "group-of-a-card",
        sentence: "functions of one slot without isolation between them share a group",
        source: "drivers/iommu/iommu.c: get_pci_function_alias_group",
        check: |bench| {
            let (gpu, audio) = bench.multi()?;
            same("the audio function's group", &bench.group(audio)?, &bench.group(gpu)?)
        },
    },
    Behaviour {
        id: "group-behind-a-bridge",
        sentence: "all functions behind a conventional PCI bridge share a group",
        source: "drivers/iommu/iommu.c: pci_device_group",
        check: |bench| {
            let (gpu, other) = bench.dirty()?;
            same("the other function's group", &bench.group(other)?, &bench.group(gpu)?)
        },
    },
    Behaviour {
        id: "group-type-known",
        sentence: "a group's type is DMA, DMA-FQ, identity, blocked, unmanaged or unknown",
        source: "drivers/iommu/iommu.c: iommu_group_show_type",
        check: |bench| {
            let text = bench.text(&format!("{GROUPS}/{}/type", bench.group(bench.plain()?)?))?;
            let known = ["DMA\n", "DMA-FQ\n", "identity\n", "blocked\n", "unmanaged\n", "unknown\n"];
            holds(known.contains(&text.as_str()), || format!("the type is {text:?}"))
        },
    },
    Behaviour {
        id: "group-type-refuses-others",
        sentence: "a group's type takes no word that is none: EINVAL",
        source: "drivers/iommu/iommu.c: iommu_group_store_type",
        check: |bench| {
            let path = format!("{GROUPS}/{}/type", bench.group(bench.plain()?)?);
            bench.refused(&path, "fastest", Errno::EINVAL)
        },
    },
];
