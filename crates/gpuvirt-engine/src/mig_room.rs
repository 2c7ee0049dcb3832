//! How many more vGPUs find a GPU instance on each GPU in vGPU mode `mig`: what placement counts there.

use std::collections::BTreeMap;
use std::time::Instant;

use gpuvirt_model::{MigState, PciAddress, ProfileName, VgpuMode};
use gpuvirt_plan::mig_room;
use gpuvirt_plan::placement::mig::Instances;

use crate::{Engine, View};

/// GPU instances as they were read for one placement.
pub(crate) struct Read {
    /// Nothing is read for longer than that.
    pub(crate) end: Instant,
    /// With the number of changes that each card had had by then; none where it could not be read.
    of: BTreeMap<PciAddress, (u64, Option<MigState>)>,
}

impl Read {
    /// Nothing yet.
    pub(crate) fn until(end: Instant) -> Self {
        Self { end, of: BTreeMap::new() }
    }
}

impl Engine {
    /// Reads the GPU instances of the cards that may take a vGPU of this profile, as far as they were not read since their
    /// last change. In the turn of a change only. Whether others had the host meanwhile: then the picture is old, and this is
    /// asked again on a new one, until it is not.
    pub(crate) fn read_rooms(&self, view: &View, profile: &ProfileName, read: &mut Read) -> bool {
        let lent = self.lent();
        for gpu in self.cards_with_rooms(view, profile) {
            // One that can't be read is not asked again: it has cost its time.
            let known = read.of.get(&gpu);
            if known.is_some_and(|(at, state)| state.is_none() || *at == self.starts.changes_of(gpu)) {
                continue;
            }
            let left = read.end.saturating_duration_since(Instant::now());
            let state = self.mig_state(gpu, &view.observed, left / 2).ok();
            // No change of it came between: it was looked at.
            read.of.insert(gpu, (self.starts.changes_of(gpu), state));
        }
        self.lent() != lent
    }

    /// The room on each of those cards. A card that can't be read now, or not soon enough for something to be left of the
    /// time, is left out: its driver has the last word anyway.
    pub(crate) fn rooms(
        &self,
        view: &View,
        profile: &ProfileName,
        read: &Read,
    ) -> BTreeMap<PciAddress, Instances> {
        let room = |address| {
            let gpu = view.observed.gpus.get(&address)?;
            let state = read.of.get(&address)?.1.as_ref()?;
            Some((address, Instances(mig_room::room(gpu, &view.observed, state))))
        };
        self.cards_with_rooms(view, profile).into_iter().filter_map(room).collect()
    }

    fn cards_with_rooms(&self, view: &View, profile: &ProfileName) -> Vec<PciAddress> {
        let in_mode = |gpu: &PciAddress| {
            view.desired.gpu(*gpu).is_some_and(|entry| entry.vgpu_mode == Some(VgpuMode::Mig))
        };
        let offers = |gpu: &PciAddress| {
            let gpu = view.observed.gpus.get(gpu);
            gpu.is_some_and(|gpu| gpu.profiles.iter().any(|offer| offer.name == *profile))
        };
        self.cards(view).into_iter().filter(in_mode).filter(offers).collect()
    }
}
