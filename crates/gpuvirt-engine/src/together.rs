//! Starts that wait for one another get their vGPUs in one change: whoever has the host makes what the others miss too,
//! and claims it for them, so that a burst of starts costs about as much as one.
//!
//! Only where there is no choice of GPU: where there is, each start is placed by itself, on what the last one left.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gpuvirt_model::{Domain, Gpu, GraphicsType, ProfileName, VgpuId};
use gpuvirt_plan::checks::start::Missing;
use gpuvirt_plan::vgpu::Wish;

use crate::starts::Wanted;
use crate::turn::Turn;
use crate::{Engine, View};

/// Starts that wait for the host.
#[derive(Debug, Default)]
pub(crate) struct Waiting(Mutex<BTreeMap<uuid::Uuid, Start>>);

#[derive(Debug)]
enum Start {
    Waits(Box<Domain>),
    Done(Vec<VgpuId>),
}

impl Waiting {
    fn state(&self) -> MutexGuard<'_, BTreeMap<uuid::Uuid, Start>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The start waits from now on.
    pub(crate) fn enter(&self, domain: &Domain) {
        self.state().insert(domain.uuid, Start::Waits(Box::new(domain.clone())));
    }

    /// The start waits no more; what was made for it, if somebody else did it all.
    pub(crate) fn leave(&self, domain: &Domain) -> Option<Vec<VgpuId>> {
        match self.state().remove(&domain.uuid) {
            Some(Start::Done(made)) => Some(made),
            Some(Start::Waits(_)) | None => None,
        }
    }

    fn all(&self) -> Vec<Domain> {
        let waits = |start: &Start| match start {
            Start::Waits(domain) => Some((**domain).clone()),
            Start::Done(_) => None,
        };
        self.state().values().filter_map(waits).collect()
    }

    /// Notes that a start has all that it wants, if it waits still and `claim` succeeds.
    fn finish(&self, domain: &Domain, made: Vec<VgpuId>, claim: impl FnOnce() -> bool) {
        let mut state = self.state();
        if matches!(state.get(&domain.uuid), Some(Start::Waits(_))) && claim() {
            state.insert(domain.uuid, Start::Done(made));
        }
    }
}

impl Engine {
    /// What the starts that wait miss and could have on this GPU, when it is the only one for that.
    pub(crate) fn companions(
        &self,
        profile: &ProfileName,
        gpu: &Gpu,
        view: &View,
    ) -> Vec<(Domain, Vec<Missing>)> {
        if !is_only_choice(profile, gpu, view) {
            return Vec::new();
        }
        let fits = |missing: &Missing| {
            missing.profile == *profile && missing.id.uuid().is_some() && !missing.replaces
        };
        let judged = |domain: Domain| {
            let judgement = self.judged(&domain, view).ok()?;
            let nothing_else = judgement.refusals.is_empty() && judgement.lent.is_empty();
            let wanted = nothing_else && !judgement.missing.is_empty() && judgement.missing.iter().all(fits);
            wanted.then_some((domain, judgement.missing))
        };
        self.waiting_starts.all().into_iter().filter_map(judged).collect()
    }

    /// Claims for others what was made for them; who gave up meanwhile is left to its release.
    pub(crate) fn finish_companions(&self, companions: Vec<(Domain, Vec<Missing>)>, turn: &Turn<'_>) {
        let seen = self.starts.mark();
        let Ok(view) = turn.view() else { return };
        for (domain, missing) in companions {
            let clean = self.judged(&domain, &view).is_ok_and(|judgement| judgement == Default::default());
            let gpus = crate::hook::gpus_of(&domain, &view);
            let wanted = Wanted { domain: &domain, gpus: &gpus, seen, end: Instant::now() };
            let made = missing.iter().map(|missing| missing.id).collect();
            self.waiting_starts.finish(&domain, made, || clean && self.starts.claim(&wanted).is_ok());
        }
    }

    /// Makes what is missing for one start, and what others wait for with it where all that goes in one change.
    pub(crate) fn make_together(
        &self,
        own: Wish,
        gpu: &Gpu,
        view: &View,
        turn: &Turn<'_>,
        left: Duration,
    ) -> Result<(), crate::EngineError> {
        let companions = self.companions(&own.profile, gpu, view);
        let theirs = companions
            .iter()
            .flat_map(|(domain, missing)| missing.iter().map(|missing| wish(domain, missing)));
        let mut all = vec![own.clone()];
        all.extend(theirs);
        if all.len() > 1 && self.make_within(view, gpu, &all, left).is_ok() {
            self.finish_companions(companions, turn);
            return Ok(());
        }
        // On a fresh look: a change that failed was taken back.
        let view = if all.len() > 1 { turn.view()? } else { view.clone() };
        let gpu = self.changeable(&view, gpu.address)?;
        self.make_within(&view, gpu, &[own], left).map(drop)
    }
}

/// What is missing as a wish: recorded as made for that domain's start.
pub(crate) fn wish(domain: &Domain, missing: &Missing) -> Wish {
    Wish {
        id: missing.id,
        profile: missing.profile.clone(),
        params: missing.params.clone(),
        domain: Some(domain.uuid),
    }
}

/// Whether no other GPU makes vGPUs of this profile.
fn is_only_choice(profile: &ProfileName, gpu: &Gpu, view: &View) -> bool {
    let others = view.desired.gpus.iter().filter(|entry| {
        entry.address != gpu.address
            && entry.graphics_type.resolve(&view.desired.host) == GraphicsType::SharedDirect
    });
    let mut offers = others.filter_map(|entry| view.observed.gpus.get(&entry.address));
    !offers.any(|other| other.profiles.iter().any(|offer| offer.name == *profile))
}
