//! What a start is judged on: the host as hooks know it, and what waits in the kernel.

use std::collections::BTreeSet;

use gpuvirt_model::{Domain, Hostdev, PciAddress, Records, Request, VgpuId, Wanted as Asked};
use gpuvirt_plan::checks::start::{Judgement, Missing, Start, judge};
use gpuvirt_plan::placement::Details;

use crate::{Engine, EngineError, View};

/// What a domain is judged on besides a view.
pub(crate) struct Grounds {
    /// GPUs whose change is not settled.
    hands_off: BTreeSet<PciAddress>,
    /// What placement minds.
    details: Details,
}

impl Engine {
    /// The host as a start sees it: VMs are those that hooks told of, and those that room is kept for.
    pub(super) fn start_view(&self) -> Result<View, EngineError> {
        self.view_of(gpuvirt_model::Reading::Known(self.awaited()))
    }

    pub(crate) fn judged(&self, domain: &Domain, view: &View) -> Result<Judgement, EngineError> {
        // What waits in the kernel is looked for only where something is to be placed.
        let known = |device: &Hostdev| match device {
            Hostdev::Mdev { uuid } => view.observed.vgpus.contains_key(&VgpuId::Mdev(*uuid)),
            Hostdev::Pci { address, .. } => view.observed.vgpus.contains_key(&VgpuId::Vf(*address)),
        };
        let places = domain.requests.list.iter().any(|request| {
            matches!(request.wanted, Asked::Profile { .. }) && !request.assigned.as_ref().is_some_and(known)
        });
        let details = if places { self.details(view)? } else { Details::default() };
        let hands_off = self.hands_off()?;
        Ok(self.judged_on(domain, view, &Grounds { hands_off, details }))
    }

    /// What domains are judged on besides a view, read once for however many.
    ///
    /// # Errors
    /// [`EngineError::Port`].
    pub(crate) fn grounds(&self, view: &View) -> Result<Grounds, EngineError> {
        Ok(Grounds { hands_off: self.hands_off()?, details: self.details(view)? })
    }

    /// GPUs whose change is under way or was not settled.
    ///
    /// # Errors
    /// [`EngineError::Port`].
    pub(crate) fn hands_off(&self) -> Result<BTreeSet<PciAddress>, EngineError> {
        Ok(self.store.open_intents()?.into_iter().map(|plan| plan.gpu).collect())
    }

    pub(crate) fn judged_on(&self, domain: &Domain, view: &View, grounds: &Grounds) -> Judgement {
        let View { observed, desired, records } = view;
        // It matters to devices that reach all of the guest's memory.
        let locks = domain.config.iter().any(|device| matches!(device, Hostdev::Pci { .. }));
        let memory = if locks { self.host.memory() } else { None };
        let Grounds { hands_off, details } = grounds;
        judge(&Start { domain, observed, desired, records, hands_off, memory: memory.as_ref(), details })
    }
}

/// What a domain's requests ask for and we have made for nobody.
pub(super) fn never_made(domain: &Domain, records: &Records) -> Vec<Missing> {
    let missing = |request: &Request| match (&request.wanted, &request.assigned) {
        (Asked::Profile { profile, params }, Some(Hostdev::Mdev { uuid })) => {
            let id = VgpuId::Mdev(*uuid);
            let (profile, params) = (profile.clone(), params.clone());
            (!records.vgpus.contains_key(&id)).then_some(Missing { id, profile, params, replaces: false })
        }
        _ => None,
    };
    domain.requests.list.iter().filter_map(missing).collect()
}
