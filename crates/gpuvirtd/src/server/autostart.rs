//! VMs whose start with the host was refused for what passes: a GPU that was still being restored, or an address in their
//! definition that no longer fits. They are started once more, with devices that are chosen anew, when what the daemon's start
//! does has ended and libvirt is up. All that were refused and do not run are told in `status`.
//!
//! libvirt starts such VMs before it answers anybody, hooks included, so nothing could be placed for them then. A start
//! that somebody asked libvirt for is left as it was refused: libvirt answers us at that time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gpuvirt_api::event::EventKind;
use gpuvirt_model::{Domain, DomainState, RefusalCode};
use uuid::Uuid;

use super::answer::Failure;
use super::context::Context;

/// Longest wait for libvirt to be up: it starts all VMs that start with the host first, one after the other.
const UNTIL_UP: Duration = Duration::from_secs(600);
/// Longest wait for what the daemon's start does, and for what is taken back when a write of it ends.
const UNTIL_RESTORED: Duration = Duration::from_secs(600);
/// How often it is asked whether it is.
const ASK_AGAIN: Duration = Duration::from_secs(3);

impl Context {
    /// A start was refused: it is noted if it was libvirt's own, and tried again if what was in the way passes.
    pub(super) fn start_was_refused(self: &Arc<Self>, domain: Domain, failure: &Failure) {
        let refusals = &failure.error.refusals;
        let may_help = refusals.is_empty() || refusals.iter().any(|refusal| passes(refusal.code));
        drop(tokio::spawn(Arc::clone(self).note_and_start_again(domain, why(failure), may_help)));
    }

    async fn note_and_start_again(self: Arc<Self>, domain: Domain, why: String, may_help: bool) {
        // Somebody's own start is refused while libvirt answers. Not on the hook's time: this is libvirt's library.
        let answers = self.read(|context| Ok(context.outside.domains.is_connected())).await;
        if answers.unwrap_or(true) {
            return;
        }
        // A daemon of libvirt's that was killed has told us nothing of the starts that ended with it, and what is left of one may
        // be what this start lacked. The one that called us can tell.
        self.stir.unheard();
        if !self.retried.begin(&domain, why.clone()) {
            return;
        }
        let uuid = domain.uuid;
        let Some(now) = self.once_libvirt_is_up(uuid).await else { return };
        if !now.autostart || now.state != DomainState::ShutOff {
            self.retried.is_over(uuid);
            return;
        }
        if !may_help {
            self.retried.stays_off(uuid, why);
            return;
        }
        self.once_restored().await;
        // Somebody may have started it meanwhile, and stopped it again.
        if self.retried.waits(uuid) {
            self.start_again(uuid, now.name).await;
        }
    }

    async fn start_again(self: &Arc<Self>, uuid: Uuid, name: String) {
        let work = {
            let name = name.clone();
            move |context: &Self| {
                let _mark = context.hearing.own_change();
                context.state_is_readable()?;
                Ok(context.vm_start(&name, false)?)
            }
        };
        match self.on_a_thread(&self.starts, work).await {
            Ok(report) => {
                self.retried.is_over(uuid);
                let what = report.outcome.value();
                tracing::info!(vm = name, what, "started with the host on a second try");
                self.events.tell(
                    EventKind::Reconciled,
                    None,
                    format!("with the host, on a second try: {what}"),
                );
            }
            Err(failure) => {
                let why = why(&failure);
                tracing::warn!(vm = name, why, "not started with the host, nor on a second try");
                let text = format!("VM {name} was not started with the host, nor on a second try: {why}");
                self.events.tell(EventKind::NotChanged, None, text);
                self.retried.failed(uuid, why);
            }
        }
    }

    /// Ends when the daemon's start has come to every GPU, and no write of it waits in the kernel any more: what that kept was
    /// taken back and led on.
    async fn once_restored(self: &Arc<Self>) {
        let end = Instant::now() + UNTIL_RESTORED;
        while self.is_restoring().await && Instant::now() < end {
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    async fn is_restoring(self: &Arc<Self>) -> bool {
        if self.restored.is_under_way() {
            return true;
        }
        let at_work = |context: &Self| {
            Ok(!context.engine.changing().is_empty() || !context.engine.gpus_that_wait()?.is_empty())
        };
        self.read(at_work).await.unwrap_or_default()
    }

    /// The domain as libvirt lists it once it answers; none where it never does, or knows it no more.
    async fn once_libvirt_is_up(self: &Arc<Self>, uuid: Uuid) -> Option<Domain> {
        let end = Instant::now() + UNTIL_UP;
        loop {
            let domains = self.read(|context| Ok(context.outside.domains.list())).await;
            if let Ok(gpuvirt_model::Reading::Known(domains)) = domains {
                return domains.into_iter().find(|domain| domain.uuid == uuid);
            }
            if Instant::now() >= end {
                tracing::warn!(%uuid, "libvirt does not come up; a VM whose start was refused is not tried again");
                return None;
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }
}

/// Refusals that end with another place, or when what is at work at the host's start has ended.
fn passes(code: RefusalCode) -> bool {
    matches!(
        code,
        RefusalCode::Busy
            | RefusalCode::DeviceLocked
            | RefusalCode::NoWriter
            | RefusalCode::NoSuitableGpu
            | RefusalCode::GpuNotFound
            | RefusalCode::GpuInUse
            | RefusalCode::VgpuInUse
            | RefusalCode::VgpuNotFound
            | RefusalCode::NoCapacity
            | RefusalCode::CapacityReserved
            | RefusalCode::Cordoned
            | RefusalCode::ProfileNotOffered
            | RefusalCode::RequestUnmet
            | RefusalCode::NotPassthrough
            | RefusalCode::NotSharedDirect
            | RefusalCode::IdentityChanged
            | RefusalCode::HandsOff
    )
}

fn why(failure: &Failure) -> String {
    let refusals = &failure.error.refusals;
    if refusals.is_empty() {
        return failure.error.message.clone();
    }
    let lines = refusals.iter().map(|refusal| format!("{} [{}]", refusal.because, refusal.code));
    lines.collect::<Vec<_>>().join("; ")
}
