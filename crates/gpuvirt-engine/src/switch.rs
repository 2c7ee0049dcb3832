//! `gpu set`: a GPU's configured type, and the host made to follow.

use std::time::Duration;

use gpuvirt_model::{
    Desired, DesiredGpu, Function, Gpu, GraphicsType, Observed, Outcome, Records, Refusal, RefusalCode,
    VgpuMode, Warning, WarningCode, When,
};
use gpuvirt_plan::{Plan, checks, pending, switch};

use crate::mig_read::{Asked, READ_DEADLINE};
use crate::prepare::{power_control_lost, preparation, services_down, wanted};
use crate::records::{records_after, with_instances_after};
use crate::{Engine, EngineError, Report, SwitchRequest, View};

impl Engine {
    /// Configures a GPU's type and makes the host follow at once.
    ///
    /// # Errors
    /// [`EngineError::Refused`] with every reason, nothing written; [`EngineError::Failed`] with what is true now.
    pub fn set_type(&self, request: &SwitchRequest) -> Result<Report, EngineError> {
        let asks = || self.is_about_mig(request.gpu, request.prepare.vgpu_mode);
        let turn = self.turn_with_look_at(request.gpu, request.dry_run && !asks()?);
        self.hands_on(request.gpu)?;
        let look = || turn.view_of(request.gpu);
        self.set_type_in(request, look()?, look)
    }

    /// The same in the caller's turn, decided on this picture: `gpu set`, a document that is applied, and what is
    /// restored at start go one way. It is looked `again` where others had the host meanwhile.
    pub(crate) fn set_type_in(
        &self,
        request: &SwitchRequest,
        mut view: View,
        again: impl Fn() -> Result<View, EngineError>,
    ) -> Result<Report, EngineError> {
        self.changeable(&view, request.gpu)?;
        let asked = Asked {
            gpu: request.gpu,
            wanted: &|view| wanted(request, view),
            wipes: !request.dry_run,
            within: READ_DEADLINE,
        };
        let again = || {
            let view = again()?;
            self.changeable(&view, request.gpu).map(drop)?;
            Ok(view)
        };
        self.see_gpu_instances(&mut view, &asked, again)?;
        let view = &view;
        let gpu = view.gpu(request.gpu)?;
        let to = request.to.resolve(&view.desired.host);
        let wanted = wanted(request, view);
        let plan = switch::plan_for(gpu, &view.observed, &wanted, &view.records);
        let change =
            checks::Switch { gpu, observed: &view.observed, desired: &view.desired, to, plan: &plan };
        let earlier = view.desired.gpu(request.gpu).filter(|entry| entry.graphics_type == request.to);
        let stored = earlier.map(|entry| entry.accepted.clone()).unwrap_or_default();
        let accept = [request.accept.as_slice(), stored.as_slice()].concat();
        let (mut stand, accepted) = checks::without_accepted(checks::refusals(&change), &accept);
        stand.extend(checks::prepare::refusals(&change, &wanted));
        stand.extend(checks::mig::refusals(&change, &wanted, &view.records));
        if !stand.is_empty() {
            return Err(EngineError::Refused(explain_acceptance(stand, &request.accept)));
        }
        let mut warnings = checks::warnings(&change);
        warnings.extend(accepted.iter().map(as_warning));
        let fired = accepted.iter().map(|refusal| refusal.code);
        let entry = entry(request, gpu, view, stored.into_iter().chain(fired).collect())?;
        let desired = with_entry(&view.desired, entry);
        let shows_later = to == GraphicsType::SharedDirect && !gpu.host_driver;
        let report = Report {
            plan: Some(plan.clone()),
            warnings,
            ..report(request, &plan, desired != view.desired, shows_later)
        };
        if request.dry_run {
            return Ok(report);
        }
        if !report.outcome.is_changed() {
            let pending = pending(gpu, &view.observed, &desired, &view.records);
            return Ok(Report { pending, ..report });
        }
        self.carry_out(&change, view, &desired, request.deadline, report)
    }

    fn carry_out(
        &self,
        change: &checks::Switch,
        view: &View,
        desired: &Desired,
        deadline: Duration,
        mut report: Report,
    ) -> Result<Report, EngineError> {
        let checks::Switch { gpu, plan, to, .. } = *change;
        let mut now = view.observed.clone();
        let mut records = view.records.clone();
        let mut in_the_way = None;
        if plan.is_empty() {
            self.store.commit(desired, &view.records)?;
        } else {
            let expected = records_after(view, plan);
            let applied = self.apply(plan, gpu, Some((desired, &expected)), deadline)?;
            now = applied.now;
            let done = Plan { marks: applied.marks, ..plan.clone() };
            let (whole, refused) = self.go_on(&done, &mut now, view, desired, deadline)?;
            in_the_way = refused;
            records = with_instances_after(records_after(view, &whole), &whole, &now);
            self.settle(&whole, view, desired, &records, deadline)?;
            report.warnings.extend(services_down(&whole, &now));
            report.warnings.extend(power_control_lost(&whole, &now));
            report.plan = Some(whole);
        }
        if let Some(gpu) = now.gpus.get(&gpu.address) {
            let with_host = !gpu.on_vfio && !plan.is_empty();
            let lost = if with_host { no_host_driver(gpu, &now, &view.records) } else { Vec::new() };
            // A card that nothing on the host drives is back all the same: nothing is to follow.
            let pending = pending(gpu, &now, desired, &records).filter(|_| lost.is_empty());
            report.pending = pending.map(|reason| in_the_way.unwrap_or(reason));
            report.warnings.extend(lost);
            let active = gpu.active_type(Some(to));
            if report.pending.is_some() && !plan.is_empty() && active != to {
                report.outcome = Outcome::Changed(format!("{} became {active}, not {to}", gpu.address));
            }
        }
        Ok(report)
    }
}

