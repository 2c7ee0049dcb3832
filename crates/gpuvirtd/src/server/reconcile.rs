//! What was asked for, made so when something happens that lets it: a VM stops, a card or its driver comes.
//!
//! Nothing here polls: it sleeps until it is stirred. Only while a GPU waits for a process to let go of it, or a write for
//! the kernel, which tells nobody, does it look again now and then. A change that failed is not tried again by itself; one
//! that was refused is, whenever something happens; one whose write did not end is taken back when it has ended.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use gpuvirt_api::event::EventKind;
use gpuvirt_api::status::RestoreOutcome;
use gpuvirt_engine::Stirred;
use gpuvirt_model::PciAddress;

use super::context::Context;
use super::lane::in_order;

/// Events come in bursts, and a card is not ready when its first one comes.
const BURST: Duration = Duration::from_millis(500);
/// How often it is looked whether a process still holds a GPU that waits for that, or whether a write has ended.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

impl Context {
    /// Leads GPUs to what was asked for as things happen. It never ends.
    pub async fn reconcile(self: Arc<Self>) {
        let mut failed = BTreeSet::new();
        let mut late = BTreeSet::new();
        // What an earlier daemon's writes still wait for, and those of our own start.
        let mut blocked = self.settle_ended(self.engine.take_given_up()).await;
        let mut waiting = !blocked.is_empty();
        loop {
            tokio::select! {
                () = self.stir.notify.notified() => tokio::time::sleep(BURST).await,
                () = tokio::time::sleep(LOOK_AGAIN), if waiting => {},
            }
            let stirred = self.stir.take();
            // A card that came is a new start for it.
            failed.retain(|gpu: &PciAddress| {
                !stirred.lost && !stirred.came.iter().any(|came| came.same_slot(gpu))
            });
            // Such a write may have ended before anybody looked.
            blocked.extend(self.engine.take_given_up());
            blocked = self.settle_ended(blocked).await;
            waiting = !blocked.is_empty();
            self.hear_ends().await;
            // libvirt may have come since.
            let forgotten = Arc::clone(&self);
            drop(tokio::spawn(async move { forgotten.remove_forgotten().await }));
            self.recover_late(&stirred, &mut late).await;
            let due: Vec<PciAddress> = self.due(stirred).await;
            let lead = |gpu| {
                let context = Arc::clone(&self);
                async move { (gpu, context.lead(gpu).await) }
            };
            for (gpu, outcome) in in_order(due.into_iter().filter(|gpu| !failed.contains(gpu)), lead).await {
                match outcome {
                    RestoreOutcome::Refused => waiting = true,
                    RestoreOutcome::Failed => drop(failed.insert(gpu)),
                    RestoreOutcome::Changed | RestoreOutcome::Unchanged => {}
                }
            }
            blocked.extend(self.engine.take_given_up());
            waiting |= !blocked.is_empty();
        }
    }

    /// Takes back the changes whose write was waited for and has ended; the GPUs whose write has not.
    async fn settle_ended(self: &Arc<Self>, before: BTreeSet<PciAddress>) -> BTreeSet<PciAddress> {
        let waiting = self.read(|context| Ok(context.engine.gpus_that_wait()?)).await;
        let waiting = match waiting {
            Ok(waiting) => waiting,
            Err(failure) => {
                tracing::warn!(error = failure.error.message, "it can't be told which writes still wait");
                return before;
            }
        };
        let ended: BTreeSet<PciAddress> = before.difference(&waiting).copied().collect();
        if !ended.is_empty() {
            if let Err(error) = self.recover_these(ended.clone()).await {
                tracing::error!(%error, "a change could not be taken back when its write had ended");
            }
            // What was asked for before that change is still to be so.
            for gpu in ended {
                self.lead(gpu).await;
            }
        }
        waiting
    }

    /// Takes back what could not be taken back before a card or its driver was there, as at a boot. Once for each function
    /// that comes: the way back itself has drivers bind, and must not be its own occasion.
    async fn recover_late(self: &Arc<Self>, stirred: &Stirred, late: &mut BTreeSet<PciAddress>) {
        let came: Vec<PciAddress> =
            stirred.came.union(&stirred.driven).filter(|function| late.insert(**function)).copied().collect();
        if came.is_empty() && !stirred.lost {
            return;
        }
        let open = self.read(|context| Ok(context.outside.store.open_intents()?)).await.unwrap_or_default();
        let mut is_back = |gpu: &PciAddress| {
            came.iter().any(|function| function.same_slot(gpu)) || (stirred.lost && late.insert(*gpu))
        };
        let open = open.into_iter().map(|plan| plan.gpu);
        let gpus: BTreeSet<PciAddress> = open.filter(|gpu| is_back(gpu)).collect();
        if gpus.is_empty() {
            return;
        }
        if let Err(error) = self.recover_these(gpus.clone()).await {
            tracing::error!(%error, "a change could not be taken back when its card or driver had come");
            return;
        }
        for gpu in gpus {
            self.lead(gpu).await;
        }
    }

    async fn due(self: &Arc<Self>, stirred: Stirred) -> Vec<PciAddress> {
        let due = self.read(move |context| Ok(context.engine.due(&stirred)?)).await;
        due.unwrap_or_else(|failure| {
            tracing::warn!(error = failure.error.message, "it can't be told which GPUs wait for something");
            Vec::new()
        })
    }

    async fn lead(self: &Arc<Self>, gpu: PciAddress) -> RestoreOutcome {
        let restored = self.restore_one(gpu).await;
        if restored.outcome == RestoreOutcome::Changed {
            self.events.tell(EventKind::Reconciled, Some(gpu), restored.what);
        }
        restored.outcome
    }
}
