//! The engine called on a thread of its own, in its turn.
//!
//! Reads run a few at a time and never wait for a change; changes begin one after the other, as the engine wants them, and
//! one that takes long keeps no other from beginning: the engine knows which may go on.
//! Dry runs only read, but may wait for libvirt longer than a listing does: they have a lane of their own. What has not
//! begun when its client leaves is never begun.

use std::sync::Arc;

use gpuvirt_api::event::EventKind;
use gpuvirt_api::{ApiError, ErrorKind};
use gpuvirt_model::{Refusal, RefusalCode, chain};

use super::access::{Caller, Writer};
use super::answer::Failure;
use super::context::Context;
use super::lane::Lane;
use super::peer::Peer;

/// What a caller wants done.
pub(super) struct Order {
    /// For the log.
    pub(super) what: String,
    /// Only shown, not done.
    pub(super) dry_run: bool,
}

impl Context {
    /// Reads, while others may read too.
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        self.on_a_thread(&self.reads, work).await
    }

    /// Changes, after all changes that were asked for earlier. Who asked goes to the log, with the plan and with what came of it.
    pub(super) async fn change<T: Send + 'static>(
        self: &Arc<Self>,
        peer: &Peer,
        what: String,
        work: impl FnOnce(&Self) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        self.change_on(&self.changes, peer, what, work).await
    }

    async fn change_on<T: Send + 'static>(
        self: &Arc<Self>,
        lane: &Lane,
        peer: &Peer,
        what: String,
        work: impl FnOnce(&Self) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let (uid, pid) = (peer.uid, peer.pid.unwrap_or_default());
        let checked = |context: &Self| {
            let _mark = context.hearing.own_change();
            context.state_is_readable().and_then(|()| work(context))
        };
        // Its plan's line says it too. One of its own would wake the journal's daemon, which takes about as long as a step.
        tracing::Span::current().record("uid", uid).record("pid", pid);
        tracing::debug!(uid, pid, what, "asked");
        let result = self.on_a_thread(lane, checked).await;
        match &result {
            Ok(_) => {
                self.stir.released();
                self.events.tell(EventKind::Changed, None, format!("{what} (uid {uid})"));
                tracing::info!(uid, pid, what, "done");
            }
            Err(failure) => {
                let (kind, why) = (failure.error.kind, failure.error.message.as_str());
                if kind == ErrorKind::Failed {
                    // A write of it may still wait: its end is looked for.
                    self.stir.released();
                }
                let refusals = codes(&failure.error);
                self.events.tell(
                    EventKind::NotChanged,
                    None,
                    format!("{what} (uid {uid}): {why} {refusals}"),
                );
                tracing::warn!(uid, pid, what, ?kind, code = refusals, why, "not done");
            }
        }
        result
    }

    /// A change that this caller may make, or a dry run of it, which everybody may see.
    pub(super) async fn change_or_dry_run<T: Send + 'static>(
        self: &Arc<Self>,
        caller: Caller,
        order: Order,
        work: impl FnOnce(&Self) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        self.order_on(&self.changes, caller, order, work).await
    }

    /// Starts a domain, or shows how it would be. It takes the turn of changes by itself, and only while it needs it.
    pub(super) async fn start<T: Send + 'static>(
        self: &Arc<Self>,
        caller: Caller,
        order: Order,
        work: impl FnOnce(&Self) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        self.order_on(&self.starts, caller, order, work).await
    }

    async fn order_on<T: Send + 'static>(
        self: &Arc<Self>,
        lane: &Lane,
        caller: Caller,
        order: Order,
        work: impl FnOnce(&Self) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        if order.dry_run {
            let dry_run = self.on_a_thread(&self.dry_runs, work);
            // Without asking polkit: nobody is to be asked for a password for a look.
            let may_change = self.gate.lets_through(&caller.0);
            return if may_change { dry_run.await } else { self.sparingly.run(dry_run).await };
        }
        let Writer(peer) = caller.writer(self).await?;
        self.change_on(lane, &peer, order.what, work).await
    }

    /// Nothing is changed on top of files that can't be understood: corrupt is not absent.
    pub(super) fn state_is_readable(&self) -> Result<(), Failure> {
        let store = &self.outside.store;
        let Err(error) = store.load().map(drop).and_then(|()| store.open_intents().map(drop)) else {
            return Ok(());
        };
        Err(Failure::refused(Refusal {
            code: RefusalCode::StateUnreadable,
            summary: "nothing can be changed".to_owned(),
            because: chain(&error),
            remedy: vec![format!("gpuvirt explain {}", RefusalCode::StateUnreadable)],
        }))
    }

    pub(super) async fn on_a_thread<T: Send + 'static>(
        self: &Arc<Self>,
        lane: &Lane,
        work: impl FnOnce(&Self) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let place = lane.enter().await?;
        let (context, about) = (Arc::clone(self), tracing::Span::current());
        let work = tokio::task::spawn_blocking(move || about.in_scope(|| work(&context)));
        match place.while_at(work).await {
            Ok(result) => result,
            // The panic's message and place are on stderr already.
            Err(_) => Err(Failure::bug()),
        }
    }
}

/// The names of all refusals, as `gpuvirt explain` knows them.
pub(super) fn codes(error: &ApiError) -> String {
    let codes: Vec<&str> = error.refusals.iter().map(|refusal| refusal.code.as_str()).collect();
    codes.join(",")
}
