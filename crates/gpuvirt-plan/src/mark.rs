//! What a plan took or made and nothing on the host shows to be ours.
//!
//! It is noted in the journal as it happens, while the rest of an entry says only what was intended: what bears no name
//! of ours could otherwise be taken from somebody else when the plan is undone.

use std::collections::{BTreeMap, BTreeSet};

use gpuvirt_model::{DriverName, PciAddress};
use serde::{Deserialize, Serialize};

/// What a plan that runs has taken or made so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Marks {
    /// Functions whose driver's lock it has, with that driver. Noted right before it is taken, and forgotten when it was
    /// not to be had.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub locks: BTreeMap<PciAddress, DriverName>,
    /// The numbers of the GPU instances that it made, by card. Noted right behind, since the card's driver chooses them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub instances: BTreeMap<PciAddress, BTreeSet<u32>>,
    /// Cards on which it is making one, whose number is not known yet.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub making: BTreeSet<PciAddress>,
}

impl Marks {
    /// Whether nothing was noted.
    pub fn is_empty(&self) -> bool {
        self == &Self::default()
    }

    /// Whether the plan made the GPU instance of this number.
    pub fn made(&self, gpu: PciAddress, instance: u32) -> bool {
        self.instances.get(&gpu).is_some_and(|made| made.contains(&instance))
    }

    /// Both.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        self.locks.extend(other.locks.clone());
        self.making.extend(&other.making);
        for (gpu, made) in &other.instances {
            self.instances.entry(*gpu).or_default().extend(made);
        }
        self
    }
}

/// What a step tells besides having succeeded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Performed {
    /// The number of the GPU instance that it made.
    pub instance: Option<u32>,
}
