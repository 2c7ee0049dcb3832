//! Functions of GPUs: what is upstream of them.

use std::collections::BTreeMap;
use std::time::Duration;

use gpuvirt_model::health::{FunctionHealth, Port, ResizableBar};
use gpuvirt_model::{PciAddress, Reading, Unknown};

use super::reader::Reader;
use crate::parse::{capability, pci, pci_resource};
use crate::paths;

/// All of a PCI Express function's config space.
const CONFIG: usize = 4096;
/// Longest wait for it: a bridge that is awake answers at once.
const CONFIG_DEADLINE: Duration = Duration::from_secs(5);

pub(super) fn read(
    reader: Reader<'_>,
    functions: impl IntoIterator<Item = PciAddress>,
) -> BTreeMap<PciAddress, FunctionHealth> {
    functions.into_iter().map(|address| (address, function(reader, address))).collect()
}

fn function(reader: Reader<'_>, address: PciAddress) -> FunctionHealth {
    let text = |name: &str| reader.files.text(&paths::function_file(address, name)).ok();
    FunctionHealth {
        upstream: upstream(reader, address),
        runtime_status: text("power/runtime_status").map(|text| text.trim().to_owned()),
        d3cold_allowed: text("d3cold_allowed").and_then(|text| pci::flag(&text)),
        unassigned_bars: text("resource").map(|text| pci_resource::unassigned(&text)).unwrap_or_default(),
        resizable_bars: resizable(reader, address),
        rom: reader.files.sysfs.exists(&paths::function_file(address, "rom")),
    }
}

/// The windows whose size can be chosen. Reading a list of sizes resumes the card (`pci_config_pm_runtime_get` in the
/// kernel's pci-sysfs.c): one that sleeps is left to.
fn resizable(reader: Reader<'_>, address: PciAddress) -> Vec<ResizableBar> {
    let text = |name: &str| reader.files.text(&paths::function_file(address, name)).ok();
    if text("power_state").is_none_or(|state| state.trim() != "D0") {
        return Vec::new();
    }
    let window = |index: u8| {
        let largest = pci_resource::largest(&text(&format!("resource{index}_resize"))?)?;
        Some(ResizableBar { index, largest })
    };
    (0..6).filter_map(window).collect()
}

/// The bridges on the way to a function, from the link that leads to its device.
fn upstream(reader: Reader<'_>, address: PciAddress) -> Vec<Port> {
    let target = reader.files.sysfs.read_link(&paths::function(address)).unwrap_or_default();
    let on_the_way = target.split('/').filter_map(|part| PciAddress::parse(part).ok());
    on_the_way.filter(|bridge| *bridge != address).map(|bridge| port(reader, bridge)).collect()
}

fn port(reader: Reader<'_>, address: PciAddress) -> Port {
    let state = reader.files.text(&paths::function_file(address, "power_state")).unwrap_or_default();
    let acs = if state.trim() == "D0" {
        let path = paths::function_file(address, "config");
        let config = reader.files.sysfs.read_that_may_block(&path, CONFIG, CONFIG_DEADLINE);
        match config.map(|config| (capability::acs(&config), config.len())) {
            Ok((Some(acs), _)) => Reading::Known(acs),
            // The kernel shows others the first 64 bytes.
            Ok((None, 64)) => Reading::Unknown(Unknown::NeedsRoot),
            Ok((None, _)) => Reading::Unknown(Unknown::NotRecorded),
            Err(error) => Reading::Unknown(Unknown::Unreadable { what: error.to_string() }),
        }
    } else {
        // Reading config space would wake it.
        Reading::Unknown(Unknown::Unreadable { what: "the bridge sleeps".to_owned() })
    };
    Port { address, acs }
}
