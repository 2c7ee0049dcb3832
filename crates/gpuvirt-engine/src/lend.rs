//! Cards that are lent to VMs (`--when vm`): direct while one that asks for them runs, the host's before and after.
//!
//! The same checked switch as `gpu set`, in the turn of whoever has the host, and without a word in the desired
//! document: that goes on to say "direct, with a VM".

use std::collections::BTreeMap;
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gpuvirt_model::{DesiredGpu, Gpu, GraphicsType, Hostdev, PciAddress, Refusal, RefusalCode, When};
use gpuvirt_plan::{Plan, Wanted, checks, switch};

use crate::hook::WRITE_AT_LEAST;
use crate::host::why;
use crate::mig_read::Asked;
use crate::prepare::power_control_lost;
use crate::records::records_after;
use crate::records::with_instances_after;
use crate::turn::Turn;
use crate::{Engine, EngineError, View};

impl Engine {
    /// Makes a card direct for a start, or the host's again.
    ///
    /// # Errors
    /// [`EngineError::Refused`] with every reason, nothing written; [`EngineError::Failed`] with what is true now.
    pub(crate) fn lend(
        &self,
        address: PciAddress,
        to: GraphicsType,
        (turn, view): (&Turn<'_>, &View),
        deadline: Duration,
    ) -> Result<(), EngineError> {
        let end = Instant::now() + deadline;
        let left = || end.saturating_duration_since(Instant::now());
        self.changeable(view, address)?;
        let (mut view, wanted) = (view.clone(), Wanted::of(to));
        let asked = Asked { gpu: address, wanted: &|_| Wanted::of(to), wipes: true, within: left() };
        self.see_gpu_instances(&mut view, &asked, || turn.view())?;
        let view = &view;
        let gpu = self.changeable(view, address)?;
        let plan = switch::plan_for(gpu, &view.observed, &wanted, &view.records);
        if plan.is_empty() {
            return Ok(());
        }
        let change =
            checks::Switch { gpu, observed: &view.observed, desired: &view.desired, to, plan: &plan };
        let accepted = view.desired.gpu(address).map(|entry| entry.accepted.clone()).unwrap_or_default();
        let (mut stand, _) = checks::without_accepted(checks::refusals(&change), &accepted);
        stand.extend(checks::mig::refusals(&change, &wanted, &view.records));
        if !stand.is_empty() {
            return Err(EngineError::Refused(stand));
        }
        if left() < WRITE_AT_LEAST {
            return Err(EngineError::Refused(vec![too_late(address)]));
        }
        let expected = records_after(view, &plan);
        let applied = self.apply(&plan, gpu, Some((&view.desired, &expected)), left())?;
        let plan = Plan { marks: applied.marks, ..plan };
        let records = with_instances_after(records_after(view, &plan), &plan, &applied.now);
        self.settle(&plan, view, &view.desired, &records, left())?;
        for warning in power_control_lost(&plan, &applied.now) {
            tracing::warn!(gpu = %address, "{}", warning.text);
        }
        tracing::info!(gpu = %address, %to, "lent");
        Ok(())
    }

    /// Gives the host back the cards that no VM has any more. One that can't go back stays with VFIO, keeps no other from
    /// going, and is told with the reason: [`Engine::kept_cards`].
    pub(crate) fn take_cards_back(&self, turn: &Turn<'_>, deadline: Duration) -> Result<(), EngineError> {
        let view = turn.view()?;
        let unsettled = self.hands_off()?;
        let free = view.desired.gpus.iter().filter(|entry| self.is_free(entry, &view));
        let free: Vec<PciAddress> =
            free.map(|entry| entry.address).filter(|gpu| !self.starts.keeps(*gpu)).collect();
        for address in free {
            if unsettled.contains(&address) {
                self.starts.keep(address);
            }
            let back =
                turn.view().and_then(|now| self.lend(address, GraphicsType::Shared, (turn, &now), deadline));
            match back {
                Ok(()) => drop(self.kept().remove(&address)),
                Err(error) => {
                    let why = why(&error);
                    tracing::warn!(gpu = %address, why, "a card that was lent to a VM stays with VFIO");
                    self.kept().insert(address, why);
                }
            }
        }
        Ok(())
    }

    /// The cards that were lent to VMs and could not be given back to the host, as a picture shows that they still are, each
    /// with the reason.
    pub fn kept_cards(&self, view: &View) -> BTreeMap<PciAddress, String> {
        let still = |address: &PciAddress| {
            let entry = view.desired.gpu(*address).filter(|_| !self.starts.is_changing(*address));
            entry.is_some_and(|entry| self.is_free(entry, view))
        };
        self.kept().iter().filter(|(address, _)| still(address)).map(|(a, why)| (*a, why.clone())).collect()
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<PciAddress, String>> {
        // Entries are added and removed whole.
        self.kept_cards.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a card that is lent to VMs is with VFIO, and nobody has it.
    fn is_free(&self, entry: &DesiredGpu, view: &View) -> bool {
        let gpu = view.observed.gpus.get(&entry.address).filter(|_| is_lent(entry, view));
        gpu.is_some_and(|gpu| gpu.on_vfio && gpu.holders.seen.is_empty() && !self.is_claimed(gpu))
    }

    fn is_claimed(&self, gpu: &Gpu) -> bool {
        let claimed =
            |address: &PciAddress| self.starts.has(&Hostdev::Pci { address: *address, managed: false });
        gpu.functions.iter().any(claimed)
    }
}

/// A look at the card left no time to write to it.
fn too_late(gpu: PciAddress) -> Refusal {
    Refusal {
        code: RefusalCode::Busy,
        summary: format!("{gpu} cannot be changed now"),
        because: "to look at it took too long: its vendor's command does not answer in time".to_owned(),
        remedy: vec![
            "try again later: gpuvirt status".to_owned(),
            format!("gpuvirt explain {}", RefusalCode::Busy),
        ],
    }
}

/// Whether a card is direct only while a VM that asks for it runs.
pub(crate) fn is_lent(entry: &DesiredGpu, view: &View) -> bool {
    entry.when == When::Vm && entry.graphics_type.resolve(&view.desired.host) == GraphicsType::Direct
}
