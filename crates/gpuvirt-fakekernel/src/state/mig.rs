//! Cards that can be cut into instances.

use std::collections::BTreeMap;

use gpuvirt_model::PciAddress;

/// A kind of GPU instance for [`FakeKernel::offer_gpu_instances`](crate::FakeKernel::offer_gpu_instances).
#[derive(Debug, Clone)]
pub struct InstanceKind {
    /// Its name, e.g. `1g.5gb`.
    pub name: &'static str,
    /// Its number.
    pub id: u32,
    /// Compute slices, of seven.
    pub compute: u32,
    /// Memory slices, of eight.
    pub size: u32,
    /// The first memory slices that it can have.
    pub starts: &'static [u32],
    /// Its memory as the command writes it, in GiB.
    pub gib: &'static str,
    /// The vGPU types that live on one.
    pub types: &'static [u32],
}

/// All memory slices and all compute slices of a card.
const MEMORY: u32 = 8;
const COMPUTE: u32 = 7;

/// A card that can be cut.
#[derive(Debug)]
pub(crate) struct CutCard {
    pub(crate) kinds: Vec<InstanceKind>,
    pub(crate) enabled: bool,
    pub(crate) pending: Option<bool>,
    pub(crate) instances: Vec<Instance>,
    /// Virtual functions with a vGPU, and the instance that it lives on.
    pub(crate) on: BTreeMap<PciAddress, u32>,
}

#[derive(Debug, Clone)]
pub(crate) struct Instance {
    pub(crate) id: u32,
    pub(crate) kind: u32,
    pub(crate) start: u32,
    pub(crate) with_compute: bool,
}

impl CutCard {
    pub(crate) fn new(kinds: &[InstanceKind]) -> Self {
        let (instances, on) = (Vec::new(), BTreeMap::new());
        Self { kinds: kinds.to_vec(), enabled: false, pending: None, instances, on }
    }

    pub(crate) fn kind(&self, id: u32) -> Option<&InstanceKind> {
        self.kinds.iter().find(|kind| kind.id == id)
    }

    /// The places where one more of a kind fits.
    pub(crate) fn places(&self, kind: &InstanceKind) -> Vec<u32> {
        let used = |what: fn(&InstanceKind) -> u32| -> u32 {
            self.instances.iter().filter_map(|one| self.kind(one.kind)).map(what).sum()
        };
        if used(|kind| kind.compute) + kind.compute > COMPUTE {
            return Vec::new();
        }
        let taken = |start: u32| {
            self.instances.iter().any(|one| {
                let size = self.kind(one.kind).map_or(0, |kind| kind.size);
                one.start < start + kind.size && start < one.start + size
            })
        };
        kind.starts.iter().copied().filter(|s| s + kind.size <= MEMORY && !taken(*s)).collect()
    }

    /// How many more of a kind fit.
    pub(crate) fn free(&self, kind: &InstanceKind) -> usize {
        let mut rest = Self {
            on: BTreeMap::new(),
            kinds: self.kinds.clone(),
            instances: self.instances.clone(),
            ..*self
        };
        let mut count = 0;
        while let Some(start) = rest.places(kind).first().copied() {
            rest.instances.push(Instance { id: 0, kind: kind.id, start, with_compute: false });
            count += 1;
        }
        count
    }

    pub(crate) fn create(&mut self, wanted: &str, with_compute: bool) -> Result<(u32, String), &'static str> {
        let (profile, start) = wanted.split_once(':').map_or((wanted, None), |(p, s)| (p, Some(s)));
        let known = |kind: &&InstanceKind| profile.parse() == Ok(kind.id) || profile == kind.name;
        let kind = self.kinds.iter().find(known).cloned().ok_or("Invalid Argument")?;
        let places = self.places(&kind);
        let start = match start {
            Some(start) => start.parse().ok().filter(|start| places.contains(start)),
            None => places.last().copied(),
        };
        let start = start.ok_or("Insufficient Resources")?;
        let id = (1..).find(|id| self.instances.iter().all(|one| one.id != *id)).unwrap_or(1);
        self.instances.push(Instance { id, kind: kind.id, start, with_compute });
        self.instances.sort_by_key(|one| one.start);
        Ok((id, kind.name.to_owned()))
    }

    pub(crate) fn is_used(&self, id: u32) -> bool {
        self.on.values().any(|on| *on == id)
    }

    /// The free instance that a vGPU of a type would get.
    pub(crate) fn instance_for(&self, type_id: u32) -> Option<u32> {
        let kind = self.kinds.iter().find(|kind| kind.types.contains(&type_id))?;
        let free = |one: &&Instance| one.kind == kind.id && !self.is_used(one.id);
        self.instances.iter().find(free).map(|one| one.id)
    }
}
