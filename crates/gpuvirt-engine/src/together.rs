//! Starts that wait for one another get their vGPUs in one change: whoever has the host makes what the others miss too,
//! and claims it for them, so that a burst of starts costs about as much as one.
//!
//! Only where there is no choice of GPU: where there is, each start is placed by itself, on what the last one left.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gpuvirt_model::{Domain, Gpu, GraphicsType, ProfileName, VgpuId};
use gpuvirt_plan::checks::start::Missing;
use gpuvirt_plan::wish::Wish;

use crate::starts::Wanted;
use crate::turn::Turn;
use crate::{Engine, View};

/// Starts that wait for the host.
#[derive(Debug, Default)]
pub(crate) struct Waiting(Mutex<Vec<Start>>);

/// One of them, in the order in which they came.
#[derive(Debug)]
struct Start {
    domain: Domain,
    has: Has,
}

#[derive(Debug)]
enum Has {
    Nothing,
    All(Vec<VgpuId>),
}

impl Waiting {
    fn state(&self) -> MutexGuard<'_, Vec<Start>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The start waits from now on.
    pub(crate) fn enter(&self, domain: &Domain) {
        let mut state = self.state();
        state.retain(|start| start.domain.uuid != domain.uuid);
        state.push(Start { domain: domain.clone(), has: Has::Nothing });
    }

    /// The start waits no more; what was made for it, if somebody else did it all.
    pub(crate) fn leave(&self, domain: &Domain) -> Option<Vec<VgpuId>> {
        let mut state = self.state();
        let index = state.iter().position(|start| start.domain.uuid == domain.uuid)?;
        match state.remove(index).has {
            Has::All(made) => Some(made),
            Has::Nothing => None,
        }
    }

    fn all(&self) -> Vec<Domain> {
        let waits = |start: &&Start| matches!(start.has, Has::Nothing);
        self.state().iter().filter(waits).map(|start| start.domain.clone()).collect()
    }

    /// Notes that a start has all that it wants, if it waits still and `claim` succeeds.
    fn finish(&self, domain: &Domain, made: Vec<VgpuId>, claim: impl FnOnce() -> bool) {
        let mut state = self.state();
        let waits =
            |start: &&mut Start| start.domain.uuid == domain.uuid && matches!(start.has, Has::Nothing);
        if let Some(start) = state.iter_mut().find(waits) {
            if claim() {
                start.has = Has::All(made);
            }
        }
    }
}

impl Engine {
    /// What the starts that wait miss and could have on this GPU, when it is the only one for that: those that came
    /// first, and as many as can be made in half of the time that is left.
    pub(crate) fn companions(
        &self,
        profile: &ProfileName,
        gpu: &Gpu,
        view: &View,
        left: Duration,
    ) -> Vec<(Domain, Vec<Missing>)> {
        if !is_only_choice(profile, gpu, view) {
            return Vec::new();
        }
        let fits = |missing: &Missing| {
            missing.profile == *profile && missing.id.uuid().is_some() && !missing.replaces
        };
        // Once for all of them: it takes a look at every process.
        let Ok(grounds) = self.grounds(view) else { return Vec::new() };
        let judged = |domain: Domain| {
            let judgement = self.judged_on(&domain, view, &grounds);
            let nothing_else = judgement.refusals.is_empty() && judgement.lent.is_empty();
            let wanted = nothing_else && !judgement.missing.is_empty() && judgement.missing.iter().all(fits);
            // Nobody was looked for who holds anything: it must want nothing that is there.
            let only = domain.config.len() == judgement.missing.len();
            (wanted && only).then_some((domain, judgement.missing))
        };
        let mut room = self.creations.fit(left / 2);
        let fits = |(_, missing): &(Domain, Vec<Missing>)| {
            let fits = missing.len() <= room;
            room = room.saturating_sub(missing.len());
            fits
        };
        self.waiting_starts.all().into_iter().filter_map(judged).take_while(fits).collect()
    }

    /// Claims for others what was made for them; who gave up meanwhile is left to its release.
    pub(crate) fn finish_companions(&self, companions: Vec<(Domain, Vec<Missing>)>, turn: &Turn<'_>) {
        let seen = self.starts.mark();
        // All that they want was made just now: nobody holds it.
        let Ok(view) = turn.view_without_holders() else { return };
        for (domain, missing) in companions {
            let clean = self.judged(&domain, &view).is_ok_and(|judgement| judgement == Default::default());
            let gpus = crate::starts::gpus_of(&domain, &view);
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
        let companions = self.companions(&own.profile, gpu, view, left);
        let theirs = companions
            .iter()
            .flat_map(|(domain, missing)| missing.iter().map(|missing| wish(domain, missing)));
        let mut all = vec![own.clone()];
        all.extend(theirs);
        if all.len() > 1 && self.make_within(view, gpu, &all, left).is_ok() {
            self.finish_companions(companions, turn);
            return Ok(());
        }
        if all.len() == 1 {
            return self.make_within(view, gpu, &[own], left).map(drop);
        }
        // On a fresh look: a change that failed was taken back.
        let view = turn.view_without_holders()?;
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
