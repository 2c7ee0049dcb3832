//! Starts that wait for one another get their vGPUs in one change: whoever has the host makes what the others miss too,
//! and claims it for them, so that a burst of starts costs about as much as one.
//!
//! Only where there is no choice of GPU: where there is, each start is placed by itself, on what the last one left.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gpuvirt_model::{Domain, Gpu, GraphicsType, ProfileName, VgpuId};
use gpuvirt_plan::checks::start::Missing;
use gpuvirt_plan::wish::Wish;

use crate::hook::WRITE_AT_LEAST;
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
    /// Somebody makes it now.
    Coming,
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
            Has::Nothing | Has::Coming => None,
        }
    }

    /// Whether somebody makes now what the start wants: it has nothing to do but wait.
    pub(crate) fn is_coming(&self, domain: &Domain) -> bool {
        let coming = |start: &Start| start.domain.uuid == domain.uuid && matches!(start.has, Has::Coming);
        self.state().iter().any(coming)
    }

    /// What these starts want is made now, or is not after all.
    fn mark(&self, companions: &[(Domain, Vec<Missing>)], coming: bool) {
        for start in self.state().iter_mut().filter(|start| !matches!(start.has, Has::All(_))) {
            if companions.iter().any(|(domain, _)| domain.uuid == start.domain.uuid) {
                start.has = if coming { Has::Coming } else { Has::Nothing };
            }
        }
    }

    fn all(&self) -> Vec<Domain> {
        let waits = |start: &&Start| matches!(start.has, Has::Nothing);
        self.state().iter().filter(waits).map(|start| start.domain.clone()).collect()
    }

    /// Notes that a start has all that it wants, if it waits still and `claim` succeeds; whether it waits still.
    fn finish(&self, domain: &Domain, made: Vec<VgpuId>, claim: impl FnOnce() -> bool) -> bool {
        let mut state = self.state();
        let waits =
            |start: &&mut Start| start.domain.uuid == domain.uuid && !matches!(start.has, Has::All(_));
        let Some(start) = state.iter_mut().find(waits) else { return false };
        start.has = if claim() { Has::All(made) } else { Has::Nothing };
        true
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

    /// Claims for others what was made for them. Of who gave up meanwhile it may go: its release may have come and gone
    /// while nothing of it was there yet.
    pub(crate) fn finish_companions(&self, companions: Vec<(Domain, Vec<Missing>)>, turn: &Turn<'_>) {
        if companions.is_empty() {
            return;
        }
        let seen = self.starts.mark();
        // All that they want was made just now: nobody holds it.
        let view = match turn.view_without_holders() {
            Ok(view) => view,
            Err(error) => {
                tracing::warn!(error = gpuvirt_model::chain(&error), "starts that wait look again");
                self.waiting_starts.mark(&companions, false);
                companions.iter().for_each(|(domain, _)| self.starts.expire(domain.uuid));
                return;
            }
        };
        for (domain, missing) in companions {
            let clean = self.judged(&domain, &view).is_ok_and(|judgement| judgement == Default::default());
            let gpus = crate::starts::gpus_of(&domain, &view);
            let wanted = Wanted { domain: &domain, gpus: &gpus, seen, end: Instant::now() };
            let made = missing.iter().map(|missing| missing.id).collect();
            let claim = || clean && self.starts.claim(&wanted).is_ok();
            if !self.waiting_starts.finish(&domain, made, claim) {
                self.starts.expire(domain.uuid);
            }
        }
    }

    /// Makes what is missing for one start, and what others wait for with it where all that goes in one change.
    pub(crate) fn make_together(
        &self,
        own: Wish,
        gpu: &Gpu,
        view: &View,
        turn: &Turn<'_>,
        end: Instant,
    ) -> Result<(), crate::EngineError> {
        let left = || end.saturating_duration_since(Instant::now());
        let companions = self.companions(&own.profile, gpu, view, left());
        let theirs = companions
            .iter()
            .flat_map(|(domain, missing)| missing.iter().map(|missing| wish(domain, missing)));
        let mut all = vec![own.clone()];
        all.extend(theirs);
        self.waiting_starts.mark(&companions, true);
        let made = self.make_within(view, gpu, &all, left());
        if made.is_err() {
            self.waiting_starts.mark(&companions, false);
        }
        match made {
            Ok(_) => {
                self.finish_companions(companions, turn);
                return Ok(());
            }
            Err(error) if companions.is_empty() || left() < WRITE_AT_LEAST => return Err(error),
            Err(_) => {}
        }
        // On a fresh look: a change that failed was taken back.
        let view = turn.view_without_holders()?;
        let gpu = self.changeable(&view, gpu.address)?;
        self.make_within(&view, gpu, &[own], left()).map(drop)
    }
}

/// What is missing as a wish: recorded as made for that domain's start.
pub(crate) fn wish(domain: &Domain, missing: &Missing) -> Wish {
    Wish {
        id: missing.id,
        profile: missing.profile.clone(),
        params: missing.params.clone(),
        domain: Some(domain.uuid),
        comes_back: false,
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

#[cfg(test)]
mod tests {
    use gpuvirt_model::{DomainState, Guest, Requests};
    use uuid::Uuid;

    use super::*;

    #[test]
    fn who_gave_up_is_told_from_who_waits_still() {
        let domain = Domain {
            name: "web".to_owned(),
            uuid: Uuid::from_u128(1),
            state: DomainState::Active,
            autostart: false,
            config: Vec::new(),
            live: Vec::new(),
            requests: Requests::default(),
            guest: Guest::default(),
        };
        let (waiting, made) = (Waiting::default(), vec![VgpuId::Mdev(Uuid::from_u128(2))]);
        waiting.enter(&domain);
        assert!(waiting.finish(&domain, made.clone(), || false), "it waits, and looks for itself");
        assert!(waiting.leave(&domain).is_none());
        assert!(!waiting.finish(&domain, made.clone(), || true), "nobody takes it");
        waiting.enter(&domain);
        let companions = [(domain.clone(), Vec::new())];
        waiting.mark(&companions, true);
        assert!(waiting.is_coming(&domain) && waiting.all().is_empty(), "nobody else makes it too");
        waiting.mark(&companions, false);
        assert!(!waiting.is_coming(&domain) && waiting.all().len() == 1);
        waiting.mark(&companions, true);
        assert!(waiting.finish(&domain, made.clone(), || true));
        waiting.mark(&companions, false);
        assert_eq!(waiting.leave(&domain), Some(made));
    }
}
