//! `vgpu remove`: vGPUs of ours that nobody holds, all of them or none.

use std::collections::BTreeSet;

use gpuvirt_model::{Gpu, PciAddress, Refusal, RefusalCode, Vgpu, VgpuId};
use gpuvirt_plan::checks::{not_found, vgpu as vgpu_checks};
use gpuvirt_plan::vgpu;

use crate::change::hands_off;
use crate::turn::Turn;
use crate::vgpu::{no_plan, sentence_about};
use crate::{Engine, EngineError, Removal, RemoveRequest, Report, View};

/// What is to be removed: what lives, and what is gone and only remembered.
struct Found<'a> {
    alive: Vec<&'a Vgpu>,
    gone: Vec<VgpuId>,
}

impl Engine {
    /// Removes vGPUs that we made and nobody holds: one plan and one journal for all. They leave the desired document
    /// too, also those that are gone from the host already.
    ///
    /// # Errors
    /// [`EngineError::Refused`] with every reason, nothing written; [`EngineError::Failed`] with what is true now.
    pub fn remove_vgpus(&self, request: &RemoveRequest) -> Result<Report, EngineError> {
        let (_turn, view) = self.turn_to_remove(request)?;
        let (ids, refusals) = match &request.which {
            Removal::These(ids) => (ids.iter().copied().collect(), self.unknown(ids, &view)?),
            Removal::AllOf(gpu) => (ours(self.hands_on_gpu(&view, *gpu)?, &view), Vec::new()),
        };
        self.unmake(&view, &ids, refusals, request)
    }

    /// The turn, when no change of a GPU that this is about is under way that is worth waiting for; and what is there then.
    fn turn_to_remove(&self, request: &RemoveRequest) -> Result<(Turn<'_>, View), EngineError> {
        let ids = match &request.which {
            Removal::AllOf(gpu) => {
                let turn = self.turn_with_look_at(*gpu, request.dry_run);
                let view = turn.view_of(*gpu)?;
                return Ok((turn, view));
            }
            Removal::These(ids) => ids,
        };
        loop {
            let turn = self.turn(request.dry_run);
            let view = turn.view()?;
            let gpus = ids.iter().flat_map(|id| gpus_of(*id, &view));
            let busy: BTreeSet<PciAddress> = gpus.filter(|gpu| self.is_to_end_soon(*gpu)).collect();
            if request.dry_run || busy.is_empty() {
                return Ok((turn, view));
            }
            drop(turn);
            self.wait_for(&busy);
        }
    }

    /// A GPU of this host without an open intent. Whether it can be changed is asked once, of what is alive on it.
    fn hands_on_gpu<'a>(&self, view: &'a View, address: PciAddress) -> Result<&'a Gpu, EngineError> {
        self.hands_on(address)?;
        let gpu = view.observed.gpus.get(&address);
        gpu.ok_or_else(|| EngineError::Refused(vec![not_found(address, &view.observed)]))
    }

    /// The removal, by whoever has the turn and a fresh view.
    pub(crate) fn unmake(
        &self,
        view: &View,
        ids: &BTreeSet<VgpuId>,
        mut refusals: Vec<Refusal>,
        request: &RemoveRequest,
    ) -> Result<Report, EngineError> {
        let found = Found::among(ids, view);
        let (mut gpu, mut unsettled) = (None, BTreeSet::new());
        for address in found.gpus() {
            match self.changeable(view, address) {
                Ok(found) => gpu = Some(found),
                Err(EngineError::Refused(more)) => {
                    // What is ours of it is known only once it is recovered.
                    if more
                        .iter()
                        .any(|refusal| matches!(refusal.code, RefusalCode::HandsOff | RefusalCode::Busy))
                    {
                        unsettled.insert(address);
                    }
                    refusals.extend(more);
                }
                Err(other) => return Err(other),
            }
        }
        for alive in found.alive.iter().filter(|vgpu| !unsettled.contains(&vgpu.gpu)) {
            refusals.extend(vgpu_checks::not_removable(alive, &view.observed, &view.records));
        }
        refusals.extend(several_gpus(&found));
        // A change that is under way may be about to make what is only remembered.
        let gone: BTreeSet<PciAddress> = found.gone.iter().flat_map(|id| gpus_of(*id, view)).collect();
        let busy = gone.difference(&unsettled).filter_map(|gpu| self.under_change(*gpu));
        let new: Vec<Refusal> = busy.filter(|busy| !refusals.contains(busy)).collect();
        refusals.extend(new);
        if !refusals.is_empty() {
            return Err(EngineError::Refused(refusals));
        }
        match gpu {
            Some(gpu) => self.remove_alive(view, gpu, &found, request),
            None => self.forget(view, &found.gone, request.dry_run),
        }
    }

    fn remove_alive(
        &self,
        view: &View,
        gpu: &Gpu,
        found: &Found,
        request: &RemoveRequest,
    ) -> Result<Report, EngineError> {
        let plan = vgpu::remove(gpu.address, &found.alive, &view.observed);
        let plan = plan.ok_or_else(|| no_plan(gpu.address))?;
        let ids = found.ids();
        let (what, be) = match found.alive.as_slice() {
            [one] => (sentence_about(one.id, &one.profile, one.parent), "was"),
            many => {
                let number = vgpu::in_number(many.iter().map(|vgpu| &vgpu.profile));
                (format!("{number} on {}", gpu.address), "were")
            }
        };
        let report = |text| Report { plan: Some(plan.clone()), vgpus: ids.clone(), ..Report::changed(text) };
        if request.dry_run {
            return Ok(report(format!("{what} would be removed")));
        }
        let (desired, mut records) = (view.desired.without_vgpus(&ids), view.records.clone());
        records.vgpus.retain(|id, _| !ids.contains(id));
        self.apply_and_settle(&plan, view, (&desired, &records), request.deadline)?;
        Ok(report(format!("{what} {be} removed")))
    }

    /// vGPUs that are not on the host any more: only what we remember of them is left to remove.
    fn forget(&self, view: &View, gone: &[VgpuId], dry_run: bool) -> Result<Report, EngineError> {
        let text = match gone {
            [] => {
                return Ok(Report::unchanged(
                    "there is no vGPU of gpuvirt's to remove; nothing to do".to_owned(),
                ));
            }
            [one] => format!("vGPU {one} is gone already; its record was removed"),
            many => format!("{} vGPUs are gone already; their records were removed", many.len()),
        };
        if !dry_run {
            let mut records = view.records.clone();
            records.vgpus.retain(|id, _| !gone.contains(id));
            self.store.commit(&view.desired.without_vgpus(gone), &records)?;
        }
        Ok(Report { vgpus: gone.to_vec(), ..Report::changed(text) })
    }

    /// Names that are neither on the host nor remembered, and such as an open journal speaks of.
    fn unknown(&self, ids: &[VgpuId], view: &View) -> Result<Vec<Refusal>, EngineError> {
        let intents = self.store.open_intents()?;
        let refusals = ids.iter().filter(|id| !view.observed.vgpus.contains_key(id)).filter_map(|id| {
            match intents.iter().find(|plan| plan.before.has_vgpu(*id)) {
                Some(plan) => Some(self.under_change(plan.gpu).unwrap_or_else(|| hands_off(plan))),
                None => (!is_remembered(*id, view)).then(|| vgpu_checks::not_found(*id)),
            }
        });
        let mut found: Vec<Refusal> = Vec::new();
        for refusal in refusals {
            if !found.contains(&refusal) {
                found.push(refusal);
            }
        }
        Ok(found)
    }
}

