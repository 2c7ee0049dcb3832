//! A GPU led to what the desired document says, without anybody's asking: at the daemon's start, and when a card or a
//! driver appears later.
//!
//! It decides on what the kernel shows and never asks libvirt, which starts after us. What is refused or fails is one
//! GPU's affair: whoever calls this goes on with the next.

use std::collections::BTreeSet;
use std::time::Duration;

use gpuvirt_model::{ConfiguredType, DesiredGpu, GraphicsType, PciAddress, Refusal, RefusalCode, When};
use gpuvirt_plan::switch;

use crate::prepare::wanted;
use crate::{Engine, EngineError, Preparation, Report, SwitchRequest, View, Wish};

impl Engine {
    /// The GPUs that the desired document names, present or not, in the order in which they are restored.
    ///
    /// # Errors
    /// [`EngineError::Port`] when the document can't be read.
    pub fn managed(&self) -> Result<Vec<PciAddress>, EngineError> {
        let (desired, _) = self.store.load()?;
        Ok(desired.gpus.iter().map(|entry| entry.address).collect())
    }

    /// Makes one GPU what the desired document says: driver, virtual functions, then vGPUs. Unchanged where it is so
    /// already, and for a GPU that nobody configured.
    ///
    /// # Errors
    /// [`EngineError::Refused`] with every reason, nothing written, where the card is gone, has moved or is another one,
    /// too; [`EngineError::Failed`] with what is true now.
    pub fn restore(&self, address: PciAddress, deadline: Duration) -> Result<Report, EngineError> {
        self.wait_for(&BTreeSet::from([address]));
        let _turn = self.kernel_turn();
        self.hands_on(address)?;
        let view = self.view_to_restore(address)?;
        let Some(entry) = view.desired.gpu(address) else {
            return Ok(Report::unchanged(format!("{address} is unmanaged; nothing to do")));
        };
        if let Some(refusal) = self.not_the_card(entry, &view) {
            return Err(EngineError::Refused(vec![refusal]));
        }
        let request = SwitchRequest {
            prepare: Preparation::default(),
            gpu: address,
            to: entry.graphics_type,
            label: None,
            accept: entry.accepted.clone(),
            when: None,
            dry_run: false,
            deadline,
        };
        if entry.waits_for_a_boot(view.observed.host.boot_id) {
            return Ok(Report::unchanged(format!("{address} waits for the next boot")));
        }
        if waits_for_a_vm(entry, &view) {
            return Ok(Report::unchanged(format!("{address} stays the host's until a VM asks for it")));
        }
        let stands = self.stands(&request, &view)?;
        let look = || self.view_by(|host| host.observe_gpu_and_holders(address));
        let view = if stands { view } else { look()? };
        let seen = stands.then(|| view.clone());
        let switched = self.set_type_in(&request, view, look)?;
        // Others may have had the host meanwhile: what is stored now is meant.
        let (desired, _) = self.store.load()?;
        let entry = desired.gpu(address);
        let wishes: Vec<Wish> = entry.into_iter().flat_map(|entry| &entry.vgpus).map(Wish::lasting).collect();
        if wishes.is_empty() || switched.pending.is_some() {
            return Ok(switched);
        }
        let seen = seen.filter(|_| !switched.outcome.is_changed());
        Ok(switched.and(self.make_what_can_be(address, &wishes, seen)?))
    }

    /// The GPU alone and without holders: a boot finds most cards as they are wanted, and nobody at work with them yet.
    /// The whole host where it is not there: then it counts what is there instead.
    fn view_to_restore(&self, address: PciAddress) -> Result<View, EngineError> {
        let view = self.view_by(|host| host.observe_gpu(address))?;
        if view.observed.gpus.contains_key(&address) { Ok(view) } else { self.kernel_view() }
    }

    /// Whether nothing of the card is to be changed before vGPUs are made. With GPU instances only its driver knows.
    fn stands(&self, request: &SwitchRequest, view: &View) -> Result<bool, EngineError> {
        let address = request.gpu;
        let instances = self.is_about_mig(address, request.prepare.vgpu_mode)?
            || view.records.vgpu_modes.contains_key(&address)
            || view.records.gpu_instances.iter().any(|record| record.gpu == address);
        let gpu = view.observed.gpus.get(&address).filter(|_| !instances);
        let plan =
            gpu.map(|gpu| switch::plan_for(gpu, &view.observed, &wanted(request, view), &view.records));
        Ok(plan.is_some_and(|plan| plan.is_empty()))
    }

