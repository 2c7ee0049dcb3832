//! Adding and removing a GPU or a vGPU in a domain's stored definition.
//!
//! Both find out first what is there, so that doing either twice changes nothing, and what somebody else put there
//! is reported instead of doubled or taken away.

use std::collections::BTreeSet;

use gpuvirt_model::{Hostdev, PciAddress};
use roxmltree::{Document, Node};
use uuid::Uuid;

use crate::hostdev::{GpuForGuest, Placement, gpu_elements, mdev_element, port_element, rendered};
use crate::node;
use crate::place::{self, NoPlace, Place};
use crate::read::{self, ALIAS_PREFIX, DomainXml, PORT_ALIAS_PREFIX};
use crate::{XmlError, splice};

/// A device that a guest has or is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Device {
    /// A whole GPU.
    Gpu(GpuForGuest),
    /// A vGPU that is a mediated device.
    Mdev(Uuid),
}

/// What adding did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Added {
    /// The device was added.
    Changed {
        /// The whole document, ready to be defined. It holds the domain's secrets.
        xml: String,
        /// What was added to it, for people.
        fragment: String,
    },
    /// The domain has the device already; nothing to define.
    AlreadyPresent {
        /// Whether all of it bears our aliases; else somebody else put it there.
        ours: bool,
        /// Whether libvirt would bind and unbind its driver (`managed='yes'`): never so as we write it.
        managed: bool,
    },
}

/// What removing did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    /// The device was removed.
    Changed {
        /// The whole document, ready to be defined. It holds the domain's secrets.
        xml: String,
        /// What was removed from it, for people.
        fragment: String,
    },
    /// The domain does not have the device.
    NotPresent,
    /// Somebody else put the device there; it is left.
    NotOurs {
        /// `managed='yes'` on any of it.
        managed: bool,
    },
}

/// Why a definition can't be edited.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// It can't be read.
    #[error("the definition can't be edited")]
    Xml(#[from] XmlError),
    /// Its machine type has no PCI bus that we know.
    #[error("no PCI topology is known for machine type {machine:?}")]
    NoPciTopology {
        /// Machine type as written.
        machine: String,
    },
    /// All places are taken.
    #[error("no PCI slot of the guest is free")]
    NoFreeSlot,
    /// Somebody else gave the guest some functions of the card and not the others.
    #[error("the domain has {}, put there by somebody else, without {}", listed(.present), listed(.missing))]
    PartlyPresent {
        /// Functions that it has.
        present: Vec<PciAddress>,
        /// Functions that it lacks.
        missing: Vec<PciAddress>,
    },
}

