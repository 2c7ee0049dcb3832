//! Leaves the host as it was found: what each behaviour changed is put back, and what can't be is reported.

use std::collections::BTreeMap;

use gpuvirt_model::PciAddress;

use crate::bench::{Bench, DEVICES, PROBE, driver_file, file};
use crate::mdev::UUID_PREFIX;

/// A virtual function's vGPU type.
const VGPU_TYPE: &str = "nvidia/current_vgpu_type";

/// How the testbed stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    functions: BTreeMap<PciAddress, Function>,
    mdevs: Vec<String>,
    types: BTreeMap<PciAddress, Option<String>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Function {
    exists: bool,
    driver: Option<String>,
    driver_override: Option<String>,
    numvfs: Option<String>,
    autoprobe: Option<String>,
    power: Option<String>,
}

impl Standing {
    /// How it stands now.
    pub(crate) fn now(bench: &Bench<'_>) -> Self {
        let functions = bench.testbed.functions().into_iter().map(|f| (f, Function::now(bench, f))).collect();
        let mut mdevs = bench.names("/sys/bus/mdev/devices");
        mdevs.sort();
        let vfs = bench.typed().unwrap_or_default();
        let types = vfs.into_iter().map(|vf| (vf, bench.text(&file(vf, VGPU_TYPE)).ok())).collect();
        Self { functions, mdevs, types }
    }

    /// Puts everything back. What then still differs is said.
    pub(crate) fn restore(&self, bench: &Bench<'_>) -> Option<String> {
        for uuid in bench.names("/sys/bus/mdev/devices") {
            // Only our own: whatever else appeared meanwhile is somebody's.
            if uuid.starts_with(UUID_PREFIX) && !self.mdevs.contains(&uuid) {
                let _ = bench.sysfs.write(&format!("/sys/bus/mdev/devices/{uuid}/remove"), b"1");
            }
        }
        for (vf, was) in Self::now(bench).types {
            if self.types.get(&vf) != Some(&was) {
                let _ = bench.sysfs.write(&file(vf, VGPU_TYPE), b"0");
            }
        }
        let gone =
            self.functions.keys().any(|function| !bench.sysfs.exists(&format!("{DEVICES}/{function}")));
        if gone {
            let _ = bench.sysfs.write("/sys/bus/pci/rescan", b"1");
        }
        for (function, was) in &self.functions {
            was.restore(bench, *function);
        }
        let now = Self::now(bench);
        let differ = self.functions.iter().find(|(function, was)| now.functions.get(function) != Some(was));
        differ
            .map(|(function, was)| format!("{function} was {was:?} and is {:?}", now.functions.get(function)))
            .or_else(|| (now.types != self.types).then(|| format!("vGPU types are {:?}", now.types)))
            .or_else(|| (now.mdevs != self.mdevs).then(|| format!("mediated devices are {:?}", now.mdevs)))
    }
}

impl Function {
    fn now(bench: &Bench<'_>, function: PciAddress) -> Self {
        let text = |name: &str| bench.text(&file(function, name)).ok();
        Self {
            exists: bench.sysfs.exists(&format!("{DEVICES}/{function}")),
            driver: bench.driver(function),
            driver_override: text("driver_override"),
            numvfs: text("sriov_numvfs"),
            autoprobe: text("sriov_drivers_autoprobe"),
            power: text("power/control"),
        }
    }

    fn restore(&self, bench: &Bench<'_>, function: PciAddress) {
        let write = |path: &str, data: &str| drop(bench.sysfs.write(path, data.as_bytes()));
        let now = Self::now(bench, function);
        if now == *self {
            return;
        }
        if now.numvfs != self.numvfs {
            write(&file(function, "sriov_numvfs"), "0");
        }
        if let Some(autoprobe) = self.autoprobe.as_deref().filter(|_| now.autoprobe != self.autoprobe) {
            write(&file(function, "sriov_drivers_autoprobe"), autoprobe);
        }
        let text = self.driver_override.as_deref().filter(|text| *text != "(null)\n").unwrap_or("\n");
        write(&file(function, "driver_override"), text);
        if now.driver != self.driver {
            write(&file(function, "driver/unbind"), &function.to_string());
            // Without a driver it was, so without one it stays.
            if let Some(driver) = &self.driver {
                write(&driver_file(driver, "bind"), &function.to_string());
            }
            if bench.driver(function) != self.driver && self.driver.is_some() {
                write(PROBE, &function.to_string());
            }
        }
        if let Some(numvfs) =
            self.numvfs.as_deref().filter(|count| *count != "0\n" && now.numvfs != self.numvfs)
        {
            write(&file(function, "sriov_numvfs"), numvfs);
        }
        // Last: VFIO sets it too when it leaves the function.
        if let Some(control) =
            self.power.as_deref().filter(|_| Self::now(bench, function).power != self.power)
        {
            write(&file(function, "power/control"), control);
        }
    }
}
