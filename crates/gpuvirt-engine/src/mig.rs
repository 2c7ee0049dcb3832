//! `mig list`, `mig create` and `mig remove`: a card's GPU instances.
//!
//! They are read in the turn of a change only (`mig_read.rs` says why), and only those that our plan made become ours.

use std::time::Duration;

use gpuvirt_model::{
    Desired, DesiredGpu, GpuInstance, GpuInstanceRecord, MigState, PciAddress, ProgramPath, Records, chain,
};
use gpuvirt_plan::checks::mig::{Request, command_for};
use gpuvirt_plan::mig;

use crate::apply::Applied;
use crate::engine::{CreateGpuInstances, RemoveGpuInstances};
use crate::mig_read::READ_DEADLINE;
use crate::ports::PortError;
use crate::records::{new_instances, record};
use crate::turn::Turn;
use crate::{Engine, EngineError, Report, View};

/// How long making a GPU instance may take.
const CREATE_DEADLINE: Duration = Duration::from_secs(120);

/// The GPU instances of one card, as far as they can be told.
#[derive(Debug, Clone)]
pub struct MigView {
    /// The GPU.
    pub gpu: PciAddress,
    /// What it has; else why that can't be told.
    pub state: Result<MigState, String>,
}

impl Engine {
    /// The GPU instances of one GPU, or of every managed one whose driver has a vendor's command.
    ///
    /// # Errors
    /// [`EngineError::Refused`] for a GPU that is not there, and one that nothing can be told about.
    pub fn mig(&self, only: Option<PciAddress>) -> Result<(View, Vec<MigView>), EngineError> {
        let turn = match only {
            Some(address) => self.turn_at(address, false),
            None => self.begin(),
        };
        let view = turn.view()?;
        let cards: Vec<PciAddress> = match only {
            Some(address) => {
                let gpu = self.changeable(&view, address)?;
                let request = Request { gpu, observed: &view.observed, desired: &view.desired };
                let none = || EngineError::Refused(vec![request.no_command("has no GPU instances to show")]);
                command_for(gpu, &view.observed).ok_or_else(none)?;
                vec![address]
            }
            None => self.cards(&view),
        };
        let read = |gpu| MigView { gpu, state: self.look_at_instances(gpu, &view) };
        let found = cards.into_iter().map(read).collect();
        Ok((view, found))
    }

    /// The same of one card for a listing: others have their turn while the command takes long.
    fn look_at_instances(&self, gpu: PciAddress, view: &View) -> Result<MigState, String> {
        // Somebody may have begun with it while another card was looked at.
        self.hands_on(gpu).map_err(|error| chain(&error))?;
        self.mig_state(gpu, &view.observed, READ_DEADLINE)
    }

    /// A card that is asked for GPU instances, with what it has of them, and a picture from after they were read.
    fn with_instances_of(
        &self,
        turn: &Turn<'_>,
        address: PciAddress,
        what: &str,
    ) -> Result<(View, ProgramPath, MigState), EngineError> {
        let command = |view: &View| {
            let gpu = self.changeable(view, address)?;
            let asked = Request { gpu, observed: &view.observed, desired: &view.desired };
            let command = asked.command(what).map_err(|refusal| EngineError::Refused(vec![refusal]))?;
            Ok::<_, EngineError>(command.clone())
        };
        let (view, lent) = (turn.view()?, self.lent());
        let asked = command(&view)?;
        let state = self.read_mig(address, &asked, READ_DEADLINE)?;
        if self.lent() == lent {
            return Ok((view, asked, state));
        }
        // Others had the host meanwhile: what they did counts.
        let view = turn.view()?;
        let asked = command(&view)?;
        Ok((view, asked, state))
    }

    /// Makes GPU instances of one profile.
    ///
    /// # Errors
    /// [`EngineError::Refused`] with every reason, nothing written; [`EngineError::Failed`] with what is true now.
    pub fn create_gpu_instances(&self, request: &CreateGpuInstances) -> Result<Report, EngineError> {
        let turn = self.turn_at(request.gpu, false);
        let (address, profile, count) = (request.gpu, request.profile.as_str(), request.count);
        self.hands_on(address)?;
        let what = format!("cannot get GPU instances: {count} of {profile:?}");
        let (view, command, state) = self.with_instances_of(&turn, address, &what)?;
        if let Some(ids) = made_before(request, &state, &view.records) {
            let text = format!("GPU instances {ids} of {address} were made for this already; nothing to do");
            return Ok(Report::unchanged(text));
        }
        let gpu = self.changeable(&view, address)?;
        let asked = Request { gpu, observed: &view.observed, desired: &view.desired };
        let found = asked.creatable(&state, profile, count).map_err(EngineError::Refused)?;
        let card = mig::Card { gpu: address, command: &command, state: &state };
        let plan = mig::create(&card, found, count);
        let made = format!("{address}: {count} GPU instances of {profile}");
        let report = |text| Report { plan: Some(plan.clone()), ..Report::changed(text) };
        if request.dry_run {
            return Ok(report(format!("{made} would be made")));
        }
        if plan.is_empty() {
            return Ok(Report::unchanged(format!("{made}; nothing to do")));
        }
        let Applied { now, marks } = self.apply(&plan, gpu, None, CREATE_DEADLINE)?;
        let new = new_instances(address, &marks, &now);
        let mut records = view.records.clone();
        records.gpu_instances.extend(
            new.iter()
                .map(|instance| GpuInstanceRecord { key: request.key, ..record(address, instance, &now) }),
        );
        let desired = with_instances(&view.desired, address, |names| {
            names.extend(new.iter().map(|instance| instance.profile.clone()));
            names.sort();
        });
        self.settle(&plan, &view, &desired, &records, CREATE_DEADLINE)?;
        let ids: Vec<String> = new.iter().map(|instance| instance.id.to_string()).collect();
        Ok(report(format!("{made} were made: {}", ids.join(", "))))
    }

