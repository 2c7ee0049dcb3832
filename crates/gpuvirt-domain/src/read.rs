//! A domain's XML as far as GPUs are concerned: its host devices, and what of its guest PCI topology is taken.
//!
//! First step of every listing and every edit. It reads what libvirt understands, no more: elements without a
//! namespace, numbers as C writes them.

use std::collections::BTreeSet;

use gpuvirt_model::{Guest, Hostdev, PciAddress, Requests};
use roxmltree::{Document, Node, ParsingOptions};
use uuid::Uuid;

use crate::{XmlError, guest, limits, request};

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

/// Parses within bounds, without DTD.
pub(crate) fn parse(xml: &str) -> Result<Document<'_>, XmlError> {
    limits::check(xml)?;
    let options =
        ParsingOptions { allow_dtd: false, nodes_limit: limits::MAX_NODES, ..ParsingOptions::default() };
    Document::parse_with_options(xml, options).map_err(|error| match error {
        roxmltree::Error::DtdDetected => XmlError::Dtd,
        roxmltree::Error::NodesLimitReached => {
            XmlError::Absurd { what: "nodes", limit: limits::MAX_NODES as usize }
        }
        other => XmlError::Malformed { line: other.pos().row, column: other.pos().col },
    })
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

/// The elements below `<devices>`.
pub(crate) fn devices<'a, 'i>(root: &Node<'a, 'i>) -> impl Iterator<Item = Node<'a, 'i>> + use<'a, 'i> {
    let lists = root.children().filter(|node| is(node, "devices"));
    lists.flat_map(|list| list.children()).filter(Node::is_element)
}

/// The host device that an element gives to the guest, if it is one that can be a GPU's function or a vGPU.
pub(crate) fn hostdev(device: &Node<'_, '_>) -> Result<Option<Hostdev>, XmlError> {
    let kind = device.attribute("type");
    let pci = |address: Node<'_, '_>, managed: &Node<'_, '_>| {
        let address = host_address(&address).ok_or_else(|| bad(device, "host address"))?;
        Ok(Some(Hostdev::Pci { address, managed: managed.attribute("managed") == Some("yes") }))
    };
    let Some(source) = child(device, "source") else { return Ok(None) };
    let address = child(&source, "address").ok_or_else(|| bad(device, "host address"));
    match (device.tag_name().name(), kind) {
        ("hostdev", Some("pci")) if mode_is_subsystem(device) => pci(address?, device),
        ("hostdev", Some("mdev")) if mode_is_subsystem(device) => {
            let uuid = address?.attribute("uuid").and_then(|uuid| Uuid::parse_str(uuid.trim()).ok());
            uuid.map(|uuid| Some(Hostdev::Mdev { uuid })).ok_or_else(|| bad(device, "host address"))
        }
        // A network device's address may be a USB one.
        ("interface", Some("hostdev")) if address.as_ref().is_ok_and(is_pci_address) => pci(address?, device),
        ("disk", Some("nvme")) => pci(address?, &source),
        _ => Ok(None),
    }
}

fn mode_is_subsystem(device: &Node<'_, '_>) -> bool {
    device.attribute("mode").is_none_or(|mode| mode == "subsystem")
}

fn is_pci_address(address: &Node<'_, '_>) -> bool {
    address.attribute("type").is_none_or(|kind| kind == "pci")
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

/// The alias that a device has.
pub(crate) fn alias<'a>(device: &Node<'a, '_>) -> Option<&'a str> {
    child(device, "alias").and_then(|alias| alias.attribute("name"))
}

fn host_address(address: &Node<'_, '_>) -> Option<PciAddress> {
    let part = |name| address.attribute(name).map_or(Some(0), number::<u8>);
    let found = PciAddress {
        domain: address.attribute("domain").map_or(Some(0), number)?,
        bus: part("bus")?,
        slot: part("slot")?,
        function: part("function")?,
    };
    // Without bus, slot and function it names nothing.
    (address.has_attribute("bus") && found.slot < 32 && found.function < 8).then_some(found)
}

/// A number as C's `strtoul` reads it with base 0, which is how libvirt reads addresses: `0x1f`, `037`, `31`.
fn number<T: TryFrom<u32>>(text: &str) -> Option<T> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => (hex, 16),
        None if text.len() > 1 && text.starts_with('0') => (text, 8),
        None => (text, 10),
    };
    let plain = digits.bytes().all(|byte| byte.is_ascii_alphanumeric());
    plain.then(|| u32::from_str_radix(digits, radix).ok()).flatten().and_then(|n| T::try_from(n).ok())
}

/// An element that libvirt would take for `name`: of no namespace.
pub(crate) fn is(node: &Node<'_, '_>, name: &str) -> bool {
    node.is_element() && node.tag_name().namespace().is_none() && node.tag_name().name() == name
}

pub(crate) fn child<'a, 'i>(parent: &Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    parent.children().find(|node| is(node, name))
}

/// All text of an element, CDATA included, comments not.
pub(crate) fn text(node: &Node<'_, '_>) -> String {
    node.descendants().filter(Node::is_text).filter_map(|part| part.text()).collect()
}

fn bad(device: &Node<'_, '_>, what: &'static str) -> XmlError {
    XmlError::BadDevice { element: device.tag_name().name().to_owned(), what }
}