impl<'a> Found<'a> {
    fn among(ids: &BTreeSet<VgpuId>, view: &'a View) -> Self {
        let (alive, gone): (Vec<VgpuId>, Vec<VgpuId>) =
            ids.iter().partition(|id| view.observed.vgpus.contains_key(id));
        let alive = alive.iter().filter_map(|id| view.observed.vgpus.get(id)).collect();
        Self { alive, gone: gone.into_iter().filter(|id| is_remembered(*id, view)).collect() }
    }

    fn gpus(&self) -> BTreeSet<PciAddress> {
        self.alive.iter().map(|vgpu| vgpu.gpu).collect()
    }

    fn ids(&self) -> Vec<VgpuId> {
        self.alive.iter().map(|vgpu| vgpu.id).chain(self.gone.iter().copied()).collect()
    }
}

/// The GPUs that a vGPU is of: where it is, else where we remember it to be.
fn gpus_of(id: VgpuId, view: &View) -> BTreeSet<PciAddress> {
    if let Some(found) = view.observed.vgpus.get(&id) {
        return BTreeSet::from([found.gpu]);
    }
    let parent = view.records.vgpus.get(&id).map(|record| record.parent);
    let recorded = parent.and_then(|parent| view.observed.gpu_of(parent)).map(|gpu| gpu.address);
    let wanted = view.desired.gpus.iter().filter(|entry| entry.vgpus.iter().any(|vgpu| vgpu.id == id));
    wanted.map(|entry| entry.address).chain(recorded).collect()
}

fn is_remembered(id: VgpuId, view: &View) -> bool {
    view.records.vgpus.contains_key(&id) || view.desired.has_vgpu(id)
}

/// Everything that we made on a GPU, or remember of it.
fn ours(gpu: &Gpu, view: &View) -> BTreeSet<VgpuId> {
    let alive = view.observed.vgpus_of(gpu).filter(|vgpu| view.records.made(vgpu)).map(|vgpu| vgpu.id);
    let is_of = |parent: PciAddress| view.observed.gpu_of(parent).is_some_and(|of| of.address == gpu.address);
    let recorded = view.records.vgpus.iter().filter(|(_, record)| is_of(record.parent)).map(|(id, _)| *id);
    let entry = view.desired.gpu(gpu.address).into_iter();
    let desired = entry.flat_map(|entry| &entry.vgpus).map(|vgpu| vgpu.id);
    // What others have made in the place of one of ours is theirs, and our memory of it wrong.
    let others = |id: &VgpuId| view.observed.vgpus.get(id).is_some_and(|found| !view.records.made(found));
    alive.chain(recorded).chain(desired).filter(|id| !others(id)).collect()
}

/// A plan, its journal and its undo are about one GPU.
fn several_gpus(found: &Found) -> Option<Refusal> {
    let gpus = found.gpus();
    let names: Vec<String> = gpus.iter().map(ToString::to_string).collect();
    let command = |gpu: &PciAddress| {
        let ids = found.alive.iter().filter(|vgpu| vgpu.gpu == *gpu).map(|vgpu| vgpu.id.to_string());
        format!("gpuvirt vgpu remove {}", ids.collect::<Vec<_>>().join(" "))
    };
    (gpus.len() > 1).then(|| Refusal {
        code: RefusalCode::SeveralGpus,
        summary: format!("{} vGPUs cannot be removed in one change", found.alive.len()),
        because: format!("they are on {}", names.join(", ")),
        remedy: gpus
            .iter()
            .map(command)
            .chain([format!("gpuvirt explain {}", RefusalCode::SeveralGpus)])
            .collect(),
    })
}
