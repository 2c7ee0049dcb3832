//! `vgpu create` and `vgpu remove`.

use std::time::Duration;

use gpuvirt_model::{PciAddress, ProfileName, Vgpu, VgpuId, VgpuRecord};
use gpuvirt_plan::{checks, vgpu};

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
        let turn = self.turn(request.dry_run);
        self.hands_on(request.gpu)?;
        let view = turn.view()?;
        let gpu = self.changeable(&view, request.gpu)?;
        if already_there(request, &view) {
            let text = format!("vGPU {} is there already; nothing to do", request.uuid);
            return Ok(Report { vgpu: Some(request.uuid.into()), ..Report::unchanged(text) });
        }
        let wanted = checks::vgpu::Creation { gpu, profile: &request.profile, uuid: request.uuid };
        let profile =
            checks::vgpu::creatable(&wanted, &view.observed, &view.desired).map_err(EngineError::Refused)?;
        let plan = vgpu::create(gpu, profile, request.uuid, &view.observed)
            .ok_or_else(|| no_plan(&profile.type_id))?;
        let id = vgpu::id_of_new(profile, request.uuid);
        let what = sentence_about(id, &profile.name, profile.parent);
        let report = |text| Report { plan: Some(plan.clone()), vgpu: Some(id), ..Report::changed(text) };
        if request.dry_run {
            return Ok(report(format!("{what} would be created")));
        }
        let record = VgpuRecord {
            parent: profile.parent,
            type_id: profile.type_id.clone(),
            profile: profile.name.clone(),
            framework: profile.framework,
            boot: id.vf().and(view.observed.host.boot_id),
            domain: None,
        };
        self.apply(&plan, gpu, CREATE_DEADLINE)?;
        let mut records = view.records.clone();
        records.vgpus.insert(id, record);
        self.settle(&plan, &view, &view.desired, &records, CREATE_DEADLINE)?;
        Ok(report(format!("{what} was created")))
    }

    /// Removes a vGPU that we made and nobody holds.
    ///
    /// # Errors
    /// As [`Engine::create_vgpu`].
    pub fn remove_vgpu(
        &self,
        id: impl Into<VgpuId>,
        dry_run: bool,
        deadline: Duration,
    ) -> Result<Report, EngineError> {
        let id = id.into();
        let turn = self.turn(dry_run);
        let view = turn.view()?;
        let Some(found) = view.observed.vgpus.get(&id) else {
            return self.forget_vgpu(id, dry_run, &view);
        };
        let gpu = self.changeable(&view, found.gpu)?;
        let refusals = checks::vgpu::not_removable(found, &view.observed, &view.records);
        if !refusals.is_empty() {
            return Err(EngineError::Refused(refusals));
        }
        let plan = vgpu::remove(found, &view.observed).ok_or_else(|| no_plan(&found.type_id))?;
        if dry_run {
            return Ok(Report {
                plan: Some(plan),
                ..Report::changed(format!("{} would be removed", name(found)))
            });
        }
        self.apply(&plan, gpu, deadline)?;
        let mut records = view.records.clone();
        records.vgpus.remove(&id);
        self.settle(&plan, &view, &view.desired, &records, deadline)?;
        Ok(Report { plan: Some(plan), ..Report::changed(format!("{} was removed", name(found))) })
    }

    /// A vGPU that is not on the host any more: only our record of it is left to remove.
    fn forget_vgpu(&self, id: VgpuId, dry_run: bool, view: &View) -> Result<Report, EngineError> {
        let mut intents = self.store.open_intents()?.into_iter();
        if let Some(plan) = intents.find(|plan| plan.before.has_vgpu(id)) {
            return Err(EngineError::Refused(vec![hands_off(&plan)]));
        }
        let mut records = view.records.clone();
        if records.vgpus.remove(&id).is_none() {
            return Err(EngineError::Refused(vec![checks::vgpu::not_found(id)]));
        }
        if !dry_run {
            self.store.commit(&view.desired, &records)?;
        }
        Ok(Report::changed(format!("vGPU {id} is gone already; its record was removed")))
    }
}

fn already_there(request: &CreateRequest, view: &View) -> bool {
    let found = view.observed.vgpus.get(&request.uuid.into());
    found.is_some_and(|found| {
        view.records.made(found) && found.gpu == request.gpu && found.profile == request.profile
    })
}

fn name(vgpu: &Vgpu) -> String {
    sentence_about(vgpu.id, &vgpu.profile, vgpu.parent)
}

/// A virtual function is where it is made.
fn sentence_about(id: VgpuId, profile: &ProfileName, parent: PciAddress) -> String {
    match id {
        VgpuId::Mdev(uuid) => format!("vGPU {uuid} of profile {profile} on {parent}"),
        VgpuId::Vf(vf) => format!("vGPU {vf} of profile {profile}"),
    }
}

/// The checks let a type through that no plan can be made for.
fn no_plan(type_id: &str) -> EngineError {
    EngineError::Bug(format!("{type_id:?} is no vGPU type of its framework"))
}
