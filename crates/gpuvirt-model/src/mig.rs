//! Multi-Instance GPU: a card cut into GPU instances, each with memory and engines of its own.
//!
//! In vGPU mode `mig` a vGPU lives on a GPU instance. Nothing in sysfs shows them: they are read through the vendor's
//! management library, and only when somebody asks, since its open clients keep the card from being prepared.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::PciAddress;

/// A card's GPU instances, and whether it makes any.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct MigState {
    /// Whether the card can be cut at all.
    pub supported: bool,
    /// Whether it can be now: MIG mode is on.
    pub enabled: bool,
    /// What the mode becomes at the next reset of the card, where that is something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<bool>,
    /// What GPU instances it can make. Empty while MIG mode is off with some drivers.
    pub profiles: Vec<GpuInstanceProfile>,
    /// The GPU instances that it has, by their place.
    pub instances: Vec<GpuInstance>,
}

/// A kind of GPU instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct GpuInstanceProfile {
    /// The vendor's name without the leading `MIG`, e.g. `1g.5gb` or `1g.10gb+me`.
    pub name: String,
    /// The vendor's number for it on this card.
    pub id: u32,
    /// Compute slices, the number before the `g`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slices: Option<u32>,
    /// Memory in MiB, when the vendor says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u64>,
    /// How many more fit now. Profiles share the card's slices, so each creation changes the others'.
    pub free: u32,
    /// How many fit on the card when it is empty.
    pub total: u32,
    /// Where on the card it can be, when the vendor says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub placements: Vec<MigPlacement>,
}

/// A place on a card: memory slices from one on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct MigPlacement {
    /// The first slice.
    pub start: u32,
    /// How many slices.
    pub size: u32,
}

/// A GPU instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct GpuInstance {
    /// Its number on the card. It comes again for another instance when this one is gone.
    pub id: u32,
    /// The name of its profile.
    pub profile: String,
    /// Its profile's number.
    pub profile_id: u32,
    /// Where it is, when the vendor says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<MigPlacement>,
    /// Its compute instances, where they were read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compute_instances: Option<Vec<u32>>,
}

impl fmt::Display for MigPlacement {
    /// As the vendor's tool writes it: `4:2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.start, self.size)
    }
}

impl MigPlacement {
    /// Whether both take one slice.
    pub fn overlaps(self, other: Self) -> bool {
        let end = |place: Self| place.start.saturating_add(place.size);
        self.start < end(other) && other.start < end(self)
    }
}

impl MigState {
    /// A profile by name.
    pub fn profile(&self, name: &str) -> Option<&GpuInstanceProfile> {
        self.profiles.iter().find(|profile| profile.name == name)
    }

    /// A GPU instance by number.
    pub fn instance(&self, id: u32) -> Option<&GpuInstance> {
        self.instances.iter().find(|instance| instance.id == id)
    }

    /// How many GPU instances of a profile there are.
    pub fn count(&self, profile: &str) -> u32 {
        let found = self.instances.iter().filter(|instance| instance.profile == profile).count();
        u32::try_from(found).unwrap_or(u32::MAX)
    }
}

impl GpuInstance {
    /// Whether it is the one that `other` was: numbers come again, so its profile and its place count too.
    pub fn is_same(&self, other: &Self) -> bool {
        let same_place = match (self.placement, other.placement) {
            (Some(this), Some(that)) => this == that,
            _ => true,
        };
        self.id == other.id && self.profile == other.profile && same_place
    }
}

/// A GPU instance of our making.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GpuInstanceRecord {
    /// The card.
    pub gpu: PciAddress,
    /// Its number there.
    pub id: u32,
    /// The name of its profile.
    pub profile: String,
    /// Where it is, when the vendor says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<MigPlacement>,
    /// The boot in which it was made, where that is known. None survives a reboot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<uuid::Uuid>,
    /// The key of the request that it was made for, where that had one: asked again, the request is done already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<uuid::Uuid>,
}

impl GpuInstanceRecord {
    /// Whether a live GPU instance is the one that was recorded.
    pub fn is_of(&self, gpu: PciAddress, instance: &GpuInstance) -> bool {
        let same_place = match (self.placement, instance.placement) {
            (Some(recorded), Some(found)) => recorded == found,
            _ => true,
        };
        self.gpu == gpu && self.id == instance.id && self.profile == instance.profile && same_place
    }
}

/// The compute slices that a profile's name tells: `3` for `3g.20gb`.
pub fn slices_of(profile: &str) -> Option<u32> {
    profile.split_once('g')?.0.parse().ok()
}

/// Whether a text can be a GPU instance profile's name: it stands in files and messages.
pub fn is_profile_name(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".+-_".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_overlap_where_they_share_a_slice() {
        let place = |start, size| MigPlacement { start, size };
        for (one, other, overlap) in [
            (place(0, 4), place(4, 4), false),
            (place(0, 4), place(3, 1), true),
            (place(2, 1), place(0, 8), true),
            (place(2, 0), place(2, 1), false),
            (place(u32::MAX, u32::MAX), place(0, 1), false),
        ] {
            assert_eq!(one.overlaps(other), overlap, "{one} {other}");
            assert_eq!(other.overlaps(one), overlap, "{other} {one}");
        }
    }

    #[test]
    fn an_instance_of_the_same_number_is_another_elsewhere() {
        let instance = |id, profile: &str, start| GpuInstance {
            id,
            profile: profile.to_owned(),
            profile_id: 19,
            placement: Some(MigPlacement { start, size: 1 }),
            compute_instances: None,
        };
        let one = instance(7, "1g.5gb", 0);
        assert!(one.is_same(&one.clone()));
        assert!(one.is_same(&GpuInstance { placement: None, ..one.clone() }));
        for other in [instance(8, "1g.5gb", 0), instance(7, "1g.5gb+me", 0), instance(7, "1g.5gb", 3)] {
            assert!(!one.is_same(&other), "{other:?}");
        }
    }

    #[test]
    fn names_tell_slices_and_are_plain_words() {
        assert_eq!(slices_of("3g.20gb"), Some(3));
        assert_eq!(slices_of("1c.3g.20gb"), None);
        for name in ["1g.5gb", "1g.10gb+me", "1g.24gb+me.all", "1g.24gb-me"] {
            assert!(is_profile_name(name), "{name}");
        }
        for name in ["", "-1g", "1g 5gb", "1g/5gb", "1g\n", "größe"] {
            assert!(!is_profile_name(name), "{name}");
        }
    }
}
