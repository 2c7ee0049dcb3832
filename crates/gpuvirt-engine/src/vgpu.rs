//! `vgpu create`: vGPUs of one GPU, all of them or none.

use std::time::Duration;

use gpuvirt_model::{
    Desired, DesiredVgpu, Gpu, Outcome, PciAddress, ProfileName, Records, VgpuId, VgpuRecord,
};
use gpuvirt_plan::checks::wish;
use gpuvirt_plan::vgpu::{self, Making, Wish};

use crate::{CreateRequest, Engine, EngineError, Report, View};

/// How long making a vGPU may take: drivers answer `create` within seconds, or not at all.
const CREATE_DEADLINE: Duration = Duration::from_secs(30);

impl Engine {
    /// Makes vGPUs: one plan and one journal for all. Asked again with the same uuids, GPU and profiles, it finds them
    /// done; those that are there already are left out of the plan.
    ///
    /// # Errors
    /// [`EngineError::Refused`] with every reason, nothing written; [`EngineError::Failed`] with what is true now.
    pub fn create_vgpus(&self, request: &CreateRequest) -> Result<Report, EngineError> {
        let _turn = self.turn(request.dry_run);
        self.hands_on(request.gpu)?;
        // Nothing is taken from anybody, so nobody is looked for.
        let view = self.view_without_holders()?;
        let gpu = self.changeable(&view, request.gpu)?;
        self.make(&view, gpu, &request.wishes, request.dry_run)
    }

    /// The same for whoever has the turn and a fresh view already: an admin's wish, a vGPU of the desired document
    /// that is not there, or one for a domain's start ([`Wish::domain`]).
    ///
    /// # Errors
    /// As [`Engine::create_vgpus`].
    pub(crate) fn make(
        &self,
        view: &View,
        gpu: &Gpu,
        wishes: &[Wish],
        dry_run: bool,
    ) -> Result<Report, EngineError> {
        let (there, missing): (Vec<Wish>, Vec<Wish>) =
            wishes.iter().cloned().partition(|wish| is_there(wish, gpu, view));
        if missing.is_empty() {
            return self.keep(view, gpu, &there, dry_run);
        }
        let places = wish::creatable(gpu, &missing, &view.observed, &view.desired);
        let places = places.map_err(EngineError::Refused)?;
        let makings: Vec<Making> = missing.iter().zip(places).map(|(wish, place)| wish.at(place)).collect();
        let plan = vgpu::create(gpu, &makings, &view.observed).ok_or_else(|| no_plan(gpu.address))?;
        let ids: Vec<VgpuId> = makings.iter().map(|making| making.id).collect();
        let what = sentence(&makings, gpu.address);
        let be = if makings.len() == 1 { "was" } else { "were" };
        let report = |text| Report { plan: Some(plan.clone()), vgpus: ids.clone(), ..Report::changed(text) };
        if dry_run {
            return Ok(report(format!("{what} would be created")));
        }
        self.apply(&plan, gpu, CREATE_DEADLINE)?;
        let made: Vec<(&Wish, &Making)> = missing.iter().zip(&makings).collect();
        let desired = with_wishes(&view.desired, gpu.address, &there, &made);
        self.settle(&plan, view, &desired, &records_after(view, &made), CREATE_DEADLINE)?;
        Ok(report(format!("{what} {be} created")))
    }

    /// vGPUs that are there: at most the desired document does not know of them yet.
    fn keep(&self, view: &View, gpu: &Gpu, there: &[Wish], dry_run: bool) -> Result<Report, EngineError> {
        let text = match there {
            [one] => format!("vGPU {} is there already; nothing to do", one.id),
            many => format!("{} vGPUs are there already; nothing to do", many.len()),
        };
        let desired = with_wishes(&view.desired, gpu.address, there, &[]);
        let vgpus = there.iter().map(|wish| wish.id).collect();
        if desired == view.desired {
            return Ok(Report { vgpus, ..Report::unchanged(text) });
        }
        if !dry_run {
            self.store.commit(&desired, &view.records)?;
        }
        let text = text.replace("nothing to do", "from now on it is made again after a reboot");
        Ok(Report { vgpus, outcome: Outcome::Changed(text.clone()), ..Report::changed(text) })
    }
}

/// Whether we made it already, there and of that profile. A driver may not tell the profile while the card is full;
/// our record does.
fn is_there(wish: &Wish, gpu: &Gpu, view: &View) -> bool {
    let recorded = view.records.vgpus.get(&wish.id);
    view.observed.vgpus.get(&wish.id).is_some_and(|found| {
        view.records.made(found)
            && found.gpu == gpu.address
            && (found.profile == wish.profile || recorded.is_some_and(|known| known.profile == wish.profile))
    })
}

fn with_wishes(desired: &Desired, gpu: PciAddress, there: &[Wish], made: &[(&Wish, &Making)]) -> Desired {
    let all = there.iter().map(|wish| (wish, wish.id)).chain(made.iter().map(|(wish, at)| (*wish, at.id)));
    let lasting = all.filter(|(wish, _)| wish.domain.is_none());
    let entries: Vec<DesiredVgpu> = lasting
        .map(|(wish, id)| DesiredVgpu { id, profile: wish.profile.clone(), params: wish.params.clone() })
        .collect();
    desired.with_vgpus(gpu, &entries)
}

fn records_after(view: &View, made: &[(&Wish, &Making)]) -> Records {
    let mut records = view.records.clone();
    records.vgpus.extend(made.iter().map(|(wish, Making { id, profile })| {
        let record = VgpuRecord {
            parent: profile.parent,
            type_id: profile.type_id.clone(),
            profile: profile.name.clone(),
            framework: profile.framework,
            boot: id.vf().and(view.observed.host.boot_id),
            domain: wish.domain,
        };
        (*id, record)
    }));
    records
}

fn sentence(makings: &[Making], gpu: PciAddress) -> String {
    match makings {
        [one] => sentence_about(one.id, &one.profile.name, one.profile.parent),
        many => format!("{} on {gpu}", vgpu::in_number(many.iter().map(|making| &making.profile.name))),
    }
}

/// A virtual function is where it is made.
pub(crate) fn sentence_about(id: VgpuId, profile: &ProfileName, parent: PciAddress) -> String {
    match id {
        VgpuId::Mdev(uuid) => format!("vGPU {uuid} of profile {profile} on {parent}"),
        VgpuId::Vf(vf) => format!("vGPU {vf} of profile {profile}"),
    }
}

/// The checks let a type through that no plan can be made for.
pub(crate) fn no_plan(gpu: PciAddress) -> EngineError {
    EngineError::Bug(format!("a vGPU of {gpu} has a type that is none of its framework"))
}
