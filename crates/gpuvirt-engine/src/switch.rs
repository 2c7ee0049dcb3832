//! `gpu set`: a GPU's configured type, and the host made to follow.

use std::time::Duration;

use gpuvirt_model::{
    Desired, DesiredGpu, Function, Gpu, HostBinding, Observed, Outcome, Records, Refusal, RefusalCode,
    VfsRecord, Warning, WarningCode, When,
};
use gpuvirt_plan::{Plan, Step, checks, pending_reason, switch};

use crate::{Engine, EngineError, Report, SwitchRequest, View};

impl Engine {
    /// Configures a GPU's type and makes the host follow at once.
    ///
    /// # Errors
    /// [`EngineError::Refused`] with every reason, nothing written; [`EngineError::Failed`] with what is true now.
    pub fn set_type(&self, request: &SwitchRequest) -> Result<Report, EngineError> {
        let turn = self.turn(request.dry_run);
        self.hands_on(request.gpu)?;
        self.set_type_in(request, &turn.view()?)
    }

    /// The same in the caller's turn, decided on this picture: `gpu set`, a document that is applied, and what is
    /// restored at start go one way.
    pub(crate) fn set_type_in(&self, request: &SwitchRequest, view: &View) -> Result<Report, EngineError> {
        let gpu = self.changeable(view, request.gpu)?;
        let to = request.to.resolve(&view.desired.host);
        let plan = switch::plan(gpu, &view.observed, to, &view.records);
        let change =
            checks::Switch { gpu, observed: &view.observed, desired: &view.desired, to, plan: &plan };
        let earlier = view.desired.gpu(request.gpu).filter(|entry| entry.graphics_type == request.to);
        let stored = earlier.map(|entry| entry.accepted.clone()).unwrap_or_default();
        let accept = [request.accept.as_slice(), stored.as_slice()].concat();
        let (mut stand, accepted) = checks::without_accepted(checks::refusals(&change), &accept);
        stand.extend(label_in_use(request, &view.desired));
        if !stand.is_empty() {
            return Err(EngineError::Refused(explain_acceptance(stand, &request.accept)));
        }
        let mut warnings = checks::warnings(&change);
        warnings.extend(accepted.iter().map(as_warning));
        let fired = accepted.iter().map(|refusal| refusal.code);
        let entry = entry(request, gpu, view, stored.into_iter().chain(fired).collect())?;
        let desired = with_entry(&view.desired, entry);
        let report =
            Report { plan: Some(plan.clone()), warnings, ..report(request, &plan, desired != view.desired) };
        if request.dry_run {
            return Ok(report);
        }
        if !report.outcome.is_changed() {
            return Ok(Report { pending: pending_reason(gpu, &view.observed, &desired), ..report });
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
        if plan.is_empty() {
            self.store.commit(desired, &view.records)?;
        } else {
            now = self.apply(plan, gpu, deadline)?;
            self.settle(plan, view, desired, &records_after(view, plan), deadline)?;
        }
        if let Some(gpu) = now.gpus.get(&gpu.address) {
            let with_host = !gpu.on_vfio && !plan.is_empty();
            let lost = if with_host { no_host_driver(gpu, &now, &view.records) } else { Vec::new() };
            // A card that nothing on the host drives is back all the same: nothing is to follow.
            report.pending = pending_reason(gpu, &now, desired).filter(|_| lost.is_empty());
            report.warnings.extend(lost);
            if report.pending.is_some() && !plan.is_empty() {
                let active = gpu.active_type(Some(to));
                report.outcome = Outcome::Changed(format!("{} became {active}, not {to}", gpu.address));
            }
        }
        Ok(report)
    }
}

/// Two GPUs with one label could not be told apart.
fn label_in_use(request: &SwitchRequest, desired: &Desired) -> Option<Refusal> {
    let label = request.label.as_ref()?;
    let other = desired.labelled(label).filter(|other| *other != request.gpu)?;
    Some(Refusal {
        code: RefusalCode::LabelInUse,
        summary: format!("{} cannot be labelled {label}", request.gpu),
        because: format!("{other} has that label"),
        remedy: vec!["choose another label".to_owned()],
    })
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
        label: request.label.clone().or_else(|| kept.label.clone()),
        accepted,
        ..kept
    })
}

/// The document with the entry; unchanged, generation and all, where it says the same already.
pub(crate) fn with_entry(desired: &Desired, entry: DesiredGpu) -> Desired {
    if desired.gpu(entry.address) == Some(&entry) { desired.clone() } else { desired.with_gpu(entry) }
}

/// Remembers how the host has each function that it is about to lose, and which virtual functions are ours. A
/// driverless function tells nothing that an earlier record of the same function doesn't tell better.
pub(crate) fn records_after(view: &View, plan: &Plan) -> Records {
    let mut records = view.records.clone();
    for (function, binding) in &plan.before.bindings {
        let Some(observed) = view.observed.functions.get(function) else { continue };
        let host_driver = binding.driver.as_ref().is_some_and(|driver| !driver.leaves_group_viable());
        let first = binding.driver.is_none() && records.host_binding(observed).is_none();
        if host_driver || first {
            let recorded = HostBinding {
                driver: binding.driver.clone(),
                driver_override: binding.driver_override.clone(),
                identity: Some(observed.identity),
            };
            records.host_bindings.insert(*function, recorded);
        }
    }
    for step in &plan.steps {
        match step {
            Step::SetVfCount { function, to: 0, .. } => drop(records.vfs.remove(function)),
            Step::SetVfCount { function, to, .. } => {
                let before = plan.before.vfs.get(function).is_some_and(|before| before.autoprobe.is_on());
                records.vfs.insert(
                    *function,
                    VfsRecord { count: *to, autoprobe_before: before, boot: view.observed.host.boot_id },
                );
            }
            _ => {}
        }
    }
    records
}

fn report(request: &SwitchRequest, plan: &Plan, stored: bool) -> Report {
    let (gpu, to) = (request.gpu, request.to);
    match (plan.is_empty(), stored, request.dry_run) {
        (true, false, _) => Report::unchanged(format!("{gpu} is {to} already; nothing to do")),
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
