//! What was asked for, made so when something happens that lets it: a VM stops, a card or its driver comes.
//!
//! Nothing here polls: it sleeps until it is stirred. Only while a GPU waits for a process to let go of it, or a write for
//! the kernel, which tells nobody, does it look again now and then. A change that failed is not tried again by itself; one
//! that was refused is, whenever something happens; one whose write did not end is taken back when it has ended.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gpuvirt_api::event::EventKind;
use gpuvirt_api::status::RestoreOutcome;
use gpuvirt_engine::Stirred;
use gpuvirt_host::uevent::Uevent;
use gpuvirt_model::{DriverName, PciAddress};
use tokio::sync::Notify;

use super::context::Context;

/// Events come in bursts, and a card is not ready when its first one comes.
const BURST: Duration = Duration::from_millis(500);
/// How often it is looked whether a process still holds a GPU that waits for that, or whether a write has ended.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// What has happened since somebody last looked.
#[derive(Debug, Default)]
pub struct Stir {
    stirred: Mutex<Stirred>,
    notify: Notify,
    devices: Notify,
}

impl Stir {
    /// The kernel told of this; none: of more than could be read, so that everything is to be looked at.
    pub fn heard(&self, event: Option<&Uevent>) {
        let Some(event) = event else {
            self.stirred.lock().unwrap_or_else(PoisonError::into_inner).lost = true;
            self.notify.notify_one();
            return;
        };
        let Some(function) = event.function else { return };
        let mut stirred = self.stirred.lock().unwrap_or_else(PoisonError::into_inner);
        match event.action.as_str() {
            "add" => drop(stirred.came.insert(function)),
            "bind" if is_the_hosts(event) => drop(stirred.driven.insert(function)),
            _ => return,
        }
        drop(stirred);
        self.notify.notify_one();
    }

    /// Something was let go of: a VM stopped, a change ended.
    pub fn released(&self) {
        self.notify.notify_one();
    }

    /// A running VM got or lost a device.
    pub fn device_changed(&self) {
        self.devices.notify_one();
    }

    /// Ends when a running VM got or lost a device since this ended last.
    pub(super) async fn devices_changed(&self) {
        self.devices.notified().await;
    }

    fn take(&self) -> Stirred {
        std::mem::take(&mut *self.stirred.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn is_the_hosts(event: &Uevent) -> bool {
    let driver = event.driver.as_deref().and_then(|driver| DriverName::parse(driver).ok());
    driver.is_some_and(|driver| !driver.leaves_group_viable())
}

impl Context {
    /// Leads GPUs to what was asked for as things happen. It never ends.
    pub async fn reconcile(self: Arc<Self>) {
        let mut failed = BTreeSet::new();
        let mut late = BTreeSet::new();
        // What an earlier daemon's writes still wait for.
        let mut blocked = self.settle_ended(BTreeSet::new()).await;
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
            blocked = self.settle_ended(blocked).await;
            waiting = !blocked.is_empty();
            // libvirt may have come since.
            let forgotten = Arc::clone(&self);
            drop(tokio::spawn(async move { forgotten.remove_forgotten().await }));
            self.recover_late(&stirred, &mut late).await;
            for gpu in self.due(stirred).await {
                if failed.contains(&gpu) {
                    continue;
                }
                match self.lead(gpu).await {
                    RestoreOutcome::Refused => waiting = true,
                    RestoreOutcome::Failed => drop(failed.insert(gpu)),
                    RestoreOutcome::Changed | RestoreOutcome::Unchanged => {}
                }
            }
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

#[cfg(test)]
mod tests {
    use std::future::Future as _;

    use super::*;

    fn heard(action: &str, driver: &str) -> Stirred {
        let stir = Stir::default();
        let text = format!("{action}@/x\0SUBSYSTEM=pci\0PCI_SLOT_NAME=0000:41:00.0\0DRIVER={driver}\0");
        stir.heard(Uevent::parse(text.as_bytes()).as_ref());
        stir.take()
    }

    #[test]
    fn only_what_comes_stirs() {
        let gpu = BTreeSet::from([PciAddress::parse("0000:41:00.0").unwrap()]);
        assert_eq!(heard("add", "").came, gpu);
        assert_eq!(heard("bind", "nvidia").driven, gpu);
        for (action, driver) in
            [("bind", "vfio-pci"), ("bind", "pci-stub"), ("unbind", "nvidia"), ("remove", "")]
        {
            assert_eq!(heard(action, driver), Stirred::default(), "{action} {driver}");
        }
    }

    #[test]
    fn an_overrun_stirs_everything() {
        let stir = Stir::default();
        stir.heard(None);
        assert_eq!(stir.take(), Stirred { lost: true, ..Stirred::default() });
        assert_eq!(stir.take(), Stirred::default(), "once");
        let waiting = stir.notify.notified();
        let mut waiting = std::pin::pin!(waiting);
        let mut nobody = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(waiting.as_mut().poll(&mut nobody).is_ready(), "whoever leads GPUs is woken");
    }
}
