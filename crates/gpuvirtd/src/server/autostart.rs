//! VMs whose start with the host was refused because a PCI address in their definition no longer fits: started once more,
//! with devices that are chosen anew, when libvirt is up.
//!
//! libvirt starts such VMs before it answers anybody, hooks included, so nothing could be placed for them then. A start
//! that somebody asked libvirt for is left as it was refused: libvirt answers us at that time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gpuvirt_api::event::EventKind;
use gpuvirt_model::{Domain, DomainState, Hostdev, RefusalCode, Wanted};
use uuid::Uuid;

use super::answer::Failure;
use super::context::Context;

/// Longest wait for libvirt to be up: it starts all VMs that start with the host first, one after the other.
const UNTIL_UP: Duration = Duration::from_secs(600);
/// How often it is asked whether it is.
const ASK_AGAIN: Duration = Duration::from_secs(3);

impl Context {
    /// A start was refused: it is tried again if it was libvirt's own, and if other devices may help.
    pub(super) fn start_was_refused(self: &Arc<Self>, domain: Domain, failure: &Failure) {
        let may_help = failure.error.refusals.iter().any(|refusal| is_about_the_place(refusal.code));
        if may_help && is_placed(&domain) {
            drop(tokio::spawn(Arc::clone(self).start_again(domain)));
        }
    }

    async fn start_again(self: Arc<Self>, domain: Domain) {
        // Somebody's own start is refused while libvirt answers. Not on the hook's time: this is libvirt's library.
        let answers = self.read(|context| Ok(context.outside.domains.is_connected())).await;
        if answers.unwrap_or(true) || !self.retried.begin(&domain) {
            return;
        }
        let (uuid, name) = (domain.uuid, domain.name);
        let Some(now) = self.once_libvirt_is_up(uuid).await else { return };
        if !now.autostart || now.state != DomainState::ShutOff {
            return;
        }
        let work = {
            let name = now.name.clone();
            move |context: &Self| {
                let _mark = context.hearing.own_change();
                context.state_is_readable()?;
                Ok(context.vm_start(&name, false)?)
            }
        };
        match self.on_a_thread(&self.starts, work).await {
            Ok(report) => {
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

/// Whether `vm start` could choose another device for any of its requests.
fn is_placed(domain: &Domain) -> bool {
    domain.requests.list.iter().any(|request| {
        matches!(request.wanted, Wanted::Profile { .. } | Wanted::Match { .. })
            && matches!(request.assigned, Some(Hostdev::Pci { .. }))
    })
}

/// Refusals that end with another place.
fn is_about_the_place(code: RefusalCode) -> bool {
    matches!(
        code,
        RefusalCode::GpuNotFound
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
