//! On which GPU a vGPU is made: the one that was named, or the one that placement chooses. And what is left on each.

use std::num::NonZeroU32;

use gpuvirt_model::{PciAddress, Refusal, RefusalCode, VgpuId, chain};
use gpuvirt_plan::capacity::{self, Capacity};
use gpuvirt_plan::checks;
use gpuvirt_plan::placement::{Choice, Closed, Details, HostPicture, Request, choose, refusals_on};

use crate::mig_room::Read;
use crate::{CreateRequest, Engine, EngineError, View};

/// Where a vGPU is to be made.
pub(crate) struct Place {
    pub(crate) gpu: PciAddress,
    /// Why there; none where the GPU was named.
    pub(crate) choice: Option<Choice>,
    /// What forbids it there besides what every creation is checked for.
    pub(crate) refusals: Vec<Refusal>,
}

impl Engine {
    /// The GPU for a new vGPU, as far as GPU instances count by what was read of them ([`Engine::read_rooms`]).
    ///
    /// # Errors
    /// [`EngineError::Refused`] when none was named and none can take it.
    pub(crate) fn place(
        &self,
        request: &CreateRequest,
        view: &View,
        read: &Read,
    ) -> Result<Place, EngineError> {
        let mut details = self.details(view)?;
        let Some(first) = request.wishes.first() else {
            return Err(EngineError::Bug("no vGPU was asked for".to_owned()));
        };
        details.instances = self.rooms(view, &first.profile, read);
        let host = picture(view, &details);
        // What is kept for this very vGPU is known by its uuid; a virtual function's address is not chosen yet.
        let named = request.gpu.and_then(|gpu| view.observed.gpus.get(&gpu));
        let offered = named.and_then(|gpu| gpu.profiles.iter().find(|offer| offer.name == first.profile));
        let ids: Vec<VgpuId> = request
            .wishes
            .iter()
            .map(|wish| offered.map_or(wish.id, |profile| wish.at(profile).id))
            .collect();
        let count = u32::try_from(ids.len()).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MAX);
        let wanted = Request { count, vgpus: &ids, ..Request::one(&first.profile) };
        match request.gpu {
            None => {
                let choice =
                    choose(&wanted, &host).map_err(|refusal| EngineError::Refused(vec![*refusal]))?;
                Ok(Place { gpu: choice.gpu, choice: Some(choice), refusals: Vec::new() })
            }
            Some(gpu) => {
                let refusals = named.map(|gpu| refusals_on(gpu, &wanted, &host)).unwrap_or_default();
                Ok(Place { gpu, choice: None, refusals })
            }
        }
    }

    /// Of each profile and GPU how many fit, live, remain and are kept.
    ///
    /// # Errors
    /// [`EngineError::Port`] when our own files can't be read.
    pub fn capacity(&self, view: &View) -> Result<Vec<Capacity>, EngineError> {
        Ok(capacity::of_host(&picture(view, &self.details(view)?)))
    }

    /// What placement minds besides a view.
    pub(crate) fn details(&self, view: &View) -> Result<Details, EngineError> {
        let waiting = self.waiting()?;
        let no_writer = self.host.writers().err().map(|why| chain(&why));
        let locked = view.observed.gpus.values().filter_map(|gpu| {
            let no_writer = no_writer.as_ref().map(|why| checks::no_writer(gpu.address, why));
            let refusal = no_writer
                .or_else(|| checks::untouchable(gpu, &view.observed, &waiting).into_iter().next())?;
            Some((gpu.address, Closed { code: refusal.code, because: refusal.because }))
        });
        let unsettled = self.store.open_intents()?.into_iter().map(|plan| {
            let under_change = self.under_change(plan.gpu);
            let closed = under_change.map(|busy| Closed { code: busy.code, because: busy.because });
            let hands_off = || Closed { code: RefusalCode::HandsOff, because: "hands-off".to_owned() };
            (plan.gpu, closed.unwrap_or_else(hands_off))
        });
        Ok(Details { left_alone: locked.chain(unsettled).collect(), ..Details::default() })
    }
}

/// A view as placement sees it.
pub(crate) fn picture<'a>(view: &'a View, details: &'a Details) -> HostPicture<'a> {
    HostPicture { observed: &view.observed, desired: &view.desired, records: &view.records, details }
}

/// What the checks of every creation found, unless something else forbids it: all refusals at once.
pub(crate) fn judged<T>(checked: Result<T, Vec<Refusal>>, forbidden: &[Refusal]) -> Result<T, Vec<Refusal>> {
    match checked {
        Ok(found) if forbidden.is_empty() => Ok(found),
        Ok(_) => Err(forbidden.to_vec()),
        Err(refusals) => Err([refusals.as_slice(), forbidden].concat()),
    }
}
