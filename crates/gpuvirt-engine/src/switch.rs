//! `gpu set` and `gpu unset`: a GPU's configured type, and the host made to follow.

use gpuvirt_model::{
    Desired, DesiredGpu, Function, Gpu, Observed, PciAddress, Records, Refusal, RefusalCode, VfsRecord,
    Warning, WarningCode,
};
use gpuvirt_plan::{Plan, Step, checks, pending_reason, switch};

use crate::{Engine, EngineError, Report, SwitchRequest, View};

impl Engine {
    /// Configures a GPU's type and makes the host follow at once.
    ///
    /// # Errors
    /// [`EngineError::Refused`] with every reason, nothing written; [`EngineError::Failed`] with what is true now.
    pub fn set_type(&self, request: &SwitchRequest) -> Result<Report, EngineError> {
        let _turn = self.begin();
        let view = self.view()?;
        let gpu = self.changeable(&view, request.gpu)?;
        let to = request.to.resolve(&view.desired.host);
        let plan = switch::plan_knowing(gpu, &view.observed, to, &view.records);
        let change =
            checks::Switch { gpu, observed: &view.observed, desired: &view.desired, to, plan: &plan };
        let entry = entry(request, gpu, &view)?;
        let (stand, accepted) = checks::without_accepted(checks::refusals(&change), &entry.accepted);
        if !stand.is_empty() {
            return Err(EngineError::Refused(explain_acceptance(stand, &request.accept)));
        }
        let mut warnings = checks::warnings(&change);
        warnings.extend(accepted.iter().map(as_warning));
        self.label_is_free(&entry, &view.desired)?;
        let desired = with_entry(&view.desired, entry);
        let report =
            Report { plan: Some(plan.clone()), warnings, ..report(request, &plan, desired != view.desired) };
        if request.dry_run {
            return Ok(report);
        }
        if !report.outcome.is_changed() {
            return Ok(Report { pending: pending_reason(gpu, &view.observed, &desired), ..report });
        }
        self.carry_out(&plan, gpu, &view, &desired, request, report)
    }

    fn carry_out(
        &self,
        plan: &Plan,
        gpu: &Gpu,
        view: &View,
        desired: &Desired,
        request: &SwitchRequest,
        mut report: Report,
    ) -> Result<Report, EngineError> {
        let mut now = view.observed.clone();
        if plan.is_empty() {
            self.store.commit(desired, &view.records)?;
        } else {
            now = self.apply(plan, gpu, request.deadline)?;
            self.settle(plan, desired, &records_after(view, plan), request.deadline)?;
        }
        if let Some(gpu) = now.gpus.get(&gpu.address) {
            let with_host = !gpu.on_vfio && !plan.is_empty();
            let lost = if with_host { no_host_driver(gpu, &now, &view.records) } else { Vec::new() };
            // A card that nothing on the host drives is back all the same: nothing is to follow.
            report.pending = pending_reason(gpu, &now, desired).filter(|_| lost.is_empty());
            report.warnings.extend(lost);
        }
        Ok(report)
    }

    /// Forgets a GPU's configuration. The host stays as it is: an unmanaged GPU is never written to.
    ///
    /// # Errors
    /// [`EngineError::Refused`] when the address is neither a GPU nor configured.
    pub fn unset(&self, address: PciAddress) -> Result<Report, EngineError> {
        let _turn = self.begin();
        let (desired, records) = self.store.load()?;
        if desired.gpu(address).is_none() {
            let view = self.view()?;
            return match view.observed.gpus.contains_key(&address) {
                true => Ok(Report::unchanged(format!("{address} is unmanaged; nothing to do"))),
                false => Err(EngineError::Refused(vec![checks::not_found(address, &view.observed)])),
            };
        }
        self.store.commit(&desired.without_gpu(address), &records)?;
        Ok(Report::changed(format!("{address} is unmanaged now; the host was left as it is")))
    }

    /// Two GPUs with one label could not be told apart.
    fn label_is_free(&self, entry: &DesiredGpu, desired: &Desired) -> Result<(), EngineError> {
        let Some(label) = &entry.label else { return Ok(()) };
        match desired.labelled(label) {
            Some(other) if other != entry.address => Err(EngineError::Refused(vec![Refusal {
                code: RefusalCode::LabelInUse,
                summary: format!("{} cannot be labelled {label}", entry.address),
                because: format!("{other} has that label"),
                remedy: vec!["choose another label".to_owned()],
            }])),
            _ => Ok(()),
        }
    }
}

/// The stored entry that the request leads to: identity as it is now, acceptances added to earlier ones.
fn entry(request: &SwitchRequest, gpu: &Gpu, view: &View) -> Result<DesiredGpu, EngineError> {
    let earlier = view.desired.gpu(request.gpu);
    let found = view.observed.primary_of(gpu).map(|function| function.identity);
    let stored = earlier.map(|entry| entry.identity);
    let unknown = || EngineError::Bug(format!("{} was observed without its primary function", gpu.address));
    let mut accepted = earlier.map(|entry| entry.accepted.clone()).unwrap_or_default();
    accepted.extend(request.accept.iter().copied().filter(|code| code.acceptable()));
    accepted.sort_unstable();
    accepted.dedup();
    Ok(DesiredGpu {
        address: request.gpu,
        identity: stored.or(found).ok_or_else(unknown)?,
        graphics_type: request.to,
        label: request.label.clone().or_else(|| earlier.and_then(|entry| entry.label.clone())),
        accepted,
    })
}

/// The document with the entry; unchanged, generation and all, where it says the same already.
fn with_entry(desired: &Desired, entry: DesiredGpu) -> Desired {
    if desired.gpu(entry.address) == Some(&entry) { desired.clone() } else { desired.with_gpu(entry) }
}

/// Remembers how the host had each function, the first time that it is taken away, and which virtual functions are
/// ours.
fn records_after(view: &View, plan: &Plan) -> Records {
    let mut records = view.records.clone();
    for (function, binding) in &plan.before.bindings {
        let with_host = !binding.driver.as_ref().is_some_and(|driver| driver.is_vfio());
        if with_host {
            records.host_bindings.insert(*function, binding.clone());
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

/// Functions that no driver took back: the primary always counts, the others where they had a driver before us.
fn no_host_driver(gpu: &Gpu, now: &Observed, records: &Records) -> Vec<Warning> {
    let had = |function: &Function| records.host_bindings.get(&function.address)?.driver.clone();
    let driverless = now.functions_of(gpu).filter(|function| function.binding.driver.is_none());
    let lost = driverless.filter(|function| function.address == gpu.address || had(function).is_some());
    lost.map(|function| {
        let before = had(function).map_or_else(String::new, |driver| format!("; it had {driver} before"));
        let text =
            format!("no host driver claims {}{before}: load it if the host is to use it", function.address);
        Warning { code: WarningCode::NoHostDriver, text }
    })
    .collect()
}
