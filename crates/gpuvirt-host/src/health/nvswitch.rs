//! NVIDIA's NVSwitches, and the service that sets them up.

use std::collections::BTreeSet;

use gpuvirt_model::health::NvswitchHealth;
use gpuvirt_model::{ClassCode, Fact, PciAddress};

use super::reader::Reader;
use crate::parse::pci;
use crate::paths;

const NVIDIA: u16 = 0x10de;
/// A bridge of no class of its own, which is what an NVSwitch says that it is.
const OTHER_BRIDGE: u16 = 0x0680;

pub(super) fn read(reader: Reader<'_>) -> NvswitchHealth {
    let names: Fact<Vec<String>> = Reader::understood(reader.list(paths::PCI_DEVICES));
    let present: Fact<BTreeSet<PciAddress>> =
        names.map(|names| names.iter().filter_map(|name| PciAddress::parse(name).ok()).collect());
    let switches = present
        .clone()
        .map(|addresses| addresses.into_iter().filter(|address| is_switch(reader, *address)).collect());
    NvswitchHealth { present, switches, fabric_manager: reader.presence(paths::FABRIC_MANAGER) }
}

fn is_switch(reader: Reader<'_>, address: PciAddress) -> bool {
    let text = |name| reader.files.text(&paths::function_file(address, name)).unwrap_or_default();
    let class = pci::class(&text("class"));
    class.is_some_and(|class: ClassCode| class.base_and_sub() == OTHER_BRIDGE)
        && pci::id(&text("vendor")) == Some(NVIDIA)
}
