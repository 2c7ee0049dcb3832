//! `vgpu set`: the parameters of a vGPU that is there.

use std::time::Duration;

use gpuvirt_model::{Desired, DesiredVgpu, Refusal, VgpuId, VgpuParams};
use gpuvirt_plan::{checks, params};

use crate::{Engine, EngineError, Report};

/// Other parameters for a vGPU.
#[derive(Debug, Clone)]
pub struct ParamsRequest {
    /// The vGPU.
    pub id: VgpuId,
    /// What it is to have, in the place of earlier values.
    pub params: VgpuParams,
    /// Those that are not named go; otherwise they stay.
    pub clear: bool,
    /// Plan only.
    pub dry_run: bool,
    /// Longest wait for one write that can block.
    pub deadline: Duration,
}

impl Engine {
    /// Sets the parameters of a vGPU that we made and nobody holds: they take effect when a VM starts on it. The
    /// desired document follows where it has the vGPU.
    ///
    /// # Errors
    /// [`EngineError::Refused`] with every reason, nothing written; [`EngineError::Failed`] with what is true now.
    pub fn set_vgpu_params(&self, request: &ParamsRequest) -> Result<Report, EngineError> {
        let mut turn = self.turn(request.dry_run);
        let mut view = turn.view()?;
        let at = view.observed.vgpus.get(&request.id).map(|vgpu| vgpu.gpu);
        if let Some(gpu) = at.filter(|gpu| !request.dry_run && self.is_to_end_soon(*gpu)) {
            drop(turn);
            turn = self.turn_at(gpu, request.dry_run);
            view = turn.view()?;
        }
        let missing = || EngineError::Refused(vec![checks::vgpu::not_found(request.id)]);
        let found = view.observed.vgpus.get(&request.id).ok_or_else(missing)?;
        self.hands_on(found.gpu)?;
        self.changeable(&view, found.gpu)?;
        refuse_any(checks::params::not_changeable(found, &view.observed, &view.records))?;
        let from = found.known_params().cloned().unwrap_or_default();
        let to = if request.clear { request.params.clone() } else { from.with(&request.params) };
        let plan = params::set(found, &from, &to);
        let desired = with_params(&view.desired, request.id, &to);
        let have = if to.is_empty() { "no parameters".to_owned() } else { to.to_string() };
        let be = if request.dry_run { "would have" } else { "has" };
        let text = format!("vGPU {} {be} {have}", request.id);
        if plan.is_empty() && desired == view.desired {
            return Ok(Report {
                vgpus: vec![request.id],
                ..Report::unchanged(text + " already; nothing to do")
            });
        }
        let report = Report { plan: Some(plan.clone()), vgpus: vec![request.id], ..Report::changed(text) };
        if request.dry_run {
            return Ok(report);
        }
        if plan.is_empty() {
            self.store.commit(&desired, &view.records)?;
        } else {
            self.apply_and_settle(&plan, &view, (&desired, &view.records), request.deadline)?;
        }
        Ok(report)
    }
}

/// The document with these parameters, where it has the vGPU.
fn with_params(desired: &Desired, id: VgpuId, params: &VgpuParams) -> Desired {
    let has = |gpu: &&gpuvirt_model::DesiredGpu| gpu.vgpus.iter().any(|vgpu| vgpu.id == id);
    let Some(gpu) = desired.gpus.iter().find(has) else { return desired.clone() };
    let entry = gpu.vgpus.iter().find(|vgpu| vgpu.id == id);
    let entry = entry.map(|vgpu| DesiredVgpu { params: params.clone(), ..vgpu.clone() });
    desired.with_vgpus(gpu.address, &entry.into_iter().collect::<Vec<_>>())
}

/// All refusals, where there are any.
pub(crate) fn refuse_any(refusals: Vec<Refusal>) -> Result<(), EngineError> {
    if refusals.is_empty() { Ok(()) } else { Err(EngineError::Refused(refusals)) }
}
