//! What was asked for, made so at the daemon's start: GPU by GPU, and what came of it kept for `status`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use gpuvirt_api::ApiError;
use gpuvirt_api::event::EventKind;
use gpuvirt_api::status::{RestoreOutcome, RestoredGpu};
use gpuvirt_engine::{EngineError, Report};
use gpuvirt_model::{PciAddress, chain};

use super::answer::Failure;
use super::context::Context;
use super::lane::in_order;

/// Longest wait for one write at start. Nothing runs on a card yet, so a driver that takes longer is stuck; the card is
/// hands-off then, and the others have their turn.
const RESTORE_DEADLINE: Duration = Duration::from_secs(20);

impl Context {
    /// Takes back what an earlier daemon began and did not settle, in the turn of a change. At the daemon's start: what is
    /// stuck then is not waited for longer than a restore is.
    ///
    /// # Errors
    /// What stays hands-off, and why.
    pub async fn recover(self: &Arc<Self>) -> Result<(), ApiError> {
        let work = |context: &Self| {
            let _mark = context.hearing.own_change();
            Ok(context.engine.recover(context.write_deadline.min(RESTORE_DEADLINE))?)
        };
        let report = self.on_a_thread(&self.changes, work).await.map_err(|failure| failure.error)?;
        self.tell_recovered(&report);
        Ok(())
    }

    /// Takes back what a write that has ended at last kept unsettled, in the turn of a change.
    ///
    /// # Errors
    /// What stays hands-off, and why.
    pub(super) async fn recover_these(self: &Arc<Self>, gpus: BTreeSet<PciAddress>) -> Result<(), ApiError> {
        let work = move |context: &Self| {
            let _mark = context.hearing.own_change();
            Ok(context.engine.recover_these(&gpus, context.write_deadline)?)
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

    /// Makes every configured GPU what it was configured as, each in the turn of a change. One that can't be is reported
    /// and holds up no other, and neither does one whose driver takes long.
    ///
    /// # Errors
    /// Only when it can't be told what is configured.
    pub async fn restore(self: &Arc<Self>) -> Result<(), ApiError> {
        let managed = |context: &Self| Ok(context.engine.managed()?);
        let managed = self.read(managed).await.map_err(|failure| failure.error)?;
        self.restored.to_come().extend(&managed);
        let work = |address| {
            let context = Arc::clone(self);
            async move { drop(context.restore_one(address).await) }
        };
        in_order(managed, work).await;
        self.restored.finish();
        Ok(())
    }

    /// Makes one GPU what it was configured as, and keeps what came of it for `status`.
    pub(super) async fn restore_one(self: &Arc<Self>, address: PciAddress) -> RestoredGpu {
        let work = move |context: &Self| {
            let _mark = context.hearing.own_change();
            let deadline = context.write_deadline.min(RESTORE_DEADLINE);
            Ok(outcome(address, context.engine.restore(address, deadline)))
        };
        let restored = self.on_a_thread(&self.changes, work).await;
        let restored = restored.unwrap_or_else(|failure: Failure| RestoredGpu {
            address,
            outcome: RestoreOutcome::Failed,
            what: failure.error.message,
        });
        let (gpu, what) = (restored.address, restored.what.as_str());
        match restored.outcome {
            RestoreOutcome::Unchanged => tracing::debug!(%gpu, what, "restore"),
            RestoreOutcome::Changed => tracing::info!(%gpu, what, "restored"),
            RestoreOutcome::Refused | RestoreOutcome::Failed => tracing::warn!(%gpu, what, "not restored"),
        }
        self.restored.note(restored.clone());
        restored
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
