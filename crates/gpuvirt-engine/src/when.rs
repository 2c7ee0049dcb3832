//! `gpu set --when`: a type that comes into force at once, when nothing is in the way, at the next boot, or with a VM.

use std::collections::BTreeSet;

use gpuvirt_model::{DesiredGpu, GraphicsType, Hostdev, PciAddress, Refusal, RefusalCode, When};
use gpuvirt_plan::{checks, pending_reason, switch};

use crate::mig_read::{Asked, READ_DEADLINE};
use crate::prepare::wanted;
use crate::switch::{entry, with_entry};
use crate::{Engine, EngineError, Report, SwitchRequest, View};

/// What has happened to cards since somebody last looked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stirred {
    /// Functions that came to the bus.
    pub came: BTreeSet<PciAddress>,
    /// Functions that a driver of the host's took.
    pub driven: BTreeSet<PciAddress>,
    /// More happened than could be heard: any card or driver may have come or gone.
    pub lost: bool,
}

impl Engine {
    /// Configures a GPU's type, to come into force when the request says.
    ///
    /// # Errors
    /// As [`Engine::set_type`]: also for later, what would be refused then for ever is refused now.
    pub fn configure(&self, request: &SwitchRequest) -> Result<Report, EngineError> {
        match request.when.unwrap_or_default() {
            When::Now => self.set_type(request),
            When::Idle => match self.set_type(request) {
                Err(EngineError::Refused(refusals)) if all_pass(&refusals) => self.put_off(request),
                done => done,
            },
            When::Boot | When::Vm => self.put_off(request),
        }
    }

    /// The configured GPUs that are to be led to their type now: those that wait until nothing is in the way, and those
    /// whose card or driver came. Others are as somebody left them, and are not taken back. Where events were lost nobody
    /// can tell which came, and all are looked at, as when the daemon starts.
    ///
    /// # Errors
    /// [`EngineError::Port`] when the document can't be read.
    pub fn due(&self, stirred: &Stirred) -> Result<Vec<PciAddress>, EngineError> {
        let (desired, _) = self.store.load()?;
        let came =
            |entry: &DesiredGpu| stirred.came.iter().any(|function| function.same_slot(&entry.address));
        let driven = |entry: &DesiredGpu| {
            let to = entry.graphics_type.resolve(&desired.host);
            to != GraphicsType::Direct && stirred.driven.contains(&entry.address)
        };
        let due = desired
            .gpus
            .iter()
            .filter(|entry| stirred.lost || entry.when == When::Idle || came(entry) || driven(entry));
        Ok(due.map(|entry| entry.address).collect())
    }

    /// Whether a VM that starts or runs, as hooks tell, has a part of this GPU: its end will be told.
    pub fn is_with_a_vm(&self, gpu: PciAddress) -> bool {
        let Ok(view) = self.view_by(|host| host.observe_gpu(gpu)) else { return false };
        let seen = &view.observed;
        let of_card =
            |function: &PciAddress| seen.gpu_of(*function).is_some_and(|found| found.address == gpu);
        let functions = seen.functions.keys().copied().filter(of_card);
        let functions = functions.map(|address| Hostdev::Pci { address, managed: false });
        let vgpus = seen.gpus.get(&gpu).into_iter().flat_map(|found| seen.vgpus_of(found));
        let devices: Vec<Hostdev> = functions.chain(vgpus.map(|vgpu| vgpu.id.hostdev())).collect();
        self.starts.who_has(&devices).is_some()
    }

    /// Stores what was asked for and leaves the host as it is.
    fn put_off(&self, request: &SwitchRequest) -> Result<Report, EngineError> {
        let asks = || self.is_about_mig(request.gpu, request.prepare.vgpu_mode);
        let turn = self.turn_at(request.gpu, request.dry_run && !asks()?);
        self.hands_on(request.gpu)?;
        let mut view = turn.view()?;
        self.changeable(&view, request.gpu)?;
        let asked = Asked {
            gpu: request.gpu,
            wanted: &|view| wanted(request, view),
            wipes: false,
            within: READ_DEADLINE,
        };
        self.see_gpu_instances(&mut view, &asked, || turn.view())?;
        let gpu = self.changeable(&view, request.gpu)?;
        let (stand, accepted) = self.refusals(request, &view)?;
        let stand: Vec<Refusal> = stand.into_iter().filter(|refusal| !refusal.code.passes()).collect();
        if !stand.is_empty() {
            return Err(EngineError::Refused(stand));
        }
        let entry = entry(request, gpu, &view, accepted)?;
        let desired = with_entry(&view.desired, entry);
        let reason = pending_reason(gpu, &view.observed, &desired);
        let (address, to) = (request.gpu, request.to);
        let text = match (desired == view.desired, request.dry_run) {
            (true, _) => {
                return Ok(Report {
                    pending: reason,
                    ..Report::unchanged(format!("{address} is configured as {to} already; nothing to do"))
                });
            }
            (false, true) => {
                format!("{address} would be configured as {to}; the host would not be touched now")
            }
            (false, false) => format!("{address} is configured as {to}; the host was not touched"),
        };
        if !request.dry_run {
            self.store.commit(&desired, &view.records)?;
        }
        Ok(Report { pending: reason, ..Report::changed(text) })
    }

    /// Everything that is in the way of a switch as things are, and the names of what was accepted.
    fn refusals(
        &self,
        request: &SwitchRequest,
        view: &View,
    ) -> Result<(Vec<Refusal>, Vec<RefusalCode>), EngineError> {
        let gpu = self.changeable(view, request.gpu)?;
        let to = request.to.resolve(&view.desired.host);
        if request.when == Some(When::Vm) && to != GraphicsType::Direct {
            return Ok((vec![not_for_a_vm(request)], Vec::new()));
        }
        let wanted = wanted(request, view);
        let plan = switch::plan_for(gpu, &view.observed, &wanted, &view.records);
        let change =
            checks::Switch { gpu, observed: &view.observed, desired: &view.desired, to, plan: &plan };
        let earlier = view.desired.gpu(request.gpu).filter(|entry| entry.graphics_type == request.to);
        let mut codes = earlier.map(|entry| entry.accepted.clone()).unwrap_or_default();
        let accept = [request.accept.as_slice(), codes.as_slice()].concat();
        let (mut stand, accepted) = checks::without_accepted(checks::refusals(&change), &accept);
        stand.extend(checks::prepare::refusals(&change, &wanted));
        stand.extend(checks::mig::refusals(&change, &wanted, &view.records));
        codes.extend(accepted.iter().map(|refusal| refusal.code));
        Ok((stand, codes))
    }
}

/// Only a whole card can be lent to a VM and taken back: vGPUs have their own places.
fn not_for_a_vm(request: &SwitchRequest) -> Refusal {
    Refusal {
        code: RefusalCode::NotPassthrough,
        summary: format!("{} cannot become {} with each VM", request.gpu, request.to),
        because: "only a GPU that is passed through whole changes hands with its VM".to_owned(),
        remedy: vec![format!("gpuvirt gpu set {} --type direct --when vm", request.gpu)],
    }
}

fn all_pass(refusals: &[Refusal]) -> bool {
    refusals.iter().all(|refusal| refusal.code.passes())
}
