//! A domain's XML as far as GPUs are concerned: its host devices, and what of its guest PCI topology is taken.
//!
//! First step of every listing and every edit. It reads what libvirt understands, no more.

use std::collections::BTreeSet;

use gpuvirt_model::{Guest, Hostdev, Requests};
use roxmltree::{Document, Node};
use uuid::Uuid;

use crate::node::{alias, bad, child, devices, hostdev, is, number, parse, text};
use crate::{XmlError, guest, request};

/// What all our aliases begin with. libvirt keeps aliases beginning with `ua-` as users wrote them.
pub(crate) const ALIAS_PREFIX: &str = "ua-gpuvirt-";
/// What the aliases of our root ports begin with.
pub(crate) const PORT_ALIAS_PREFIX: &str = "ua-gpuvirt-port-";

/// A domain's definition, live or stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainXml {
    /// Its name.
    pub name: String,
    /// Its uuid; none in a document that was never defined.
    pub uuid: Option<Uuid>,
    /// Whether it describes a running domain: libvirt gives those an `id`.
    pub running: bool,
    /// Machine type as written, e.g. `pc-q35-10.0`; empty when it leaves the choice to libvirt.
    pub machine: String,
    /// How the guest's PCI bus is built.
    pub topology: PciTopology,
    /// Host PCI functions and mediated devices that it has, in document order. PCI functions given by way of
    /// `<interface type='hostdev'>` and `<disk type='nvme'>` count: their groups are taken all the same.
    pub hostdevs: Vec<Hostdev>,
    /// Guest PCI addresses that devices and controllers name.
    pub used: BTreeSet<GuestAddress>,
    /// PCI controllers.
    pub controllers: Vec<PciController>,
    /// Aliases in use.
    pub aliases: BTreeSet<String>,
    /// Its memory and an IOMMU of its own.
    pub guest: Guest,
    /// What it asks for, in its metadata.
    pub requests: Requests,
    /// Each of `hostdevs` with its alias.
    pub(crate) device_aliases: Vec<(Hostdev, Option<String>)>,
}

/// How a guest's PCI bus is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PciTopology {
    /// PCI Express (q35): a device goes behind a root port.
    Express,
    /// Conventional (i440fx): a device goes into a slot of a bus.
    Conventional,
    /// None that we know.
    Unknown,
}

/// A PCI address in the guest. Its domain is always 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GuestAddress {
    /// Bus: the index of the controller behind which the device sits.
    pub bus: u8,
    /// Slot, 0 to 31.
    pub slot: u8,
    /// Function, 0 to 7.
    pub function: u8,
}

/// A PCI controller of the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PciController {
    /// The number of the bus behind it; none when libvirt is to choose.
    pub index: Option<u8>,
    /// libvirt's model: `pcie-root`, `pcie-root-port`, `pci-bridge`, ...
    pub model: String,
    /// Its alias, if it has one.
    pub alias: Option<String>,
}

/// Reads a domain's XML.
///
/// # Errors
/// [`XmlError`] for anything that is no well-formed domain with a name, or too big to be one.
pub fn read(xml: &str) -> Result<DomainXml, XmlError> {
    read_document(&parse(xml)?)
}

pub(crate) fn read_document(document: &Document<'_>) -> Result<DomainXml, XmlError> {
    let root = document.root_element();
    if !is(&root, "domain") {
        return Err(XmlError::NotADomain);
    }
    let name = child(&root, "name").map(|node| text(&node)).filter(|name| !name.trim().is_empty());
    let uuid = child(&root, "uuid")
        .map(|node| Uuid::parse_str(text(&node).trim()).map_err(|_| XmlError::Missing { element: "uuid" }))
        .transpose()?;
    let machine = child(&root, "os")
        .and_then(|os| child(&os, "type"))
        .and_then(|kind| kind.attribute("machine").map(str::to_owned))
        .unwrap_or_default();
    let mut domain = DomainXml {
        name: name.ok_or(XmlError::Missing { element: "name" })?,
        uuid,
        running: root.has_attribute("id"),
        machine,
        topology: PciTopology::Unknown,
        hostdevs: Vec::new(),
        used: BTreeSet::new(),
        controllers: Vec::new(),
        aliases: BTreeSet::new(),
        guest: guest::guest(&root),
        requests: request::requests(&root),
        device_aliases: Vec::new(),
    };
    for device in devices(&root) {
        domain.take(&device)?;
    }
    domain.topology = topology(&domain.machine, &domain.controllers);
    Ok(domain)
}

impl DomainXml {
    /// The alias of a hostdev that gives the guest this device; of the first one, in document order.
    pub fn alias_of(&self, device: &Hostdev) -> Option<&str> {
        let named = self.device_aliases.iter();
        named.filter(|(hostdev, _)| hostdev.same_device(device)).find_map(|(_, alias)| alias.as_deref())
    }

    /// Adds what one device says.
    fn take(&mut self, device: &Node<'_, '_>) -> Result<(), XmlError> {
        if let Some(hostdev) = hostdev(device)? {
            self.device_aliases.push((hostdev.clone(), alias(device).map(str::to_owned)));
            self.hostdevs.push(hostdev);
        }
        self.used.extend(guest_address(device)?);
        self.aliases.extend(alias(device).map(str::to_owned));
        if is(device, "controller") && device.attribute("type") == Some("pci") {
            let index =
                device.attribute("index").map(|index| number(index).ok_or_else(|| bad(device, "index")));
            self.controllers.push(PciController {
                index: index.transpose()?,
                model: device.attribute("model").unwrap_or_default().to_owned(),
                alias: alias(device).map(str::to_owned),
            });
        }
        Ok(())
    }

    /// Whether a controller or a device claims this bus.
    pub(crate) fn bus_taken(&self, bus: u8) -> bool {
        self.controllers.iter().any(|controller| controller.index == Some(bus)) || self.bus_occupied(bus)
    }

    /// Whether a device sits on this bus.
    pub(crate) fn bus_occupied(&self, bus: u8) -> bool {
        self.used.iter().any(|address| address.bus == bus)
    }
}

/// Controller 0 is the root of the guest's PCI; a document that leaves it to libvirt has only a machine type.
fn topology(machine: &str, controllers: &[PciController]) -> PciTopology {
    let root = controllers.iter().find(|controller| controller.index == Some(0));
    match root.map(|root| root.model.as_str()) {
        Some("pcie-root") => PciTopology::Express,
        Some("pci-root") => PciTopology::Conventional,
        _ if machine == "q35" || machine.contains("-q35-") => PciTopology::Express,
        _ if machine == "pc" || machine.starts_with("pc-i440fx") => PciTopology::Conventional,
        _ => PciTopology::Unknown,
    }
}

/// The PCI address that a device has in the guest. libvirt takes an all-zero address for "choose one".
pub(crate) fn guest_address(device: &Node<'_, '_>) -> Result<Option<GuestAddress>, XmlError> {
    let Some(address) = child(device, "address").filter(|node| node.attribute("type") == Some("pci")) else {
        return Ok(None);
    };
    let part = |name| {
        let text = address.attribute(name);
        text.map_or(Some(0), number::<u8>).ok_or_else(|| bad(device, "guest address"))
    };
    let found = GuestAddress { bus: part("bus")?, slot: part("slot")?, function: part("function")? };
    Ok((found != GuestAddress { bus: 0, slot: 0, function: 0 }).then_some(found))
}