/// The stored entry that the request leads to, with the identity as it is now.
pub(crate) fn entry(
    request: &SwitchRequest,
    gpu: &Gpu,
    view: &View,
    mut accepted: Vec<RefusalCode>,
) -> Result<DesiredGpu, EngineError> {
    let earlier = view.desired.gpu(request.gpu);
    let found = view.observed.primary_of(gpu).map(|function| function.identity);
    let stored = earlier.map(|entry| entry.identity);
    let unknown = || EngineError::Bug(format!("{} was observed without its primary function", gpu.address));
    accepted.sort_unstable();
    accepted.dedup();
    let identity = stored.or(found).ok_or_else(unknown)?;
    let prepare = preparation(request, earlier);
    let kept = earlier.cloned();
    let kept = kept.unwrap_or_else(|| DesiredGpu::new(request.gpu, identity, request.to));
    let when = request.when.unwrap_or(kept.when);
    let same = when == kept.when && request.to == kept.graphics_type;
    let asked_in = match when {
        When::Boot if same => kept.asked_in,
        When::Boot => view.observed.host.boot_id,
        When::Now | When::Idle | When::Vm => None,
    };
    Ok(DesiredGpu {
        graphics_type: request.to,
        when,
        asked_in,
        label: label(request, kept.label.as_ref()),
        gpu_instances: match prepare.vgpu_mode {
            Some(VgpuMode::Mig) => kept.gpu_instances.clone(),
            Some(VgpuMode::SameSize | VgpuMode::MixedSize) | None => Vec::new(),
        },
        vgpu_mode: prepare.vgpu_mode,
        vf_count: prepare.vf_count,
        accepted,
        ..kept
    })
}

/// The label that the request leads to: an empty one takes it away.
fn label(request: &SwitchRequest, kept: Option<&String>) -> Option<String> {
    request.label.as_ref().or(kept).filter(|label| !label.is_empty()).cloned()
}

/// The document with the entry; unchanged, generation and all, where it says the same already.
pub(crate) fn with_entry(desired: &Desired, entry: DesiredGpu) -> Desired {
    if desired.gpu(entry.address) == Some(&entry) { desired.clone() } else { desired.with_gpu(entry) }
}

/// `shows_later`: what there is to prepare shows only once the card's driver has it.
fn report(request: &SwitchRequest, plan: &Plan, stored: bool, shows_later: bool) -> Report {
    let (gpu, to) = (request.gpu, request.to);
    match (plan.is_empty(), stored, request.dry_run) {
        (true, false, _) => Report::unchanged(format!("{gpu} is {to} already; nothing to do")),
        (_, _, true) if shows_later => Report::changed(format!(
            "{gpu} would become {to}: its driver gets it by this plan, and then whatever that offers is prepared"
        )),
        (_, _, true) => Report::changed(format!("{gpu} would become {to}")),
        (true, true, false) => {
            Report::changed(format!("{gpu} is configured as {to}; the host needed no change"))
        }
        (false, _, false) => Report::changed(format!("{gpu} became {to}")),
    }
}

/// Says so when a refusal was "accepted" that nobody can accept.
fn explain_acceptance(mut refusals: Vec<Refusal>, accepted: &[RefusalCode]) -> Vec<Refusal> {
    for refusal in refusals.iter_mut().filter(|r| accepted.contains(&r.code)) {
        refusal
            .remedy
            .insert(0, format!("--accept {} does not help: this refusal is absolute", refusal.code));
    }
    refusals
}

fn as_warning(refusal: &Refusal) -> Warning {
    Warning {
        code: WarningCode::Accepted,
        text: format!("{} was accepted: {}", refusal.code, refusal.because),
    }
}

/// Functions that their driver did not take back: the primary always counts, the others where they had one before us.
fn no_host_driver(gpu: &Gpu, now: &Observed, records: &Records) -> Vec<Warning> {
    let had = |function: &Function| records.host_binding(function)?.driver.clone();
    let lost = now.functions_of(gpu).filter(|function| match (&function.binding.driver, had(function)) {
        (None, had) => function.address == gpu.address || had.is_some(),
        (Some(found), Some(had)) => *found != had,
        (Some(_), None) => false,
    });
    lost.map(|function| {
        let before = had(function).map_or_else(String::new, |driver| format!("; it had {driver} before"));
        let text = match &function.binding.driver {
            Some(found) => format!("{found} has {} now{before}", function.address),
            None => format!(
                "no host driver claims {}{before}: load it if the host is to use it",
                function.address
            ),
        };
        Warning { code: WarningCode::NoHostDriver, text }
    })
    .collect()
}
