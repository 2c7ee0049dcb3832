//! The elements of a domain as libvirt understands them: of no namespace, with numbers as C writes them.
//!
//! Ground of everything that reads a document; it knows single elements, not what a domain is made of.

use gpuvirt_model::{Hostdev, PciAddress};
use roxmltree::{Document, Node, ParsingOptions};
use uuid::Uuid;

use crate::{XmlError, limits};

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
pub(crate) fn number<T: TryFrom<u32>>(text: &str) -> Option<T> {
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

pub(crate) fn bad(device: &Node<'_, '_>, what: &'static str) -> XmlError {
    XmlError::BadDevice { element: device.tag_name().name().to_owned(), what }
}