    /// vGPUs of the desired document, in one change; where one of them is refused or fails, the others all the same.
    /// `seen`: the card as it is, where nothing was changed since it was looked at.
    fn make_what_can_be(
        &self,
        address: PciAddress,
        wishes: &[Wish],
        seen: Option<View>,
    ) -> Result<Report, EngineError> {
        let make_on =
            |view: &View, wishes: &[Wish]| self.make(view, self.changeable(view, address)?, wishes, false);
        let make = |wishes: &[Wish]| make_on(&self.kernel_view()?, wishes);
        let made = match seen.map(|view| make_on(&view, wishes)) {
            // A refusal tells of other GPUs too.
            None | Some(Err(EngineError::Refused(_))) => make(wishes),
            Some(ended) => ended,
        };
        match made {
            Err(EngineError::Refused(_) | EngineError::Failed { .. }) if wishes.len() > 1 => {}
            ended => return ended,
        }
        let (mut refusals, mut failure) = (Vec::new(), None);
        for wish in wishes {
            match make(std::slice::from_ref(wish)) {
                Err(EngineError::Refused(more)) => refusals.extend(more),
                Err(failed @ EngineError::Failed { .. }) => failure = Some(failed),
                ended => drop(ended?),
            }
        }
        if let Some(failed) = failure {
            return Err(failed);
        }
        // Only what stands together was refused: one after the other they fitted.
        if refusals.is_empty() { make(wishes) } else { Err(EngineError::Refused(refusals)) }
    }

    /// Why the stored address does not lead to the configured card: it is gone, or something else sits there. Where the
    /// card itself went is told and never followed: what is right for one slot may be wrong for another.
    fn not_the_card(&self, entry: &DesiredGpu, view: &View) -> Option<Refusal> {
        let address = entry.address;
        let found = view.observed.functions.get(&address).map(|function| function.identity);
        let gpu = view.observed.gpus.get(&address);
        if gpu.is_some() && found == Some(entry.identity) {
            return None;
        }
        let (code, because) = match found {
            Some(found) if found != entry.identity => {
                (RefusalCode::IdentityChanged, format!("{found} sits there, which is left alone"))
            }
            None if self.host.is_present(address) => (
                RefusalCode::IdentityChanged,
                "a device that is no GPU sits there, which is left alone".to_owned(),
            ),
            _ => (RefusalCode::GpuNotFound, "no GPU is there now".to_owned()),
        };
        Some(Refusal {
            code,
            summary: format!("{address}, configured as {}, is not that card", entry.graphics_type),
            because: format!("it was configured as {}; {because}", entry.identity),
            remedy: moved(entry, view)
                .into_iter()
                .chain([
                    format!("gpuvirt gpu unset {address}, to forget it"),
                    format!("gpuvirt explain {code}"),
                ])
                .collect(),
        })
    }
}

/// A card that its VM takes and gives back: between VMs, and after a boot, it is the host's.
fn waits_for_a_vm(entry: &DesiredGpu, view: &View) -> bool {
    entry.when == When::Vm && entry.graphics_type.resolve(&view.desired.host) == GraphicsType::Direct
}

/// What to do when the card sits elsewhere now, as far as that is beyond doubt: one unmanaged card of its kind.
fn moved(entry: &DesiredGpu, view: &View) -> Option<String> {
    let alike = view.observed.gpus.values().filter(|gpu| {
        let identity = view.observed.primary_of(gpu).map(|function| function.identity);
        identity == Some(entry.identity) && view.desired.gpu(gpu.address).is_none()
    });
    let found: Vec<PciAddress> = alike.map(|gpu| gpu.address).collect();
    let [address] = found.as_slice() else { return None };
    let label = entry.label.as_ref().map(|label| format!(" --label {label:?}")).unwrap_or_default();
    let kind: ConfiguredType = entry.graphics_type;
    Some(format!(
        "a card like it sits at {address}: gpuvirt gpu unset {}, then gpuvirt gpu set {address} --type {kind}{label}",
        entry.address
    ))
}
