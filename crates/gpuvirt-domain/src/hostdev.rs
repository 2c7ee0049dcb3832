//! The `<hostdev>` elements that give a GPU or a vGPU to a guest.
//!
//! Always `managed='no'`: libvirt must not bind or unbind drivers behind our back. `<driver>` is left out: VFIO
//! has been libvirt's only way for years, and `name='vfio'` is obsolete.

use std::collections::BTreeSet;

use gpuvirt_model::{PciAddress, VgpuId};
use uuid::Uuid;

use crate::element::{Element, Style};
use crate::read::{ALIAS_PREFIX, PORT_ALIAS_PREFIX};

/// A whole GPU as a guest gets it: its functions, all of one slot of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpuForGuest {
    functions: Vec<PciAddress>,
}

/// Why functions are no GPU for a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GpuForGuestError {
    /// No function at all.
    #[error("a GPU without functions can't be given to a guest")]
    Empty,
    /// One guest slot mirrors one slot of the host.
    #[error("{a} and {b} are not functions of one card")]
    DifferentSlots {
        /// One function.
        a: PciAddress,
        /// Another, of another slot.
        b: PciAddress,
    },
}

impl GpuForGuest {
    /// A GPU of these functions, the primary one first. Repetitions are dropped.
    ///
    /// # Errors
    /// [`GpuForGuestError`].
    pub fn new(functions: impl IntoIterator<Item = PciAddress>) -> Result<Self, GpuForGuestError> {
        let mut kept: Vec<PciAddress> = Vec::new();
        for function in functions {
            match kept.first() {
                Some(primary) if !primary.same_slot(&function) => {
                    return Err(GpuForGuestError::DifferentSlots { a: *primary, b: function });
                }
                _ if kept.contains(&function) => {}
                _ => kept.push(function),
            }
        }
        if kept.is_empty() { Err(GpuForGuestError::Empty) } else { Ok(Self { functions: kept }) }
    }

    /// A single function: a virtual one, or a card without companions.
    pub fn single(function: PciAddress) -> Self {
        Self { functions: vec![function] }
    }

    /// The functions, primary first.
    pub fn functions(&self) -> &[PciAddress] {
        &self.functions
    }

    /// The address that names the card in aliases: its lowest function, whatever the order given.
    pub(crate) fn lowest(&self) -> Option<PciAddress> {
        self.functions.iter().min().copied()
    }

    /// Each function with its number in the guest, lowest first.
    ///
    /// Numbers stay as on the host, because drivers and firmware of companions look for each other by them. A
    /// slot without function 0 does not exist for a guest (nobody looks further), so the lowest becomes 0.
    fn guest_numbers(&self) -> Vec<(PciAddress, u8)> {
        let mut sorted = self.functions.clone();
        sorted.sort_unstable();
        sorted
            .iter()
            .enumerate()
            .map(|(at, function)| (*function, if at == 0 { 0 } else { function.function }))
            .collect()
    }
}

/// Where a GPU goes in the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// libvirt chooses, for each function by itself: a card's functions land in different slots, and on q35 each
    /// gets a root port. It is all that a fragment can say that knows no domain (a bus must exist, and
    /// `virsh attach-device` takes one device at a time); drivers that look for the companion function in their
    /// own slot want a slot.
    LibvirtChooses,
    /// All functions in one slot of the guest.
    Slot {
        /// Guest bus: index of the controller.
        bus: u8,
        /// Guest slot.
        slot: u8,
    },
}

/// The `<hostdev>` elements of a GPU, one for each function, each ended by a line break.
pub fn gpu_fragment(gpu: &GpuForGuest, placement: Placement) -> String {
    rendered(&gpu_elements(gpu, placement, &BTreeSet::new()))
}

/// The `<hostdev>` element of a vGPU that is a mediated device. libvirt chooses its guest address.
///
/// `display='off'` is said, not left to the default: a vGPU with a display is refused where the driver can't do it.
pub fn mdev_fragment(uuid: Uuid) -> String {
    rendered(&[mdev_element(uuid, &BTreeSet::new())])
}

