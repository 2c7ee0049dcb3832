//! `vgpu create` and `vgpu remove`.

use std::time::Duration;

use gpuvirt_model::{Vgpu, VgpuRecord};
use gpuvirt_plan::{checks, vgpu};
use uuid::Uuid;

use crate::change::hands_off;
use crate::{CreateRequest, Engine, EngineError, Report, View};

/// How long making a vGPU may take: drivers answer `create` within seconds, or not at all.
const CREATE_DEADLINE: Duration = Duration::from_secs(30);

impl Engine {
    /// Makes a vGPU. Asked again with the same uuid, GPU and profile, it finds it done.
    ///
    /// # Errors
    /// [`EngineError::Refused`] with every reason, nothing written; [`EngineError::Failed`] with what is true now.
    pub fn create_vgpu(&self, request: &CreateRequest) -> Result<Report, EngineError> {
        let _turn = self.turn(request.dry_run);
        self.hands_on(request.gpu)?;
        let view = self.view()?;
        let gpu = self.changeable(&view, request.gpu)?;
        if already_there(request, &view) {
            return Ok(Report::unchanged(format!("vGPU {} is there already; nothing to do", request.uuid)));
        }
        let wanted = checks::vgpu::Creation { gpu, profile: &request.profile, uuid: request.uuid };
        let profile =
            checks::vgpu::creatable(&wanted, &view.observed, &view.desired).map_err(EngineError::Refused)?;
        let plan = vgpu::create(gpu, profile, request.uuid);
        let what = format!("vGPU {} of profile {} on {}", request.uuid, profile.name, profile.parent);
        if request.dry_run {
            return Ok(Report { plan: Some(plan), ..Report::changed(format!("{what} would be created")) });
        }
        let record = VgpuRecord {
            parent: profile.parent,
            type_id: profile.type_id.clone(),
            profile: profile.name.clone(),
        };
        self.apply(&plan, gpu, CREATE_DEADLINE)?;
        let mut records = view.records.clone();
        records.vgpus.insert(request.uuid, record);
        self.settle(&plan, &view, &view.desired, &records, CREATE_DEADLINE)?;
        Ok(Report { plan: Some(plan), ..Report::changed(format!("{what} was created")) })
    }

    /// Removes a vGPU that we made and nobody holds.
    ///
    /// # Errors
    /// As [`Engine::create_vgpu`].
    pub fn remove_vgpu(&self, uuid: Uuid, dry_run: bool, deadline: Duration) -> Result<Report, EngineError> {
        let _turn = self.turn(dry_run);
        let view = self.view()?;
        let Some(found) = view.observed.vgpus.get(&uuid) else {
            return self.forget_vgpu(uuid, dry_run, &view);
        };
        let gpu = self.changeable(&view, found.gpu)?;
        let refusals = checks::vgpu::not_removable(found, &view.observed, &view.records);
        if !refusals.is_empty() {
            return Err(EngineError::Refused(refusals));
        }
        let plan = vgpu::remove(found);
        if dry_run {
            return Ok(Report {
                plan: Some(plan),
                ..Report::changed(format!("{} would be removed", name(found)))
            });
        }
        self.apply(&plan, gpu, deadline)?;
        let mut records = view.records.clone();
        records.vgpus.remove(&uuid);
        self.settle(&plan, &view, &view.desired, &records, deadline)?;
        Ok(Report { plan: Some(plan), ..Report::changed(format!("{} was removed", name(found))) })
    }

    /// A vGPU that is not on the host any more: only our record of it is left to remove.
    fn forget_vgpu(&self, uuid: Uuid, dry_run: bool, view: &View) -> Result<Report, EngineError> {
        let mut intents = self.store.open_intents()?.into_iter();
        if let Some(plan) = intents.find(|plan| plan.before.mdevs.contains_key(&uuid)) {
            return Err(EngineError::Refused(vec![hands_off(&plan)]));
        }
        let mut records = view.records.clone();
        if records.vgpus.remove(&uuid).is_none() {
            return Err(EngineError::Refused(vec![checks::vgpu::not_found(uuid)]));
        }
        if !dry_run {
            self.store.commit(&view.desired, &records)?;
        }
        Ok(Report::changed(format!("vGPU {uuid} is gone already; its record was removed")))
    }
}

fn already_there(request: &CreateRequest, view: &View) -> bool {
    let ours = view.records.vgpus.contains_key(&request.uuid);
    view.observed
        .vgpus
        .get(&request.uuid)
        .is_some_and(|found| ours && found.gpu == request.gpu && found.profile == request.profile)
}

fn name(vgpu: &Vgpu) -> String {
    format!("vGPU {} of profile {} on {}", vgpu.uuid, vgpu.profile, vgpu.parent)
}
