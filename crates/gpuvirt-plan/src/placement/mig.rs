//! The MIG allocator: a vGPU goes where a GPU instance for it is free, and nothing else counts.

use std::collections::BTreeSet;

use gpuvirt_model::ProfileName;

/// GPU instances of one profile on a card, as far as vGPUs can still get one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceKind {
    /// The GPU instances' own profile, e.g. `1g.5gb`.
    pub name: String,
    /// The vGPU profiles that run on such an instance.
    pub vgpu_profiles: BTreeSet<ProfileName>,
    /// How many more vGPUs these instances take.
    pub free: u32,
}

/// The GPU instances of a card.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Instances(pub Vec<InstanceKind>);

impl Instances {
    /// How many more vGPUs of a profile find an instance.
    pub fn room(&self, profile: &ProfileName) -> u32 {
        self.of(profile).fold(0, |sum, kind| sum.saturating_add(kind.free))
    }

    /// Takes instances for so many vGPUs, as far as there are.
    pub fn take(&mut self, profile: &ProfileName, count: u32) {
        let mut left = count;
        for kind in self.0.iter_mut().filter(|kind| kind.vgpu_profiles.contains(profile)) {
            let taken = left.min(kind.free);
            kind.free -= taken;
            left -= taken;
        }
    }

    /// Whether two profiles want the same instances.
    pub fn compete(&self, one: &ProfileName, other: &ProfileName) -> bool {
        self.of(one).any(|kind| kind.vgpu_profiles.contains(other))
    }

    fn of<'a>(&'a self, profile: &'a ProfileName) -> impl Iterator<Item = &'a InstanceKind> + 'a {
        self.0.iter().filter(move |kind| kind.vgpu_profiles.contains(profile))
    }
}
