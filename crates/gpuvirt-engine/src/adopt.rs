//! `vm adopt`: a domain that somebody wrote by hand gets requests for the GPUs and vGPUs that it has.
//!
//! Only its metadata change: what QEMU gets stays byte by byte as it was, `managed=` and aliases included. From then on
//! a change of its devices is seen as drift, and another card at an address as another card.

use std::collections::BTreeSet;

use gpuvirt_domain::{DomainXml, set_requests};
use gpuvirt_model::{Hostdev, Outcome, PciAddress, Request, Requests, VgpuId, Wanted, chain};
use gpuvirt_plan::placement::Assignment;

use crate::definition::{Definition, Edit, domain, not_editable};
use crate::request::not_a_clone;
use crate::{Engine, EngineError, Report, View};

/// What was found in a definition.
#[derive(Default)]
struct Found {
    /// What can be asked for, with what there is to say of it.
    ours: Vec<(Wanted, Hostdev, Vec<String>)>,
    /// What is left alone, and why.
    left: Vec<String>,
}

impl Engine {
    /// Notes a request for each GPU and vGPU of a managed GPU that a domain's definition has without one. A running
    /// domain goes on as it is.
    ///
    /// # Errors
    /// [`EngineError::Refused`] for a clone, whose requests are its original's, and where there is no such domain.
    pub fn vm_adopt(&self, name: &str, dry_run: bool) -> Result<Report, EngineError> {
        let _order = (!dry_run).then(|| self.orders.take());
        let view = self.view()?;
        let listed = domain(&view, name)?;
        not_a_clone(listed)?;
        let uuid = listed.uuid;
        let told = std::cell::RefCell::new((Vec::new(), Vec::new()));
        let report = self.edit(name, dry_run, |xml| {
            let cannot =
                |why: &dyn std::error::Error| not_editable(name, &chain(why), "virsh edit it by hand");
            let read = gpuvirt_domain::read(xml).map_err(|error| cannot(&error))?;
            let found = found(&read, &view);
            let (requests, assignments) = with(&read.requests, found.ours, uuid);
            let few = assignments.is_empty();
            *told.borrow_mut() = (assignments, found.left);
            if few {
                let text = format!("VM {name} has no GPU without a request; nothing to do");
                return Ok(Edit::Nothing(Box::new(Report::unchanged(text))));
            }
            let xml = set_requests(xml, &requests).map_err(|error| cannot(&error))?;
            let subject = format!("what VM {name} has");
            Ok(Edit::Define(Definition { xml, fragment: String::new(), subject, verb: "adopted" }))
        })?;
        let (assignments, left) = told.into_inner();
        let lines = assignments.iter().map(|assignment: &Assignment| {
            let more = assignment.reasons.join(", ");
            if more.is_empty() { assignment.text.clone() } else { format!("{} ({more})", assignment.text) }
        });
        let text: Vec<String> =
            std::iter::once(report.outcome.value().clone()).chain(lines).chain(left).collect();
        let text = text.join("; ");
        let outcome = match report.outcome.is_changed() {
            true => Outcome::Changed(text),
            false => Outcome::Unchanged(text),
        };
        Ok(Report { outcome, xml: None, assignments, ..report })
    }
}

/// The devices without a request, each card once.
fn found(read: &DomainXml, view: &View) -> Found {
    let mut found = Found::default();
    let mut cards: BTreeSet<PciAddress> = BTreeSet::new();
    for device in read.hostdevs.iter().filter(|device| read.requests.of_device(device).is_none()) {
        match device {
            Hostdev::Mdev { uuid } => mdev(VgpuId::Mdev(*uuid), view, &mut found),
            Hostdev::Pci { address, managed } => {
                let Some(gpu) = view.observed.gpu_of(*address) else { continue };
                if view.desired.gpu(gpu.address).is_none() {
                    found
                        .left
                        .push(format!("{address} is of a GPU that nobody configured, and is left alone"));
                    continue;
                }
                let said = match managed {
                    true => vec![
                        "managed='yes': libvirt binds it at a start and gives it back after it".to_owned(),
                    ],
                    false => Vec::new(),
                };
                let is_vf = view.observed.functions.get(address).is_some_and(|f| f.physfn.is_some());
                if is_vf {
                    let wanted = Wanted::Vgpu { vgpu: VgpuId::Vf(*address) };
                    found.ours.push((wanted, device.clone(), said));
                } else if cards.insert(gpu.address) {
                    card(gpu, read, view, said, &mut found);
                }
            }
        }
    }
    found
}

fn mdev(id: VgpuId, view: &View, found: &mut Found) {
    let Some(vgpu) = view.observed.vgpus.get(&id) else {
        found.left.push(format!("mdev {id} is not there, so that nobody knows what it was"));
        return;
    };
    if view.desired.gpu(vgpu.gpu).is_none() {
        found.left.push(format!("vGPU {id} is on a GPU that nobody configured, and is left alone"));
        return;
    }
    let said = vec![format!("profile {} on {}", vgpu.profile, vgpu.parent)];
    found.ours.push((Wanted::Vgpu { vgpu: id }, id.hostdev(), said));
}

fn card(gpu: &gpuvirt_model::Gpu, read: &DomainXml, view: &View, mut said: Vec<String>, found: &mut Found) {
    let Some(primary) = view.observed.primary_of(gpu) else { return };
    let has = |function: &PciAddress| {
        let device = Hostdev::Pci { address: *function, managed: false };
        read.hostdevs.iter().any(|hostdev| hostdev.same_device(&device))
    };
    if !has(&gpu.address) {
        let companions = format!("{} without its primary function, which is no GPU for a guest", gpu.address);
        found.left.push(companions);
        return;
    }
    let without: Vec<String> =
        gpu.functions.iter().filter(|function| !has(function)).map(ToString::to_string).collect();
    if !without.is_empty() {
        said.push(format!("without {}", without.join(", ")));
    }
    let wanted = Wanted::Gpu { gpu: gpu.address, identity: primary.identity };
    found.ours.push((wanted, Hostdev::Pci { address: gpu.address, managed: false }, said));
}

/// The requests with these, and what was adopted for people.
fn with(
    requests: &Requests,
    ours: Vec<(Wanted, Hostdev, Vec<String>)>,
    uuid: uuid::Uuid,
) -> (Requests, Vec<Assignment>) {
    let mut requests = Requests { domain: Some(uuid), ..requests.clone() };
    let mut told = Vec::new();
    for (wanted, device, reasons) in ours {
        let id = requests.next_id();
        let text = format!("request-{id} for {wanted}");
        told.push(Assignment { request: id, text, reasons, rejected: Vec::new() });
        requests.list.push(Request { id, alias: String::new(), wanted, assigned: Some(device), key: None });
    }
    (requests, told)
}
