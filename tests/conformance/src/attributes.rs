//! What functions show: formats to the byte, and what can't be written or read.

use gpuvirt_model::PciAddress;
use nix::errno::Errno;

use crate::behaviour::Behaviour;
use crate::bench::{Bench, PROBE, Stop, driver_file, failed, file, holds, same};

const PCI_SYSFS: &str = "drivers/pci/pci-sysfs.c";

pub(crate) const BEHAVIOURS: &[Behaviour] = &[
    Behaviour {
        id: "identity-format",
        sentence: "vendor, device and subsystem files hold 0x and four hexadecimal digits, class 0x and six",
        source: PCI_SYSFS,
        check: |bench| {
            for function in bench.testbed.functions() {
                for (name, digits) in [
                    ("vendor", 4),
                    ("device", 4),
                    ("subsystem_vendor", 4),
                    ("subsystem_device", 4),
                    ("class", 6),
                ] {
                    id(bench, function, name, digits)?;
                }
            }
            Ok(())
        },
    },
    Behaviour {
        id: "resource-format",
        sentence: "resource holds a line of start, end and flags for each region, sixteen hexadecimal digits each",
        source: "drivers/pci/pci-sysfs.c: resource_show",
        check: |bench| {
            let path = file(bench.plain()?, "resource");
            let text = bench.text(&path)?;
            let sound = |field: &str| field.len() == 18 && field.starts_with("0x");
            let line = |line: &str| line.split(' ').count() == 3 && line.split(' ').all(sound);
            holds(text.lines().count() >= 7 && text.lines().all(line), || format!("{path} holds {text:?}"))
        },
    },
    Behaviour {
        id: "modalias-format",
        sentence: "modalias is made of the identity files, in upper-case digits but for the programming interface",
        source: "drivers/pci/pci-sysfs.c: modalias_show",
        check: |bench| {
            let function = bench.plain()?;
            let hex = |name: &str, digits| id(bench, function, name, digits);
            let class = hex("class", 6)?;
            let want = format!(
                "pci:v{:08X}d{:08X}sv{:08X}sd{:08X}bc{:02X}sc{:02X}i{:02x}\n",
                hex("vendor", 4)?,
                hex("device", 4)?,
                hex("subsystem_vendor", 4)?,
                hex("subsystem_device", 4)?,
                class >> 16,
                class >> 8 & 0xff,
                class & 0xff
            );
            same("modalias", &bench.text(&file(function, "modalias"))?, &want)
        },
    },
    Behaviour {
        id: "config-begins-with-ids",
        sentence: "config begins with vendor and device id, little-endian",
        source: "drivers/pci/pci-sysfs.c: pci_read_config",
        check: |bench| {
            let function = bench.plain()?;
            let config = bench.sysfs.read(&file(function, "config"), 4).map_err(|e| failed(e.to_string()))?;
            let (vendor, device) = (id(bench, function, "vendor", 4)?, id(bench, function, "device", 4)?);
            same("config", &config, &(device << 16 | vendor).to_le_bytes().to_vec())
        },
    },
    Behaviour {
        id: "numa-node-format",
        sentence: "numa_node holds a decimal number, -1 for none",
        source: "drivers/pci/pci-sysfs.c: numa_node_show",
        check: |bench| {
            let text = bench.text(&file(bench.plain()?, "numa_node"))?;
            let number = text.strip_suffix('\n').and_then(|text| text.parse::<i32>().ok());
            holds(number.is_some_and(|node| node >= -1), || format!("numa_node holds {text:?}"))
        },
    },
    Behaviour {
        id: "uevent-names-the-slot",
        sentence: "uevent holds PCI_SLOT_NAME with the address, and PCI_ID in upper-case digits",
        source: "drivers/pci/pci-driver.c: pci_uevent",
        check: |bench| {
            let function = bench.plain()?;
            let text = bench.text(&file(function, "uevent"))?;
            let (vendor, device) = (id(bench, function, "vendor", 4)?, id(bench, function, "device", 4)?);
            for line in [format!("PCI_SLOT_NAME={function}"), format!("PCI_ID={vendor:04X}:{device:04X}")] {
                holds(text.lines().any(|have| have == line), || {
                    format!("uevent has no line {line}: {text:?}")
                })?;
            }
            Ok(())
        },
    },
    Behaviour {
        id: "identity-read-only",
        sentence: "a write to an identity file is refused when it is opened: EACCES, for root too",
        source: "fs/kernfs/file.c: kernfs_fop_open",
        check: |bench| {
            for name in ["vendor", "class", "resource", "modalias"] {
                bench.refused(&file(bench.plain()?, name), "1", Errno::EACCES)?;
            }
            Ok(())
        },
    },
    Behaviour {
        id: "write-only-unreadable",
        sentence: "files that can only be written are not opened for reading: EACCES, for root too",
        source: "fs/kernfs/file.c: kernfs_fop_open",
        check: |bench| {
            let function = bench.plain()?;
            let driver = bench.native(function)?;
            for path in [
                driver_file(&driver, "bind"),
                driver_file(&driver, "unbind"),
                PROBE.to_owned(),
                file(function, "remove"),
            ] {
                bench.unreadable(&path, Errno::EACCES)?;
            }
            Ok(())
        },
    },
    Behaviour {
        id: "power-control-values",
        sentence: "power/control takes on and auto, and nothing else: EINVAL",
        source: "drivers/base/power/sysfs.c: control_store",
        check: |bench| {
            let path = file(bench.plain()?, "power/control");
            let before = bench.text(&path)?;
            bench.refused(&path, "sometimes", Errno::EINVAL)?;
            bench.done(&path, "auto\n")?;
            same("power/control", &bench.text(&path)?.as_str(), &"auto\n")?;
            bench.done(&path, "on")?;
            same("power/control", &bench.text(&path)?.as_str(), &"on\n")?;
            bench.done(&path, &before)
        },
    },
    Behaviour {
        id: "reset-takes-one-only",
        sentence: "reset takes the number 1, and nothing else: EINVAL",
        source: "drivers/pci/pci-sysfs.c: reset_store",
        check: |bench| {
            let functions = bench.testbed.functions();
            let with_reset = functions.into_iter().find(|f| bench.sysfs.exists(&file(*f, "reset")));
            let Some(function) = with_reset else {
                return Err(Stop::NotRun("no function of the testbed can be reset".to_owned()));
            };
            for data in ["0", "2", "x"] {
                bench.refused(&file(function, "reset"), data, Errno::EINVAL)?;
            }
            Ok(())
        },
    },
    Behaviour {
        id: "reset-method-names",
        sentence: "reset_method takes the names of methods that the function has, and nothing else: EINVAL",
        source: "drivers/pci/pci.c: reset_method_store",
        check: |bench| {
            let functions = bench.testbed.functions();
            let with_method = functions.into_iter().find(|f| bench.sysfs.exists(&file(*f, "reset_method")));
            let Some(function) = with_method else {
                return Err(Stop::NotRun("no function of the testbed has reset_method".to_owned()));
            };
            let path = file(function, "reset_method");
            let before = bench.text(&path)?;
            bench.refused(&path, "by-magic", Errno::EINVAL)?;
            bench.done(&path, before.trim_end())?;
            same("reset_method", &bench.text(&path)?, &before)
        },
    },
];

/// An identity file's number, its format checked.
fn id(bench: &Bench<'_>, function: PciAddress, name: &str, digits: usize) -> Result<u32, Stop> {
    let path = file(function, name);
    let text = bench.text(&path)?;
    let sound = text.strip_prefix("0x").and_then(|rest| rest.strip_suffix('\n'));
    let sound = sound.filter(|rest| rest.len() == digits && !rest.bytes().any(|b| b.is_ascii_uppercase()));
    sound
        .and_then(|rest| u32::from_str_radix(rest, 16).ok())
        .ok_or_else(|| failed(format!("{path} holds {text:?}")))
}
