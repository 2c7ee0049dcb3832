//! `gpu unset`: a GPU is nobody's business of ours any more.

use gpuvirt_model::{PciAddress, Refusal, RefusalCode, chain};
use gpuvirt_plan::{Plan, checks};

use crate::{Engine, EngineError, Report, View};

impl Engine {
    /// Forgets a GPU's configuration, and a change that could not be undone. The host stays as it is: an unmanaged
    /// GPU is never written to.
    ///
    /// # Errors
    /// [`EngineError::Refused`] when the address is neither a GPU nor configured, when vGPUs of ours live on it, and
    /// while another change of it is under way or a write of ours still waits in the kernel.
    pub fn unset(&self, address: PciAddress) -> Result<Report, EngineError> {
        let turn = self.turn_at(address, false);
        if let Some(refusal) = self.under_change(address) {
            return Err(EngineError::Refused(vec![refusal]));
        }
        if let Some(refusal) = self.still_waiting(address)? {
            return Err(EngineError::Refused(vec![refusal]));
        }
        let view = turn.view()?;
        let intents = self.store.open_intents()?;
        let intent = intents.iter().find(|plan| plan.gpu == address);
        if view.desired.gpu(address).is_none() && intent.is_none() {
            return match view.observed.gpus.contains_key(&address) {
                true => Ok(Report::unchanged(format!("{address} is unmanaged; nothing to do"))),
                false => Err(EngineError::Refused(vec![checks::not_found(address, &view.observed)])),
            };
        }
        if let Some(refusal) = vgpus_of_ours(&view, address) {
            return Err(EngineError::Refused(vec![refusal]));
        }
        // First: whoever finds an open journal takes the change back, and would write to a GPU that is nobody's business any
        // more. A GPU that is configured still and has none is led to what it is configured as.
        if let Some(plan) = intent {
            self.store.close_journal(plan)?;
        }
        if let Err(error) = self.store.commit(&view.desired.without_gpu(address), &view.records) {
            self.open_again(intent);
            return Err(error.into());
        }
        Ok(Report::changed(format!("{address} is unmanaged now; {}", left_as_it_is(&view, address))))
    }
}

impl Engine {
    /// Nothing was forgotten after all: the GPU is hands-off as before.
    fn open_again(&self, intent: Option<&Plan>) {
        let Some(plan) = intent else { return };
        if let Err(error) = self.store.open_journal(plan) {
            let error = chain(&error);
            tracing::warn!(gpu = %plan.gpu, error, "what an earlier change was to be taken back to is lost");
        }
    }
}

/// vGPUs that we made would be nobody's to remove.
pub(crate) fn vgpus_of_ours(view: &View, address: PciAddress) -> Option<Refusal> {
    let gpu = view.observed.gpus.get(&address)?;
    let ours = view.observed.vgpus_of(gpu).filter(|vgpu| view.records.made(vgpu));
    let alive: Vec<String> = ours.map(|vgpu| vgpu.id.to_string()).collect();
    (!alive.is_empty()).then(|| Refusal {
        code: RefusalCode::VgpusAlive,
        summary: format!("{address} cannot become unmanaged"),
        because: format!("gpuvirt made its vGPUs {}", alive.join(", ")),
        remedy: alive.iter().map(|id| format!("gpuvirt vgpu remove {id}")).collect(),
    })
}

/// Virtual functions that we enabled and leave behind, with how to remove them.
fn vfs_that_stay(view: &View, address: PciAddress) -> Option<String> {
    view.records.vfs.get(&address)?;
    let function = view.observed.functions.get(&address)?;
    let count = function.sriov.as_ref().map(|sriov| sriov.enabled).filter(|count| *count != 0)?;
    let by_hand = checks::without_vfs(function, &view.observed);
    Some(format!("the host was left as it is: its {count} virtual functions stay; to remove them: {by_hand}"))
}

fn left_as_it_is(view: &View, address: PciAddress) -> String {
    let driver = view.observed.functions.get(&address).and_then(|function| function.binding.driver.as_ref());
    if let Some(kept) = vfs_that_stay(view, address) {
        return kept;
    }
    match driver {
        Some(driver) if driver.is_vfio() => {
            format!("the host was left as it is: {driver} still has the card")
        }
        _ => "the host was left as it is".to_owned(),
    }
}
