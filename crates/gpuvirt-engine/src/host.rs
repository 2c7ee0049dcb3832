//! `host set`, `host maintenance` and `host reserve`: the host's defaults, and the GPUs that follow them.

use std::time::Duration;

use gpuvirt_model::{
    AssignmentPolicy, ConfiguredType, Desired, DesiredGpu, DesiredHost, Refusal, RefusalCode, Reservation,
    VgpuMode, Warning, WarningCode, chain,
};
use gpuvirt_plan::{capacity, running};

use crate::placement::picture;
use crate::{Engine, EngineError, Preparation, Report, SwitchRequest, View};

/// A change of the host's defaults; what is none stays.
#[derive(Debug, Clone)]
pub struct HostRequest {
    /// What `default` means for a GPU: shared or shared-direct.
    pub default_type: Option<ConfiguredType>,
    /// On which of several suitable GPUs a vGPU is made.
    pub assignment_policy: Option<AssignmentPolicy>,
    /// Whether nothing more is placed on the host.
    pub maintenance: Option<bool>,
    /// Room for so many of a profile is kept; 0 takes that back.
    pub reserve: Option<Reservation>,
    /// GPUs that follow the default type are changed with it.
    pub yes: bool,
    /// Longest wait for one write that can block.
    pub deadline: Duration,
}

impl Engine {
    /// Changes the host's defaults. A GPU that follows the default type is then made to follow; where it can't yet, it is
    /// pending, with the reason.
    ///
    /// # Errors
    /// [`EngineError::Refused`] with every reason, nothing changed.
    pub fn set_host(&self, request: &HostRequest) -> Result<Report, EngineError> {
        let (followers, report) = {
            let turn = self.begin();
            let view = turn.view()?;
            let host = wanted(&view.desired.host, request);
            let desired = view.desired.with_host(host);
            let followers: Vec<DesiredGpu> = followers(&view.desired, &desired).cloned().collect();
            let mut refusals: Vec<Refusal> = Vec::new();
            refusals.extend((!request.yes).then(|| affects_others(&desired.host, &followers)).flatten());
            if let Some(reservation) = &request.reserve {
                refusals.extend(self.not_reservable(reservation, &view, &desired)?);
            }
            if !refusals.is_empty() {
                return Err(EngineError::Refused(refusals));
            }
            // Asked again, the same tells what is left of it.
            let maintenance = request.maintenance == Some(true);
            let still = maintenance.then(|| running::running_vms(&view.observed, None));
            let told =
                still.as_ref().map(|still| format!("; {}", running::sentence(still))).unwrap_or_default();
            let still_running = still.and_then(|still| still.known().cloned()).unwrap_or_default();
            if desired.host == view.desired.host {
                let text = format!("the host is set so already; nothing to do{told}");
                return Ok(Report { still_running, ..Report::unchanged(text) });
            }
            self.store.commit(&desired, &view.records)?;
            let text = format!("{}{told}", changes(&view.desired.host, &desired.host));
            let report = Report { still_running, ..Report::changed(text) };
            let asked = request.assignment_policy.is_some();
            (
                followers,
                Report {
                    warnings: asked.then(|| not_in_effect(&desired)).flatten().into_iter().collect(),
                    ..report
                },
            )
        };
        Ok(followers.iter().fold(report, |report, follower| self.follow(follower, request, report)))
    }

    /// Makes a GPU what the new default type says, and adds to the report what came of it.
    fn follow(&self, follower: &DesiredGpu, request: &HostRequest, mut report: Report) -> Report {
        let switch = SwitchRequest {
            prepare: Preparation::default(),
            gpu: follower.address,
            to: ConfiguredType::Default,
            label: None,
            accept: Vec::new(),
            when: None,
            dry_run: false,
            deadline: request.deadline,
        };
        let (said, pending) = match self.set_type(&switch) {
            Ok(followed) => {
                report.warnings.extend(followed.warnings);
                let pending = followed.pending.map(|why| format!("{}: {why}", follower.address));
                (followed.outcome.value().clone(), pending)
            }
            Err(error) => {
                let why = why(&error);
                (
                    format!("{} does not follow yet", follower.address),
                    Some(format!("{}: {why}", follower.address)),
                )
            }
        };
        let text = format!("{}; {said}", report.outcome.value());
        report.outcome = gpuvirt_model::Outcome::Changed(text);
        report.pending = match (report.pending, pending) {
            (Some(earlier), Some(pending)) => Some(format!("{earlier}; {pending}")),
            (earlier, pending) => earlier.or(pending),
        };
        report
    }