fn listed(functions: &[PciAddress]) -> String {
    functions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Adds a device to a stored definition.
///
/// A GPU of which only some functions are left of ours is put back whole.
///
/// # Errors
/// [`EditError`].
pub fn add(xml: &str, device: &Device) -> Result<Added, EditError> {
    let document = node::parse(xml)?;
    let domain = read::read_document(&document)?;
    let present = Present::find(&document, device)?;
    if present.missing.is_empty() {
        return Ok(Added::AlreadyPresent { ours: present.ours(), managed: present.managed });
    }
    if present.nodes.is_empty() {
        return insert(xml, &document, &domain, device);
    }
    if !present.ours() {
        return Err(EditError::PartlyPresent {
            missing: present.missing_functions(),
            present: present.functions,
        });
    }
    match remove(xml, device)? {
        Removed::Changed { xml, .. } => {
            let document = node::parse(&xml)?;
            let domain = read::read_document(&document)?;
            insert(&xml, &document, &domain, device)
        }
        Removed::NotPresent | Removed::NotOurs { .. } => insert(xml, &document, &domain, device),
    }
}

/// Removes a device of ours from a stored definition, with the root port that we made for it.
///
/// # Errors
/// [`EditError::Xml`].
pub fn remove(xml: &str, device: &Device) -> Result<Removed, EditError> {
    let document = node::parse(xml)?;
    read::read_document(&document)?;
    let present = Present::find(&document, device)?;
    if present.nodes.is_empty() {
        return Ok(Removed::NotPresent);
    }
    if !present.ours() {
        return Ok(Removed::NotOurs { managed: present.managed });
    }
    let root = document.root_element();
    let nodes = with_ports(&root, present.nodes)?;
    let fragment =
        nodes.iter().filter_map(|node| xml.get(node.range())).map(|text| format!("{text}\n")).collect();
    let edited = splice::cut(xml, &root, &nodes).ok_or(XmlError::Missing { element: "devices" })?;
    Ok(Removed::Changed { xml: edited, fragment })
}

fn insert(
    xml: &str,
    document: &Document<'_>,
    domain: &DomainXml,
    device: &Device,
) -> Result<Added, EditError> {
    let taken = &domain.aliases;
    let elements = match device {
        Device::Mdev(uuid) => vec![mdev_element(*uuid, taken)],
        Device::Gpu(gpu) => {
            let place = place::choose(domain).map_err(|why| match why {
                NoPlace::Full => EditError::NoFreeSlot,
                NoPlace::UnknownTopology => EditError::NoPciTopology { machine: domain.machine.clone() },
            })?;
            let at = |bus, slot| gpu_elements(gpu, Placement::Slot { bus, slot }, taken);
            match place {
                Place::NewPort { index } => {
                    std::iter::once(port_element(index, gpu, taken)).chain(at(index, 0)).collect()
                }
                Place::OwnPort { index } => at(index, 0),
                Place::Slot { bus, slot } => at(bus, slot),
            }
        }
    };
    let xml = splice::insert(xml, &document.root_element(), &elements)
        .ok_or(XmlError::Missing { element: "devices" })?;
    Ok(Added::Changed { xml, fragment: rendered(&elements) })
}

/// What of a device a document has.
struct Present<'a, 'i> {
    nodes: Vec<Node<'a, 'i>>,
    functions: Vec<PciAddress>,
    missing: Vec<Hostdev>,
    foreign: bool,
    managed: bool,
}

impl<'a, 'i> Present<'a, 'i> {
    fn find(document: &'a Document<'i>, device: &Device) -> Result<Self, XmlError> {
        let mut present = Self {
            nodes: Vec::new(),
            functions: Vec::new(),
            missing: wanted(device),
            foreign: false,
            managed: false,
        };
        let wanted = present.missing.clone();
        for node in node::devices(&document.root_element()) {
            let Some(hostdev) = node::hostdev(&node)? else { continue };
            if !wanted.iter().any(|device| device.same_device(&hostdev)) {
                continue;
            }
            present.missing.retain(|device| !device.same_device(&hostdev));
            present.foreign |= !is_ours(&node);
            present.nodes.push(node);
            if let Hostdev::Pci { address, managed } = hostdev {
                present.managed |= managed;
                present.functions.push(address);
            }
        }
        Ok(present)
    }

    fn ours(&self) -> bool {
        !self.foreign
    }

    fn missing_functions(&self) -> Vec<PciAddress> {
        let function = |device: &Hostdev| match device {
            Hostdev::Pci { address, .. } => Some(*address),
            Hostdev::Mdev { .. } => None,
        };
        self.missing.iter().filter_map(function).collect()
    }
}

/// The host devices that a device is made of.
fn wanted(device: &Device) -> Vec<Hostdev> {
    match device {
        Device::Mdev(uuid) => vec![Hostdev::Mdev { uuid: *uuid }],
        Device::Gpu(gpu) => {
            gpu.functions().iter().map(|address| Hostdev::Pci { address: *address, managed: false }).collect()
        }
    }
}

fn is_ours(node: &Node<'_, '_>) -> bool {
    node::alias(node).is_some_and(|alias| alias.starts_with(ALIAS_PREFIX))
}

/// These devices, those of ours that share a root port of ours with them (a function that the card no longer
/// shows), and the root ports that nothing else sits behind then.
fn with_ports<'a, 'i>(root: &Node<'a, 'i>, listed: Vec<Node<'a, 'i>>) -> Result<Vec<Node<'a, 'i>>, XmlError> {
    let mut buses = BTreeSet::new();
    for node in &listed {
        buses.extend(read::guest_address(node)?.map(|address| address.bus));
    }
    let ports: Vec<(Node<'a, 'i>, u8)> = node::devices(root)
        .filter_map(|node| Some((node, own_port(&node)?)))
        .filter(|(_, index)| buses.contains(index))
        .collect();
    let mut nodes = listed;
    let mut kept = BTreeSet::new();
    for node in node::devices(root) {
        let Some(bus) = read::guest_address(&node)?.map(|address| address.bus) else { continue };
        let behind = ports.iter().any(|(_, index)| *index == bus);
        if !behind || nodes.contains(&node) {
            continue;
        }
        if is_ours(&node) && node::hostdev(&node)?.is_some() {
            nodes.push(node);
        } else {
            kept.insert(bus);
        }
    }
    nodes.extend(ports.into_iter().filter(|(_, index)| !kept.contains(index)).map(|(port, _)| port));
    nodes.sort_unstable_by_key(|node| node.range().start);
    Ok(nodes)
}

/// The index of a root port that we made.
fn own_port(node: &Node<'_, '_>) -> Option<u8> {
    let ours = node::is(node, "controller") && node::alias(node)?.starts_with(PORT_ALIAS_PREFIX);
    ours.then(|| node.attribute("index")?.parse().ok()).flatten()
}
