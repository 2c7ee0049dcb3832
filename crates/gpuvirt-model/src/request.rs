//! Device requests: what a VM asks for, beside the host devices that it gets.
//!
//! They live in the domain's own `<metadata>`, with the domain's uuid, so that a clone's are seen to be another's. What
//! they say decides nothing by itself: the rules judge the host devices, and a request tells what may be made for them.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Hostdev, PciAddress, PciIdentity, ProfileName, VgpuId, VgpuParams};

/// The requests in one definition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Requests {
    /// The uuid of the domain for which they were written; none: there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<Uuid>,
    /// Each of them, in document order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub list: Vec<Request>,
    /// How many entries could not be understood: somebody edited them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unreadable: usize,
    /// The driver package in the guest, or its version, as an admin stated it: nobody sees into the guest. It is no request,
    /// and a clone's disk has it too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guest_driver: Option<String>,
}

/// A request for one device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// Names it within its domain.
    pub id: u32,
    /// The alias of its hostdev, the first function's where a card has several. Empty for a GPU or a vGPU that was there
    /// before it was asked for: the request names it.
    pub alias: String,
    /// What is asked for.
    #[serde(flatten)]
    pub wanted: Wanted,
    /// The host device that it got: the hostdev with that alias. None: somebody took it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned: Option<Hostdev>,
    /// The key of the order that it came with, where that had one: given again, the order is done already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Uuid>,
}

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "wants", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Wanted {
    /// A vGPU of a profile, of whichever GPU has room at the start.
    Profile {
        /// The profile.
        profile: ProfileName,
        /// Parameters for the vendor's driver.
        #[serde(default, skip_serializing_if = "VgpuParams::is_empty")]
        params: VgpuParams,
    },
    /// This GPU, whole, and no other card at its address.
    Gpu {
        /// Where it sits.
        gpu: PciAddress,
        /// What it is.
        identity: PciIdentity,
    },
    /// Any whole GPU of a kind.
    Match {
        /// The kind.
        #[serde(rename = "match")]
        kind: CardMatch,
    },
    /// A vGPU that somebody made beforehand.
    Vgpu {
        /// Its name.
        vgpu: VgpuId,
    },
}

/// A kind of card: ids as `lspci -n` shows them, and a label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CardMatch {
    /// Vendor, device, and subsystem where it matters: `10de:2235`, `10de:2235:10de:145a`.
    pub ids: CardIds,
    /// The admin's label, where it must be this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

/// PCI ids of a kind of card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "schema", schemars(extend("pattern" = "^[0-9a-fA-F]{4}:[0-9a-fA-F]{4}(:[0-9a-fA-F]{4}:[0-9a-fA-F]{4})?$")))]
pub struct CardIds {
    /// Vendor id.
    pub vendor: u16,
    /// Device id.
    pub device: u16,
    /// Subsystem vendor and device; none: any.
    pub subsystem: Option<(u16, u16)>,
}

/// Why a text is no kind of card.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no kind of card: write VVVV:DDDD or VVVV:DDDD:SVVV:SDDD in hexadecimal digits")]
pub struct CardIdsError(pub String);

impl CardIds {
    /// Whether a card is of this kind.
    pub fn fits(&self, card: &PciIdentity) -> bool {
        let subsystem = (card.subsystem_vendor, card.subsystem_device);
        (self.vendor, self.device) == (card.vendor, card.device)
            && self.subsystem.is_none_or(|wanted| wanted == subsystem)
    }
}

impl std::str::FromStr for CardIds {
    type Err = CardIdsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = |part: &str| {
            let sound = part.len() == 4 && part.bytes().all(|b| b.is_ascii_hexdigit());
            sound.then(|| u16::from_str_radix(part, 16).ok()).flatten()
        };
        let ids: Option<Vec<u16>> = text.split(':').map(id).collect();
        match ids.as_deref() {
            Some([vendor, device]) => Ok(Self { vendor: *vendor, device: *device, subsystem: None }),
            Some([vendor, device, sub_vendor, sub_device]) => {
                Ok(Self { vendor: *vendor, device: *device, subsystem: Some((*sub_vendor, *sub_device)) })
            }
            _ => Err(CardIdsError(text.to_owned())),
        }
    }
}

impl TryFrom<String> for CardIds {
    type Error = CardIdsError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<CardIds> for String {
    fn from(ids: CardIds) -> Self {
        ids.to_string()
    }
}

impl fmt::Display for CardIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:04x}", self.vendor, self.device)?;
        self.subsystem.map_or(Ok(()), |(vendor, device)| write!(f, ":{vendor:04x}:{device:04x}"))
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Profile { profile, params } if params.is_empty() => write!(f, "profile {profile}"),
            Self::Profile { profile, params } => write!(f, "profile {profile} ({params})"),
            Self::Gpu { gpu, .. } => write!(f, "GPU {gpu}"),
            Self::Match { kind: CardMatch { ids, label: None } } => write!(f, "any GPU {ids}"),
            Self::Match { kind: CardMatch { ids, label: Some(label) } } => {
                write!(f, "GPU {ids} labelled {label}")
            }
            Self::Vgpu { vgpu } => write!(f, "vGPU {vgpu}"),
        }
    }
}

impl Requests {
    /// Nothing asked for.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty() && self.unreadable == 0
    }

    /// Nothing asked for, and nothing stated.
    pub fn says_nothing(&self) -> bool {
        self.is_empty() && self.guest_driver.is_none()
    }

    /// Whether they were written for another domain than this one: a clone copies its original's.
    pub fn of_another(&self, domain: Uuid) -> bool {
        !self.is_empty() && self.domain != Some(domain)
    }

    /// The request that got this host device; a card's other functions belong to the first one's.
    pub fn of_device(&self, device: &Hostdev) -> Option<&Request> {
        self.list.iter().find(|request| match (&request.assigned, device) {
            (Some(Hostdev::Pci { address, .. }), Hostdev::Pci { address: other, .. }) => match request.wanted
            {
                Wanted::Gpu { .. } | Wanted::Match { .. } => address.same_slot(other),
                Wanted::Profile { .. } | Wanted::Vgpu { .. } => address == other,
            },
            (Some(assigned), device) => assigned.same_device(device),
            (None, _) => false,
        })
    }

    /// A number that none of them has.
    pub fn next_id(&self) -> u32 {
        self.list.iter().map(|request| request.id).max().unwrap_or(0).saturating_add(1)
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's `skip_serializing_if` passes a reference
fn is_zero(number: &usize) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_of_card_reads_back() {
        for text in ["10de:2235", "1002:5046:1af4:1100"] {
            assert_eq!(text.parse::<CardIds>().unwrap().to_string(), text);
        }
        for text in ["", "10de", "10de:22", "10de:2235:10de", "10de:2235:", "zzzz:0000", "+0de:2235"] {
            assert!(text.parse::<CardIds>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_clone_has_the_requests_of_another() {
        let request = Request {
            id: 1,
            alias: "ua-gpuvirt-x".to_owned(),
            wanted: Wanted::Vgpu { vgpu: VgpuId::Mdev(Uuid::from_u128(7)) },
            assigned: None,
            key: None,
        };
        let requests =
            Requests { domain: Some(Uuid::from_u128(1)), list: vec![request], ..Requests::default() };
        assert!(requests.of_another(Uuid::from_u128(2)));
        assert!(!requests.of_another(Uuid::from_u128(1)));
        assert!(!Requests::default().of_another(Uuid::from_u128(1)));
        assert_eq!(requests.next_id(), 2);
    }
}
