//! `vgpu create`: vGPUs of one GPU, all of them or none.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use gpuvirt_model::{
    Desired, DesiredVgpu, Gpu, Outcome, PciAddress, ProfileName, Records, Refusal, RefusalCode, VgpuId,
    VgpuRecord,
};
use gpuvirt_plan::checks::{self, wish};
use gpuvirt_plan::params;
use gpuvirt_plan::vgpu;
use gpuvirt_plan::wish::{Making, Wish};

use crate::mig_read::READ_DEADLINE;
use crate::mig_room::Read;
use crate::placement;
use crate::vgpu_params::refuse_any;
use crate::{CreateRequest, Engine, EngineError, Report, View};

/// How long making a vGPU may take: drivers answer `create` within seconds, or not at all.
const CREATE_DEADLINE: Duration = Duration::from_secs(30);

/// How long vGPUs for which no GPU is named are tried again, where a change of one is under way.
const OTHERS_FIRST: Duration = Duration::from_secs(60);

/// Whether only to plan, how long a write may take, and what forbids it besides what every creation is checked for.
struct How<'a> {
    dry_run: bool,
    deadline: Duration,
    forbidden: &'a [Refusal],
}

impl Engine {
    /// Makes vGPUs: one plan and one journal for all. Asked again with the same uuids, GPU and profiles, it finds them
    /// done; those that are there already are left out of the plan.
    ///
    /// # Errors
    /// [`EngineError::Refused`] with every reason, nothing written; [`EngineError::Failed`] with what is true now.
    pub fn create_vgpus(&self, request: &CreateRequest) -> Result<Report, EngineError> {
        let end = Instant::now() + OTHERS_FIRST;
        loop {
            // Where no GPU is named, a change that is under way may be of the one that could take them.
            let others = self.starts.changing();
            match self.create_now(request) {
                Err(EngineError::Refused(refusals)) if may_fit_later(request, &refusals) => {
                    let ended = others.iter().any(|gpu| !self.starts.is_changing(*gpu));
                    let soon: BTreeSet<PciAddress> =
                        others.into_iter().filter(|gpu| self.is_to_end_soon(*gpu)).collect();
                    if Instant::now() >= end || (soon.is_empty() && !ended) {
                        return Err(EngineError::Refused(refusals));
                    }
                    if !ended {
                        self.wait_for(&soon);
                    }
                }
                ended => return ended,
            }
        }
    }

    fn create_now(&self, request: &CreateRequest) -> Result<Report, EngineError> {
        let turn = match request.gpu {
            Some(gpu) => self.turn_at(gpu, request.dry_run),
            None => self.turn(request.dry_run),
        };
        request.gpu.map_or(Ok(()), |gpu| self.hands_on(gpu))?;
        let mut read = Read::until(Instant::now() + READ_DEADLINE);
        let (view, request) = loop {
            // Nothing is taken from anybody, so nobody is looked for.
            let view = turn.view_without_holders()?;
            let wishes = request.wishes.iter().map(|wish| as_made(wish, &view)).collect();
            let request = CreateRequest { wishes, ..*request };
            if let Some(report) = self.anywhere_already(&request, &view)? {
                return Ok(report);
            }
            // The vendor's command is a client of the card: only in the turn of a change.
            let first = request.wishes.first().filter(|_| !request.dry_run);
            if !first.is_some_and(|first| self.read_rooms(&view, &first.profile, &mut read)) {
                break (view, request);
            }
        };
        let request = &request;
        let place = self.place(request, &view, &read)?;
        let gpu = self.changeable(&view, place.gpu)?;
        let report = self.make_by(
            &view,
            gpu,
            &request.wishes,
            &How { dry_run: request.dry_run, deadline: CREATE_DEADLINE, forbidden: &place.refusals },
        )?;
        Ok(Report { placement: place.choice, ..report })
    }

    /// vGPUs for which no GPU is named, asked for again.
    fn anywhere_already(&self, request: &CreateRequest, view: &View) -> Result<Option<Report>, EngineError> {
        let Some(first) = request.wishes.first().filter(|_| request.gpu.is_none()) else { return Ok(None) };
        let found = view.observed.vgpus.get(&first.id);
        let Some(gpu) = found.and_then(|vgpu| view.observed.gpus.get(&vgpu.gpu)) else { return Ok(None) };
        let all = request.wishes.iter().all(|wish| is_there(wish, gpu, view));
        all.then(|| self.keep(view, gpu, &request.wishes, request.dry_run)).transpose()
    }

