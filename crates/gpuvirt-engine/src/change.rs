//! What every change begins and ends with.

use gpuvirt_model::{Desired, Function, Gpu, Observed, PciAddress, Records, Refusal, RefusalCode};
use gpuvirt_plan::checks::Waiting;
use gpuvirt_plan::{Plan, checks};

use gpuvirt_model::chain;

use crate::apply::Failure;
use crate::ports::PortError;
use crate::{Engine, EngineError, View, merge};

impl Engine {
    /// A GPU of this host on which changes may be made.
    pub(crate) fn changeable<'a>(&self, view: &'a View, address: PciAddress) -> Result<&'a Gpu, EngineError> {
        let gpu = view.observed.gpus.get(&address);
        let gpu =
            gpu.ok_or_else(|| EngineError::Refused(vec![checks::not_found(address, &view.observed)]))?;
        self.hands_on(address)?;
        self.neighbours_rest(gpu, &view.observed)?;
        // Before what the picture says: without writers part of it could not be read.
        self.host
            .writers()
            .map_err(|why| EngineError::Refused(vec![checks::no_writer(address, &chain(&why))]))?;
        match checks::untouchable(gpu, &view.observed, &self.waiting_at(gpu, &view.observed)?).as_slice() {
            [] => Ok(gpu),
            refusals => Err(EngineError::Refused(refusals.to_vec())),
        }
    }

    /// Refuses a GPU with an open intent, its change under way or never settled. It takes no look at the device, which
    /// may be locked.
    pub(crate) fn hands_on(&self, address: PciAddress) -> Result<(), EngineError> {
        if let Some(refusal) = self.under_change(address) {
            return Err(EngineError::Refused(vec![refusal]));
        }
        match self.store.open_intents()?.into_iter().find(|plan| plan.gpu == address) {
            Some(plan) => Err(EngineError::Refused(vec![hands_off(&plan)])),
            None => Ok(()),
        }
    }

    /// A refusal while a write of ours to this GPU has not ended.
    pub(crate) fn still_waiting(&self, address: PciAddress) -> Result<Option<Refusal>, EngineError> {
        let intents = self.store.open_intents()?;
        let Some(plan) = intents.into_iter().find(|plan| plan.gpu == address) else { return Ok(None) };
        Ok(self.waiting_for(&plan)?.map(|_| hands_off(&plan)))
    }

    /// The same as [`Engine::waiting`], as far as it concerns one GPU: where its holders have been looked for and there is
    /// nobody, and no lock is held, there is no writer either, and processes are not gone through once more.
    fn waiting_at(&self, gpu: &Gpu, observed: &Observed) -> Result<Vec<Waiting>, EngineError> {
        // Holders are those of the card itself: a write to a virtual function is nobody's there.
        let is_vf_of = |function: &Function| function.physfn.is_some_and(|of| gpu.functions.contains(&of));
        let asks = |function: &Function| function.locked || is_vf_of(function);
        let nobody = gpu.holders.unseen.is_none() && gpu.holders.seen.is_empty();
        let told = nobody && self.host.holders_show_writers() && !observed.functions.values().any(asks);
        if told { Ok(Vec::new()) } else { self.waiting() }
    }

    /// The functions that a write of ours or of an earlier daemon's holds locked.
    pub(crate) fn waiting(&self) -> Result<Vec<Waiting>, EngineError> {
        let writes = self.host.waiting_writes()?.into_iter();
        // A mediated device has a lock of its own.
        let of_functions = writes.filter(|write| write.vgpu.is_none());
        Ok(of_functions
            .filter_map(|write| Some(Waiting { process: write.writer, function: write.function? }))
            .collect())
    }

    /// Makes the documents of a change durable and forgets its journal; takes the change back when that fails.
    pub(crate) fn settle(
        &self,
        plan: &Plan,
        before: &View,
        desired: &Desired,
        records: &Records,
        deadline: std::time::Duration,
    ) -> Result<(), EngineError> {
        let stored = match self.stored_meanwhile(before) {
            Ok(stored) => stored,
            Err(error) => {
                return Err(self.take_back(plan, &Failure::of("reading what is stored", &error), deadline));
            }
        };
        let (desired, records) = &self.merged(plan.gpu, before, (desired, records), &stored);
        if let Err(error) = self.store.commit_settling(plan, desired, records) {
            let failure = Failure::of("storing the result", &error);
            // The new documents may be in place all the same, if it was the folder that could not be synced.
            let (desired, records) = &stored;
            if let Err(again) = self.store.commit(desired, records) {
                tracing::warn!(error = chain(&again), "the earlier documents could not be stored again");
            }
            return Err(self.take_back(plan, &failure, deadline));
        }
        if let Err(error) = self.store.close_journal(plan) {
            let now = "it is done and stored, but its journal could not be closed".to_owned();
            return Err(EngineError::Failed { what: chain(&error), now });
        }
        Ok(())
    }

    /// Makes documents durable that a change of a GPU leads to without a write to the host.
    ///
    /// # Errors
    /// [`PortError`].
    pub(crate) fn store_more(
        &self,
        gpu: PciAddress,
        before: &View,
        desired: &Desired,
        records: &Records,
    ) -> Result<(), PortError> {
        let stored = self.stored_meanwhile(before)?;
        let (desired, records) = self.merged(gpu, before, (desired, records), &stored);
        self.store.commit(&desired, &records)
    }

    /// What is stored: as it was seen before, where nobody else had the host since.
    fn stored_meanwhile(&self, before: &View) -> Result<Documents, PortError> {
        let lent = self.lent() > 0;
        if lent { self.store.load() } else { Ok((before.desired.clone(), before.records.clone())) }
    }

    /// The documents that a change leads to, on what others stored meanwhile.
    fn merged(
        &self,
        gpu: PciAddress,
        before: &View,
        (desired, records): (&Desired, &Records),
        stored: &Documents,
    ) -> Documents {
        if self.lent() == 0 {
            return (desired.clone(), records.clone());
        }
        let to_desired = merge::Change { gpu, from: &before.desired, to: desired };
        let to_records = merge::Change { gpu, from: &before.records, to: records };
        (merge::desired(&to_desired, &stored.0), merge::records(&to_records, &stored.1))
    }
}

type Documents = (Desired, Records);

/// What a GPU with an open journal answers to every request.
pub(crate) fn hands_off(plan: &Plan) -> Refusal {
    Refusal {
        code: RefusalCode::HandsOff,
        summary: format!("{} is hands-off", plan.gpu),
        because: format!("an earlier change neither succeeded nor could be undone: {}", plan.purpose),
        remedy: vec![
            "gpuvirt recover".to_owned(),
            format!("gpuvirt gpu unset {}, to leave the host as it is now", plan.gpu),
            format!("gpuvirt explain {}", RefusalCode::HandsOff),
        ],
    }
}