    /// A reservation that could not be kept is none.
    fn not_reservable(
        &self,
        reservation: &Reservation,
        view: &View,
        desired: &Desired,
    ) -> Result<Option<Refusal>, EngineError> {
        if reservation.count == 0 {
            return Ok(None);
        }
        let details = self.details(view)?;
        // Maintenance ends; what is reserved meanwhile is judged as if it had.
        let open = |desired: &Desired| {
            let host = DesiredHost { maintenance: false, ..desired.host.clone() };
            View { desired: desired.with_host(host), ..view.clone() }
        };
        let unmet = |all: &[capacity::Capacity]| all.iter().map(|one| u64::from(one.unmet)).sum::<u64>();
        let before = capacity::of_host(&picture(&open(&view.desired), &details));
        if let Err(refusal) = capacity::named(before.clone(), &reservation.profile) {
            return Ok(Some(*refusal));
        }
        let after = capacity::of_host(&picture(&open(desired), &details));
        if unmet(&after) <= unmet(&before) {
            return Ok(None);
        }
        let Reservation { profile, count } = reservation;
        let room = capacity::named(before, profile).map(|one| (one.consumed, one.reserved, one.remaining));
        let (consumed, reserved, remaining) = room.unwrap_or_default();
        let code = RefusalCode::NoCapacity;
        Ok(Some(Refusal {
            code,
            summary: format!("{count} of profile {profile} cannot be reserved"),
            because: format!(
                "of it {consumed} live, {reserved} are kept already, and {remaining} more are to be had"
            ),
            remedy: vec![format!("gpuvirt capacity --profile {profile}"), format!("gpuvirt explain {code}")],
        }))
    }
}

/// The defaults with the request in them.
fn wanted(host: &DesiredHost, request: &HostRequest) -> DesiredHost {
    let mut reservations = host.reservations.clone();
    if let Some(reservation) = &request.reserve {
        reservations.retain(|kept| kept.profile != reservation.profile);
        reservations.extend((reservation.count > 0).then(|| reservation.clone()));
        reservations.sort_by(|a, b| a.profile.cmp(&b.profile));
    }
    DesiredHost {
        default_type: request.default_type.unwrap_or(host.default_type),
        assignment_policy: request.assignment_policy.unwrap_or(host.assignment_policy),
        maintenance: request.maintenance.unwrap_or(host.maintenance),
        reservations,
    }
}

/// The GPUs that follow the default type to another one.
pub(crate) fn followers<'a>(
    before: &'a Desired,
    after: &'a Desired,
) -> impl Iterator<Item = &'a DesiredGpu> + 'a {
    let resolves = |gpu: &DesiredGpu, desired: &Desired| gpu.graphics_type.resolve(&desired.host);
    before.gpus.iter().filter(move |gpu| resolves(gpu, before) != resolves(gpu, after))
}

/// Those who would become something else with a new default type, as a refusal that lists them.
pub(crate) fn affects_others(host: &DesiredHost, followers: &[DesiredGpu]) -> Option<Refusal> {
    let names: Vec<String> = followers.iter().map(|gpu| gpu.address.to_string()).collect();
    let to = host.default_type;
    let code = RefusalCode::AffectsOthers;
    (!names.is_empty()).then(|| Refusal {
        code,
        summary: format!("the default type cannot become {to} just so"),
        because: format!("these are configured as default and would become {to} too: {}", names.join(", ")),
        remedy: vec!["the same again with --yes".to_owned(), format!("gpuvirt explain {code}")],
    })
}

/// The GPUs on which the policy does not act.
fn not_in_effect(desired: &Desired) -> Option<Warning> {
    let others = desired.gpus.iter().filter_map(|gpu| match gpu.vgpu_mode? {
        VgpuMode::SameSize => None,
        mode @ (VgpuMode::MixedSize | VgpuMode::Mig) => Some(format!("{} ({mode})", gpu.address)),
    });
    let others: Vec<String> = others.collect();
    let text = format!("the assignment policy does not act on {}", others.join(", "));
    (!others.is_empty()).then_some(Warning { code: WarningCode::PolicyNotInEffect, text })
}

/// What differs, in words.
fn changes(before: &DesiredHost, after: &DesiredHost) -> String {
    let mut said = Vec::new();
    if before.default_type != after.default_type {
        said.push(format!("the default type is {} now", after.default_type));
    }
    if before.assignment_policy != after.assignment_policy {
        said.push(format!("the assignment policy is {} now", after.assignment_policy));
    }
    match (before.maintenance, after.maintenance) {
        (false, true) => said.push("the host is in maintenance: nothing more is placed on it".to_owned()),
        (true, false) => said.push("the host is not in maintenance any more".to_owned()),
        (false, false) | (true, true) => {}
    }
    let count = |host: &DesiredHost, profile| {
        host.reservations.iter().find(|kept| kept.profile == profile).map_or(0, |kept| kept.count)
    };
    for Reservation { profile, count: kept } in &after.reservations {
        if count(before, profile.clone()) != *kept {
            said.push(format!("room for {kept} of profile {profile} is kept"));
        }
    }
    for Reservation { profile, .. } in &before.reservations {
        if count(after, profile.clone()) == 0 {
            said.push(format!("no room is kept for profile {profile} any more"));
        }
    }
    said.join("; ")
}

/// An error in one line.
pub(crate) fn why(error: &EngineError) -> String {
    match error {
        EngineError::Refused(refusals) => {
            let each = refusals.iter().map(|refusal| format!("{} [{}]", refusal.because, refusal.code));
            each.collect::<Vec<_>>().join("; ")
        }
        EngineError::Failed { .. } | EngineError::Port(_) | EngineError::Bug(_) => chain(error),
    }
}
