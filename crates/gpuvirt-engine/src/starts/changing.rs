//! The GPUs that changes are at, for as long as those last: what others see of them, and wait for.

use std::collections::BTreeSet;
use std::collections::btree_map::Entry;
use std::sync::PoisonError;
use std::time::Instant;

use gpuvirt_model::{Hostdev, PciAddress};

use super::Starts;

/// What is known of a change that is under way.
#[derive(Debug, Clone, Default)]
pub(super) struct At {
    /// How many changes: a way back is one within its change.
    pub(super) depth: usize,
    /// How many look at it in a way that no change may come between: it keeps no start from what is there.
    looks: usize,
    /// It has stopped a driver's services for as long as it lasts.
    stops_services: bool,
}

impl Starts {
    /// Begins a change of a GPU that takes these devices from whoever has them. The name of a VM that has one since
    /// the change was checked, if there is one: nothing was begun then.
    pub(crate) fn begin_change(&self, gpu: PciAddress, takes: &[Hostdev]) -> Result<Changing<'_>, String> {
        let mut state = self.state();
        if let Some(name) = state.who_has(takes) {
            return Err(name);
        }
        state.changing.entry(gpu).or_default().depth += 1;
        Ok(Changing { starts: self, gpu, only_looks: false })
    }

    /// Begins a look at a GPU that no change of it may come between.
    pub(crate) fn begin_look(&self, gpu: PciAddress) -> Changing<'_> {
        self.state().changing.entry(gpu).or_default().looks += 1;
        Changing { starts: self, gpu, only_looks: true }
    }

    /// The change of this GPU stops services until it ends.
    pub(crate) fn stop_services(&self, gpu: PciAddress) {
        if let Some(at) = self.state().changing.get_mut(&gpu) {
            at.stops_services = true;
        }
    }

    /// Another GPU whose change has stopped services: they are started again when that ends, whoever counts on it that
    /// they do not run.
    pub(crate) fn stopped_for_another(&self, gpu: PciAddress) -> Option<PciAddress> {
        let state = self.state();
        let other = state.changing.iter().find(|(other, at)| **other != gpu && at.stops_services);
        other.map(|(other, _)| *other)
    }

    /// The GPUs that changes are at.
    pub(crate) fn changing(&self) -> BTreeSet<PciAddress> {
        self.state().changing.keys().copied().collect()
    }

    /// Whether a change of this GPU is under way.
    pub(crate) fn is_changing(&self, gpu: PciAddress) -> bool {
        self.state().changing.contains_key(&gpu)
    }

    /// How many changes of this GPU have ended: what was read of it is old when there are more.
    pub(crate) fn changes_of(&self, gpu: PciAddress) -> u64 {
        self.state().changes.get(&gpu).copied().unwrap_or_default()
    }

    /// Whether a change of this GPU is under way; what of a VM that has ended was to go there is due when it ends.
    pub(crate) fn keeps(&self, gpu: PciAddress) -> bool {
        let mut state = self.state();
        let changing = state.changing.contains_key(&gpu);
        if changing {
            state.kept.insert(gpu);
        }
        changing
    }

    /// What of a VM that has ended was to go from this GPU is due after the next change of it: its way back is open.
    pub(crate) fn keep(&self, gpu: PciAddress) {
        self.state().kept.insert(gpu);
    }

    /// What of a VM that has ended was to go is due when any change that is under way ends.
    pub(crate) fn keep_for_all(&self) {
        let state = &mut *self.state();
        state.kept.extend(state.changing.keys());
    }

    /// Waits until a change of one of these GPUs ends, or a moment; whether one has ended.
    pub(crate) fn one_ends(&self, gpus: &BTreeSet<PciAddress>, end: Instant) -> bool {
        let mut state = self.state();
        loop {
            if gpus.iter().any(|gpu| !state.changing.contains_key(gpu)) {
                return true;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// A change of a GPU is under way until this is dropped.
pub(crate) struct Changing<'a> {
    starts: &'a Starts,
    gpu: PciAddress,
    only_looks: bool,
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        let mut state = self.starts.state();
        let mut ended = false;
        if let Entry::Occupied(mut at) = state.changing.entry(self.gpu) {
            match self.only_looks {
                true => at.get_mut().looks -= 1,
                false => at.get_mut().depth -= 1,
            }
            ended = at.get().depth + at.get().looks == 0;
            if ended {
                at.remove();
            }
        }
        if !self.only_looks {
            state.now += 1;
            state.last_change = state.now;
            *state.changes.entry(self.gpu).or_default() += 1;
        }
        let due = ended && state.kept.remove(&self.gpu);
        drop(state);
        self.starts.changed.notify_all();
        if let Some(tell) = self.starts.due.as_ref().filter(|_| due) {
            tell();
        }
    }
}