    /// The same for whoever has the turn and a fresh view already: vGPUs of the desired document that are not there.
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
        self.make_by(view, gpu, wishes, &How { dry_run, deadline: CREATE_DEADLINE, forbidden: &[] })
    }

    /// The same for a domain's start ([`Wish::domain`]).
    ///
    /// # Errors
    /// As [`Engine::create_vgpus`].
    pub(crate) fn make_within(
        &self,
        view: &View,
        gpu: &Gpu,
        wishes: &[Wish],
        deadline: Duration,
    ) -> Result<Report, EngineError> {
        self.make_by(view, gpu, wishes, &How { dry_run: false, deadline, forbidden: &[] })
    }

    fn make_by(&self, view: &View, gpu: &Gpu, wishes: &[Wish], how: &How<'_>) -> Result<Report, EngineError> {
        let How { dry_run, deadline, forbidden } = *how;
        let (there, missing): (Vec<Wish>, Vec<Wish>) =
            wishes.iter().cloned().partition(|wish| is_there(wish, gpu, view));
        refuse_any(checks::params::differing(&there, &view.observed))?;
        if missing.is_empty() {
            return self.keep(view, gpu, &there, dry_run);
        }
        let places =
            placement::judged(wish::creatable(gpu, &missing, &view.observed, &view.desired), forbidden);
        let places = places.map_err(EngineError::Refused)?;
        let makings: Vec<Making> = missing.iter().zip(places).map(|(wish, place)| wish.at(place)).collect();
        refuse_any(checks::params::not_taken(&missing, &makings))?;
        let mut plan = vgpu::create(gpu, &makings, &view.observed).ok_or_else(|| no_plan(gpu.address))?;
        params::add(&mut plan, &missing, &makings);
        let ids: Vec<VgpuId> = makings.iter().map(|making| making.id).collect();
        let what = sentence(&makings, gpu.address);
        let be = if makings.len() == 1 { "was" } else { "were" };
        let report = |text| Report { plan: Some(plan.clone()), vgpus: ids.clone(), ..Report::changed(text) };
        if dry_run {
            return Ok(report(format!("{what} would be created")));
        }
        let made: Vec<(&Wish, &Making)> = missing.iter().zip(&makings).collect();
        let desired = with_wishes(&view.desired, gpu.address, &there, &made);
        self.apply_and_settle(&plan, view, (&desired, &records_after(view, &made)), deadline)?;
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
            // Whoever names no GPU comes here without its turn.
            if let Some(refusal) = self.under_change(gpu.address) {
                return Err(EngineError::Refused(vec![refusal]));
            }
            self.store.commit(&desired, &view.records)?;
        }
        let text = text.replace("nothing to do", "from now on it is made again after a reboot");
        Ok(Report { vgpus, outcome: Outcome::Changed(text.clone()), ..Report::changed(text) })
    }
}

/// Whether the end of a change of some GPU may let a creation through that was refused.
fn may_fit_later(request: &CreateRequest, refusals: &[Refusal]) -> bool {
    let about_room = |refusal: &Refusal| {
        matches!(
            refusal.code,
            RefusalCode::NoCapacity
                | RefusalCode::CapacityReserved
                | RefusalCode::ProfileNotOffered
                | RefusalCode::Busy
        )
    };
    request.gpu.is_none() && !request.dry_run && refusals.iter().all(about_room)
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

/// The wish by the name that its vGPU got, where it was made already and is there.
fn as_made(wish: &Wish, view: &View) -> Wish {
    let asked = wish.id.uuid().filter(|_| wish.comes_back);
    let recorded = view.records.vgpus.iter().find(|(_, record)| asked.is_some() && record.asked_as == asked);
    let made = recorded
        .map(|(id, _)| *id)
        .filter(|id| view.observed.vgpus.get(id).is_some_and(|found| view.records.made(found)));
    Wish { id: made.unwrap_or(wish.id), ..wish.clone() }
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
            asked_as: wish.id.uuid().filter(|_| wish.comes_back && wish.id != *id),
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
