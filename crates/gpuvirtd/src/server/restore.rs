//! What was asked for, made so at the daemon's start: GPU by GPU, and what came of it kept for `status`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gpuvirt_api::status::{RestoreOutcome, RestoreStatus, RestoredGpu};
use gpuvirt_api::{ApiError, StatusDocument};
use gpuvirt_engine::{EngineError, Report};
use gpuvirt_model::{PciAddress, chain};

use super::answer::Failure;
use super::context::Context;

/// Longest wait for one write at start. Nothing runs on a card yet, so a driver that takes longer is stuck; the card is
/// hands-off then, and the others have their turn.
const RESTORE_DEADLINE: Duration = Duration::from_secs(20);

/// What the start did so far.
#[derive(Debug, Default)]
pub(super) struct Restored(Mutex<Option<RestoreStatus>>);

impl Restored {
    fn lock(&self) -> MutexGuard<'_, Option<RestoreStatus>> {
        // Entries are added whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, gpu: RestoredGpu) {
        let mut restored = self.lock();
        let status = restored.get_or_insert_default();
        status.gpus.retain(|earlier| earlier.address != gpu.address);
        status.gpus.push(gpu);
        status.gpus.sort_by_key(|gpu| gpu.address);
    }

    /// A change that an earlier daemon had left open is settled.
    pub(super) fn note_settled(&self, what: String) {
        self.lock().get_or_insert_default().settled.push(what);
    }

    fn finish(&self) {
        if let Some(status) = self.lock().as_mut() {
            status.finished = true;
        }
    }

    /// Tells of it in the status: why a GPU is not as asked, and configured GPUs that are not on this host.
    pub(super) fn tell(&self, status: &mut StatusDocument) {
        let Some(restored) = self.lock().clone() else { return };
        for gpu in restored.gpus.iter().filter(|gpu| gpu.outcome.is_trouble()) {
            match status.gpus.iter_mut().find(|shown| shown.address == gpu.address) {
                Some(shown) if shown.pending.is_some() => {
                    shown.pending = Some(format!("it was not restored: {}", gpu.what));
                }
                Some(_) => {}
                None => status.problems.push(format!("{} was not restored: {}", gpu.address, gpu.what)),
            }
        }
        status.restore = Some(restored);
    }
}

impl Context {
    /// Makes every configured GPU what it was configured as, each in the turn of a change. One that can't be is reported
    /// and holds up no other.
    ///
    /// # Errors
    /// Only when it can't be told what is configured.
    pub async fn restore(self: &Arc<Self>) -> Result<(), ApiError> {
        let managed = |context: &Self| Ok(context.engine.managed()?);
        let managed = self.read(managed).await.map_err(|failure| failure.error)?;
        for address in managed {
            self.restore_one(address).await;
        }
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
