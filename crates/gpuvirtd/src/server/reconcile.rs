//! What was asked for, made so when something happens that lets it: a VM stops, a card or its driver comes.
//!
//! Nothing here polls: it sleeps until it is stirred. Only while a GPU waits for a process to let go of it, or a write for
//! the kernel, which tells nobody, does it look again now and then, and at nothing else. A change that failed is not tried again
//! before its card or driver comes anew; one that was refused, or waits for its driver, is, whenever something happens; one whose
//! write did not end is taken back when it has ended.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use gpuvirt_api::event::EventKind;
use gpuvirt_api::status::RestoreOutcome;
use gpuvirt_engine::Stirred;
use gpuvirt_model::PciAddress;

use super::context::Context;
use super::lane::in_order;
use super::stir::Happened;
use super::tried::{Next, Tried};

/// Events come in bursts, and a card is not ready when its first one comes.
const BURST: Duration = Duration::from_millis(500);
/// How often it is looked whether a process still holds a GPU that waits for that, or whether a write has ended.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

impl Context {
    /// Leads GPUs to what was asked for as things happen. It never ends.
    pub async fn reconcile(self: Arc<Self>) {
        let mut tried = Tried::default();
        // What an earlier daemon's writes still wait for, and those of our own start.
        let mut blocked = self.settle_ended(self.engine.take_given_up(), &mut tried).await;
        self.restored.block(&blocked);
        // What the start was refused may wait for what tells nobody.
        self.stir.released();
        loop {
            let ticked = tokio::select! {
                () = self.stir.notify.notified() => {
                    tokio::time::sleep(BURST).await;
                    false
                },
                () = tokio::time::sleep(LOOK_AGAIN), if tried.looks() || !blocked.is_empty() => true,
            };
            let happened = self.stir.take();
            let ticked = ticked && happened == Happened::default();
            tried.hear(&happened);
            // Such a write may have ended before anybody looked.
            blocked.extend(self.engine.take_given_up());
            blocked = self.settle_ended(blocked, &mut tried).await;
            self.restored.block(&blocked);
            self.hear_ends().await;
            // libvirt may have come since.
            let forgotten = Arc::clone(&self);
            drop(tokio::spawn(async move { forgotten.remove_forgotten().await }));
            self.recover_late(&happened, &mut tried).await;
            self.lead_due(happened, ticked, &mut tried).await;
            blocked.extend(self.engine.take_given_up());
            self.restored.block(&blocked);
        }
    }

    async fn lead_due(self: &Arc<Self>, happened: Happened, ticked: bool, tried: &mut Tried) {
        let due: Vec<PciAddress> = self.due(happened.stirred).await;
        tried.only(&due);
        let lead = |gpu| {
            let context = Arc::clone(self);
            async move { (gpu, context.lead(gpu).await) }
        };
        let due: Vec<PciAddress> = due.into_iter().filter(|gpu| tried.is_due(*gpu, ticked)).collect();
        for (gpu, next) in in_order(due, lead).await {
            tried.led(gpu, next);
        }
    }

    /// Takes back the changes whose write was waited for and has ended; the GPUs whose write has not.
    async fn settle_ended(
        self: &Arc<Self>,
        before: BTreeSet<PciAddress>,
        tried: &mut Tried,
    ) -> BTreeSet<PciAddress> {
        let found = |context: &Self| Ok((context.engine.gpus_that_wait()?, context.engine.changing()));
        let waiting = match self.read(found).await {
            // One that somebody is at has not ended either.
            Ok((waiting, changing)) => &waiting | &(&before & &changing),
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
                tried.led(gpu, self.lead(gpu).await);
            }
        }
        waiting
    }

    /// Takes back what could not be taken back before a card or its driver was there, as at a boot. Once for each coming: the
    /// way back itself has drivers bind, and must not be its own occasion.
    async fn recover_late(self: &Arc<Self>, happened: &Happened, tried: &mut Tried) {
        if *happened == Happened::default() {
            return;
        }
        let open = self.read(|context| Ok(context.outside.store.open_intents()?)).await.unwrap_or_default();
        let open = open.into_iter().map(|plan| plan.gpu);
        let gpus: BTreeSet<PciAddress> = open.filter(|gpu| tried.may_go_back(*gpu, happened)).collect();
        if gpus.is_empty() {
            return;
        }
        let recovered = self.recover_these(gpus.clone()).await;
        let then = self.read(|context| Ok(context.outside.host.last_event())).await.ok().flatten();
        gpus.iter().for_each(|gpu| tried.went_back(*gpu, then));
        if let Err(error) = recovered {
            tracing::error!(%error, "a change could not be taken back when its card or driver had come");
            return;
        }
        for gpu in gpus {
            tried.led(gpu, self.lead(gpu).await);
        }
    }

    async fn due(self: &Arc<Self>, stirred: Stirred) -> Vec<PciAddress> {
        let due = self.read(move |context| Ok(context.engine.due(&stirred)?)).await;
        due.unwrap_or_else(|failure| {
            tracing::warn!(error = failure.error.message, "it can't be told which GPUs wait for something");
            Vec::new()
        })
    }

    async fn lead(self: &Arc<Self>, gpu: PciAddress) -> Next {
        let (restored, next) = self.restore_one(gpu).await;
        if restored.outcome == RestoreOutcome::Changed {
            self.events.tell(EventKind::Reconciled, Some(gpu), restored.what);
        }
        next
    }
}