    /// Removes one GPU instance, or all that are ours.
    ///
    /// # Errors
    /// As [`Engine::create_gpu_instances`].
    pub fn remove_gpu_instances(&self, request: &RemoveGpuInstances) -> Result<Report, EngineError> {
        let turn = self.turn_at(request.gpu, false);
        let address = request.gpu;
        self.hands_on(address)?;
        let (view, command, state) = self.with_instances_of(&turn, address, "cannot lose GPU instances")?;
        let gpu = self.changeable(&view, address)?;
        let asked = Request { gpu, observed: &view.observed, desired: &view.desired };
        let gone = removed(request, &asked, &state, &view.records)?;
        if gone.is_empty() {
            return Ok(self.forget_instances(&view, address, request.dry_run)?);
        }
        let card = mig::Card { gpu: address, command: &command, state: &state };
        let plan = mig::remove(&card, &gone);
        let names: Vec<String> =
            gone.iter().map(|instance| format!("{} ({})", instance.id, instance.profile)).collect();
        let what = format!("{address}: GPU instances {}", names.join(", "));
        let report = |text| Report { plan: Some(plan.clone()), ..Report::changed(text) };
        if request.dry_run {
            return Ok(report(format!("{what} would be removed")));
        }
        let mut records = view.records.clone();
        records.gpu_instances.retain(|record| !gone.iter().any(|instance| record.is_of(address, instance)));
        let desired = with_instances(&view.desired, address, |names| {
            for instance in &gone {
                if let Some(at) = names.iter().position(|name| *name == instance.profile) {
                    names.remove(at);
                }
            }
        });
        self.apply_and_settle(&plan, &view, (&desired, &records), request.deadline)?;
        Ok(report(format!("{what} were removed")))
    }

    /// None of ours is on the card any more: what is stored of them goes.
    fn forget_instances(&self, view: &View, gpu: PciAddress, dry_run: bool) -> Result<Report, PortError> {
        let mut records = view.records.clone();
        records.gpu_instances.retain(|record| record.gpu != gpu);
        let desired = with_instances(&view.desired, gpu, Vec::clear);
        if desired == view.desired && records == view.records {
            return Ok(Report::unchanged(format!("{gpu} has no GPU instance of ours; nothing to do")));
        }
        if !dry_run {
            self.store.commit(&desired, &records)?;
        }
        Ok(Report::changed(format!("{gpu} has no GPU instance of ours any more; their record was removed")))
    }
}

/// The numbers of the GPU instances that were made when this was asked before, as far as they are there.
fn made_before(request: &CreateGpuInstances, state: &MigState, records: &Records) -> Option<String> {
    let key = request.key.filter(|_| !request.dry_run)?;
    let of_it = |one: &&GpuInstance| {
        let same = |record: &&GpuInstanceRecord| record.key == Some(key) && one.profile == request.profile;
        records.gpu_instances.iter().filter(same).any(|record| record.is_of(request.gpu, one))
    };
    let ids: Vec<String> = state.instances.iter().filter(of_it).map(|one| one.id.to_string()).collect();
    (!ids.is_empty()).then(|| ids.join(", "))
}

/// The GPU instances that a request is about. All: those of ours that nothing lives on, or every reason against it.
fn removed<'s>(
    request: &RemoveGpuInstances,
    asked: &Request,
    state: &'s MigState,
    records: &Records,
) -> Result<Vec<&'s GpuInstance>, EngineError> {
    let ours = state.instances.iter().filter(|one| records.made_instance(request.gpu, one)).map(|one| one.id);
    let ids: Vec<u32> = request.id.map_or_else(|| ours.collect(), |id| vec![id]);
    let (mut gone, mut refusals) = (Vec::new(), Vec::new());
    for id in ids {
        match asked.removable(state, id, records) {
            Ok(instance) => gone.push(instance),
            Err(found) => refusals.extend(found),
        }
    }
    if refusals.is_empty() { Ok(gone) } else { Err(EngineError::Refused(refusals)) }
}

/// The document with another list of GPU instances for a managed GPU; unchanged where the list is the same.
fn with_instances(desired: &Desired, gpu: PciAddress, change: impl FnOnce(&mut Vec<String>)) -> Desired {
    let Some(entry) = desired.gpu(gpu) else { return desired.clone() };
    let mut names = entry.gpu_instances.clone();
    change(&mut names);
    if names == entry.gpu_instances {
        return desired.clone();
    }
    desired.with_gpu(DesiredGpu { gpu_instances: names, ..entry.clone() })
}