/// The `<hostdev>` element of a vGPU, a mediated device or a virtual function.
///
/// A virtual function stays with the driver that makes it a vGPU: libvirt binds nothing where `managed='no'`.
pub fn vgpu_fragment(id: VgpuId) -> String {
    match id {
        VgpuId::Mdev(uuid) => mdev_fragment(uuid),
        VgpuId::Vf(vf) => gpu_fragment(&GpuForGuest::single(vf), Placement::LibvirtChooses),
    }
}

pub(crate) fn rendered(elements: &[Element]) -> String {
    elements.iter().map(|element| element.render(&Style::libvirt()) + "\n").collect()
}

/// A GPU's elements; `taken` are aliases that other devices of the domain have.
pub(crate) fn gpu_elements(
    gpu: &GpuForGuest,
    placement: Placement,
    taken: &BTreeSet<String>,
) -> Vec<Element> {
    let numbers = gpu.guest_numbers();
    let several = numbers.len() > 1;
    let element = |(function, number): &(PciAddress, u8)| {
        let source = Element::new("source").child(
            Element::new("address")
                .attribute("domain", format!("{:#06x}", function.domain))
                .attribute("bus", format!("{:#04x}", function.bus))
                .attribute("slot", format!("{:#04x}", function.slot))
                .attribute("function", format!("{:#x}", function.function)),
        );
        let hostdev = Element::new("hostdev")
            .attribute("mode", "subsystem")
            .attribute("type", "pci")
            .attribute("managed", "no")
            .child(source)
            .child(alias(unique(format!("{ALIAS_PREFIX}{}", dashed(*function)), taken)));
        match placement {
            Placement::LibvirtChooses => hostdev,
            Placement::Slot { bus, slot } => {
                let address = Element::new("address")
                    .attribute("type", "pci")
                    .attribute("domain", "0x0000")
                    .attribute("bus", format!("{bus:#04x}"))
                    .attribute("slot", format!("{slot:#04x}"))
                    .attribute("function", format!("{number:#x}"));
                let first = several && *number == 0;
                hostdev.child(if first { address.attribute("multifunction", "on") } else { address })
            }
        }
    };
    numbers.iter().map(element).collect()
}

/// A root port of our own. Its address, chassis and port number are libvirt's to choose when it defines.
pub(crate) fn port_element(index: u8, gpu: &GpuForGuest, taken: &BTreeSet<String>) -> Element {
    let name = gpu.lowest().map(dashed).unwrap_or_default();
    Element::new("controller")
        .attribute("type", "pci")
        .attribute("index", index.to_string())
        .attribute("model", "pcie-root-port")
        .child(alias(unique(format!("{PORT_ALIAS_PREFIX}{name}"), taken)))
}

pub(crate) fn mdev_element(uuid: Uuid, taken: &BTreeSet<String>) -> Element {
    Element::new("hostdev")
        .attribute("mode", "subsystem")
        .attribute("type", "mdev")
        .attribute("managed", "no")
        .attribute("model", "vfio-pci")
        .attribute("display", "off")
        .child(
            Element::new("source")
                .child(Element::new("address").attribute("uuid", uuid.hyphenated().to_string())),
        )
        .child(alias(unique(format!("{ALIAS_PREFIX}{}", uuid.hyphenated()), taken)))
}

fn alias(name: String) -> Element {
    Element::new("alias").attribute("name", name)
}

/// libvirt refuses a document in which two devices have one alias.
fn unique(name: String, taken: &BTreeSet<String>) -> String {
    if !taken.contains(&name) {
        return name;
    }
    (2_u32..).map(|n| format!("{name}-{n}")).find(|candidate| !taken.contains(candidate)).unwrap_or(name)
}

/// An address in the characters that an alias may have: letters, digits, `-`, `_` and `.`.
fn dashed(address: PciAddress) -> String {
    address.to_string().replace([':', '.'], "-")
}
