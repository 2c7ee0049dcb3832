//! What was asked for, made so at the daemon's start: GPU by GPU, and what came of it kept for `status`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use gpuvirt_api::ApiError;
use gpuvirt_api::event::EventKind;
use gpuvirt_api::status::{RestoreOutcome, RestoredGpu};
use gpuvirt_engine::{EngineError, Report};
use gpuvirt_model::{PciAddress, chain};
use tokio::sync::watch;

use super::answer::Failure;
use super::context::Context;
use super::lane::in_order;
use super::tried::Next;

/// Longest wait for one write at start. Nothing runs on a card yet, so a driver that takes longer is stuck; the card is
/// hands-off then, and the others have their turn.
const RESTORE_DEADLINE: Duration = Duration::from_secs(20);

/// What the daemon's start does with a GPU.
enum Led {
    /// A change that an earlier daemon left open is taken back.
    Back(PciAddress),
    /// It becomes what it was configured as.
    On(PciAddress),
}

/// The GPUs that are led back first, each with whether that has ended.
type Recovered = BTreeMap<PciAddress, watch::Sender<bool>>;

impl Context {
    /// Takes back what a write that has ended at last kept unsettled, in the turn of a change.
    ///
    /// # Errors
    /// What stays hands-off, and why.
    pub(super) async fn recover_these(self: &Arc<Self>, gpus: BTreeSet<PciAddress>) -> Result<(), ApiError> {
        self.recover_within(gpus, self.write_deadline).await
    }

    async fn recover_within(
        self: &Arc<Self>,
        gpus: BTreeSet<PciAddress>,
        deadline: Duration,
    ) -> Result<(), ApiError> {
        let work = move |context: &Self| {
            let _mark = context.hearing.own_change();
            Ok(context.engine.recover_these(&gpus, deadline)?)
        };
        let report = self.on_a_thread(&self.changes, work).await.map_err(|failure| failure.error)?;
        self.tell_recovered(&report);
        Ok(())
    }

    fn tell_recovered(&self, report: &Report) {
        if report.outcome.is_changed() {
            self.events.tell(EventKind::Reconciled, None, report.outcome.value().clone());
            tracing::warn!(what = report.outcome.value(), "taken back");
            self.restored.note_settled(report.outcome.value().clone());
        }
    }

    /// At the daemon's start: takes back what an earlier daemon began and did not settle, then makes every configured GPU what
    /// it was configured as, GPU by GPU, each in the turn of a change. One that can't be is reported and holds up no other, and
    /// neither does one whose driver takes long, at the one or at the other.
    ///
    /// # Errors
    /// Only when it can't be told what is configured.
    pub async fn restore(self: &Arc<Self>) -> Result<(), ApiError> {
        let open = self.read(|context| Ok(context.outside.store.open_intents()?)).await;
        let open = open.unwrap_or_else(|failure| {
            tracing::error!(error = %failure.error, "what an earlier daemon left unfinished can't be told");
            Vec::new()
        });
        let recovered: Recovered = open.iter().map(|plan| (plan.gpu, watch::Sender::new(false))).collect();
        let managed = self.read(|context| Ok(context.engine.managed()?)).await;
        let managed = managed.map_err(|failure| failure.error);
        self.restored.to_come().extend(managed.iter().flatten());
        let mut all: Vec<Led> = recovered.keys().map(|gpu| Led::Back(*gpu)).collect();
        all.extend(managed.iter().flatten().map(|gpu| Led::On(*gpu)));
        let recovered = Arc::new(recovered);
        let lead = |led| {
            let (context, recovered) = (Arc::clone(self), Arc::clone(&recovered));
            async move { context.lead_at_start(led, &recovered).await }
        };
        in_order(all, lead).await;
        self.restored.finish();
        managed.map(drop)
    }

    async fn lead_at_start(self: Arc<Self>, led: Led, recovered: &Recovered) {
        match led {
            Led::Back(gpu) => {
                // What is stuck is waited for no longer than a restore is. It stays hands-off and is shown.
                let deadline = self.write_deadline.min(RESTORE_DEADLINE);
                if let Err(error) = self.recover_within(BTreeSet::from([gpu]), deadline).await {
                    tracing::error!(%gpu, %error, "an earlier change could not be taken back");
                }
                if let Some(told) = recovered.get(&gpu) {
                    told.send_replace(true);
                }
            }
            Led::On(gpu) => {
                if let Some(told) = recovered.get(&gpu) {
                    drop(told.subscribe().wait_for(|ended| *ended).await);
                }
                self.restore_one(gpu).await;
            }
        }
    }

    /// Makes one GPU what it was configured as, and keeps what came of it for `status`; and what may lead it on.
    pub(super) async fn restore_one(self: &Arc<Self>, address: PciAddress) -> (RestoredGpu, Next) {
        let work = move |context: &Self| {
            let _mark = context.hearing.own_change();
            let deadline = context.write_deadline.min(RESTORE_DEADLINE);
            let ended = context.engine.restore(address, deadline);
            let next = context.next(address, &ended);
            Ok((outcome(address, ended), next))
        };
        let restored = self.on_a_thread(&self.changes, work).await;
        let (restored, next) = restored.unwrap_or_else(|failure: Failure| {
            let outcome = RestoreOutcome::Failed;
            (RestoredGpu { address, outcome, what: failure.error.message }, Next::Anew(None))
        });
        let (gpu, what) = (restored.address, restored.what.as_str());
        match restored.outcome {
            RestoreOutcome::Unchanged => tracing::debug!(%gpu, what, "restore"),
            RestoreOutcome::Changed => tracing::info!(%gpu, what, "restored"),
            RestoreOutcome::Refused | RestoreOutcome::Failed => tracing::warn!(%gpu, what, "not restored"),
        }
        self.restored.note(restored.clone());
        (restored, next)
    }

    /// What may lead a GPU on whose restore ended so.
    fn next(&self, gpu: PciAddress, ended: &Result<Report, EngineError>) -> Next {
        match ended {
            Ok(_) => Next::Occasion,
            // The end of a VM is told.
            Err(EngineError::Refused(refusals))
                if refusals.iter().any(|refusal| refusal.code.passes_untold())
                    && !self.engine.is_with_a_vm(gpu) =>
            {
                Next::Look
            }
            Err(EngineError::Refused(_)) => Next::Occasion,
            Err(EngineError::Failed { .. } | EngineError::Port(_) | EngineError::Bug(_)) => {
                Next::Anew(self.outside.host.last_event())
            }
        }
    }
}

fn outcome(address: PciAddress, result: Result<Report, EngineError>) -> RestoredGpu {
    let (outcome, what) = match result {
        Ok(report) if report.pending.is_some() => {
            (RestoreOutcome::Failed, report.pending.unwrap_or_default())
        }
        Ok(report) if report.outcome.is_changed() => {
            (RestoreOutcome::Changed, report.outcome.value().clone())
        }
        Ok(report) => (RestoreOutcome::Unchanged, report.outcome.value().clone()),
        Err(EngineError::Refused(refusals)) => {
            let reasons = refusals.iter().map(|refusal| {
                let remedy = refusal.remedy.first().map(|remedy| format!(" ({remedy})")).unwrap_or_default();
                format!("[{}] {}{remedy}", refusal.code, refusal.because)
            });
            (RestoreOutcome::Refused, reasons.collect::<Vec<_>>().join("; "))
        }
        Err(error) => (RestoreOutcome::Failed, chain(&error)),
    };
    RestoredGpu { address, outcome, what }
}
