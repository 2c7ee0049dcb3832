//! Preparing a card for vGPUs, as part of `gpu set`: what is asked for, and the second part of a change whose first
//! part gave the card to its driver.

use std::time::Duration;

use gpuvirt_model::{
    ConfiguredType, Desired, DesiredGpu, GraphicsType, Observed, PciAddress, Refusal, RefusalCode, Warning,
    WarningCode,
};
use gpuvirt_plan::{Plan, Wanted, checks, power_control, switch};

use crate::apply::Failure;
use crate::mig_read::{Asked, READ_DEADLINE};
use crate::records::records_after;
use crate::{Engine, EngineError, Preparation, SwitchRequest, View};

impl Engine {
    /// The second part of a change whose first part gave the card to its driver, which shows only now what it offers:
    /// planned and carried out under the same journal entry, so that the whole is undone as one. Returns the whole.
    ///
    /// What would be refused of it is left undone: the type is pending then, and the second value says why.
    pub(crate) fn go_on(
        &self,
        first: &Plan,
        now: &mut Observed,
        view: &View,
        desired: &Desired,
        deadline: Duration,
    ) -> Result<(Plan, Option<String>), EngineError> {
        let Some(entry) = desired.gpu(first.gpu) else { return Ok((first.clone(), None)) };
        let wanted = Wanted::by(entry, &desired.host);
        let records = records_after(view, first);
        let between = View { observed: now.clone(), desired: desired.clone(), records };
        let View { observed, records, .. } = match self.seen_between(first.gpu, between, wanted.to) {
            Ok(between) => between,
            Err(error) => {
                return Err(self.take_back(first, &Failure::of("reading GPU instances", &error), deadline));
            }
        };
        *now = observed;
        let Some(gpu) = now.gpus.get(&first.gpu) else { return Ok((first.clone(), None)) };
        let next = switch::plan_for(gpu, now, &wanted, &records);
        let domains = view.observed.domains.clone();
        let observed = Observed { domains, ..now.clone() };
        let change = checks::Switch { gpu, observed: &observed, desired, to: wanted.to, plan: &next };
        let mut refusals = checks::refusals(&change);
        refusals.extend(checks::prepare::refusals(&change, &wanted));
        refusals.extend(checks::mig::refusals(&change, &wanted, &records));
        if next.is_empty() || !refusals.is_empty() {
            return Ok((first.clone(), said(&refusals)));
        }
        let gpu = gpu.clone();
        let mut whole = first.then(&next);
        let applied = self.apply_more(&whole, &next, &gpu, deadline)?;
        (*now, whole.marks) = (applied.now, applied.marks);
        Ok((whole, None))
    }

    /// The picture between the two parts with the card's GPU instances, where those matter.
    fn seen_between(&self, gpu: PciAddress, view: View, to: GraphicsType) -> Result<View, EngineError> {
        // It is in the midst of its change: while they are read no start has what is there, and nobody changes it.
        let _changing = self.starts.begin_change(gpu, &[]);
        let asked = Asked {
            gpu,
            wanted: &|view| wanted_by(view, gpu).unwrap_or(Wanted::of(to)),
            wipes: true,
            within: READ_DEADLINE,
        };
        let mut seen = view.clone();
        let again = || Ok(View { observed: self.host.observe_gpu(gpu)?, ..view.clone() });
        self.see_gpu_instances(&mut seen, &asked, again)?;
        Ok(seen)
    }
}

/// What the stored entry of a GPU wants of it.
fn wanted_by(view: &View, gpu: PciAddress) -> Option<Wanted<'_>> {
    view.desired.gpu(gpu).map(|entry| Wanted::by(entry, &view.desired.host))
}

/// Refusals as a pending reason; that a driver offers no vGPUs has a better one of its own.
fn said(refusals: &[Refusal]) -> Option<String> {
    let told = refusals.iter().filter(|refusal| refusal.code != RefusalCode::NoVgpuSupport);
    let told: Vec<String> = told.map(|refusal| format!("{} [{}]", refusal.because, refusal.code)).collect();
    (!told.is_empty()).then(|| told.join("; "))
}

/// What the request asks for, together with what was asked for before and is left open by it.
pub(crate) fn wanted<'a>(request: &SwitchRequest, view: &'a View) -> Wanted<'a> {
    let to = request.to.resolve(&view.desired.host);
    let earlier = view.desired.gpu(request.gpu);
    let kept = preparation(request, earlier);
    let gpu_instances = earlier.map(|entry| entry.gpu_instances.as_slice()).unwrap_or_default();
    Wanted { to, vgpu_mode: kept.vgpu_mode, vf_count: kept.vf_count, gpu_instances }
}

/// A vGPU mode and a number of virtual functions go with the type that they are for: another type forgets them.
pub(crate) fn preparation(request: &SwitchRequest, earlier: Option<&DesiredGpu>) -> Preparation {
    let without = matches!(request.to, ConfiguredType::Shared | ConfiguredType::Direct);
    let earlier = earlier.filter(|earlier| !without || earlier.graphics_type == request.to);
    Preparation {
        vgpu_mode: request.prepare.vgpu_mode.or_else(|| earlier?.vgpu_mode),
        vf_count: request.prepare.vf_count.or_else(|| earlier?.vf_count),
    }
}

/// What the host had set and somebody has set otherwise since it was put back.
pub(crate) fn power_control_lost(plan: &Plan, now: &Observed) -> Vec<Warning> {
    let lost = power_control::not_kept(plan, now).into_iter();
    lost.map(|text| Warning { code: WarningCode::PowerControlLost, text }).collect()
}

/// Services that ran before and were stopped, and that run no more.
pub(crate) fn services_down(plan: &Plan, now: &Observed) -> Vec<Warning> {
    let down = plan.before.services.iter().filter(|unit| !now.host.running_services.contains_key(*unit));
    down.map(|unit| Warning {
        code: WarningCode::ServiceDown,
        text: format!("the service {unit} was stopped and did not start again: systemctl start {unit}"),
    })
    .collect()
}
