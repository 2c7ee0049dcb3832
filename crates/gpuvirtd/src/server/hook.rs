//! `/v1/hook`: libvirt's hook, on lanes of its own.
//!
//! While it is asked, libvirt holds the domain: nothing here, and nothing that it waits for, asks libvirt. So it waits
//! for no reader and no admin's change, only for whoever writes to the host at this moment, and not for long.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use gpuvirt_api::{API_VERSION, ApiError, ErrorKind, HookAnswer, HookCall, HookEvent};
use gpuvirt_engine::hook::{Asker, CREATION_DEADLINE, took_too_long};
use gpuvirt_model::{Domain, VgpuId};

use super::access::Caller;
use super::answer::Failure;
use super::context::Context;
use super::forgotten::AGAIN_AFTER;
use super::input::{Body, Nothing, Params};
use super::lanes::codes;
use super::presence;

/// How much later than it should the engine may give its own reason, which tells more.
const GRACE: Duration = Duration::from_millis(500);

/// `POST /v1/hook`
pub(super) async fn call(
    State(context): State<Arc<Context>>,
    Caller(peer): Caller,
    _: Params<Nothing>,
    Body(asked): Body<HookCall>,
) -> Result<Json<HookAnswer>, Failure> {
    // Without asking polkit, which may be slow or gone: hooks run as whoever runs libvirt.
    if !context.gate.lets_through(&peer) {
        let text = format!("uid {} may not speak for libvirt", peer.uid);
        return Err(ApiError::new(ErrorKind::Denied, text).into());
    }
    let HookCall { event, domain } = asked;
    let (vm, uuid) = (domain.name.clone(), domain.uuid);
    match event {
        HookEvent::Prepare | HookEvent::Running => context.hook_watch.called(&vm),
        HookEvent::Release => context.hook_watch.called_at_an_end(),
    }
    let result = match event {
        HookEvent::Prepare => {
            let result = prepare(&context, domain.clone()).await;
            if let Err(failure) = &result {
                context.start_was_refused(domain, failure);
                remove_released(Arc::clone(&context));
            }
            result
        }
        HookEvent::Running => {
            context.engine.hook_runs(&domain);
            context.retried.is_over(uuid);
            Ok(Vec::new())
        }
        HookEvent::Release => {
            context.engine.hook_release(uuid);
            remove_released(Arc::clone(&context));
            Ok(Vec::new())
        }
    };
    if event == HookEvent::Prepare && result.is_ok() {
        context.retried.is_over(uuid);
        // What was made with it for a start that gave up meanwhile.
        if context.engine.has_released() {
            remove_released(Arc::clone(&context));
        }
    }
    match &result {
        Ok(made) => tracing::info!(vm, %uuid, ?event, made = made.len(), "hook"),
        Err(failure) => {
            let code = codes(&failure.error);
            tracing::warn!(vm, %uuid, ?event, code, why = failure.error.message, "hook refused");
        }
    }
    result.map(|made| Json(HookAnswer { api_version: API_VERSION.to_owned(), made }))
}

async fn prepare(context: &Arc<Context>, domain: Domain) -> Result<Vec<VgpuId>, Failure> {
    let (since, client) = (Instant::now(), presence::client());
    let late = took_too_long(&domain);
    let work = move |context: &Context| {
        context.state_is_readable()?;
        let _mark = context.hearing.own_change();
        let waits = || client.as_ref().is_none_or(|client| !client.has_left());
        Ok(context.engine.hook_prepare_for(&Asker { since, waits: &waits }, &domain)?)
    };
    let judge = Arc::clone(context);
    let mut judged = Box::pin(async move { judge.on_a_thread(&judge.hooks, work).await });
    let answer = tokio::time::timeout(CREATION_DEADLINE + GRACE, &mut judged).await;
    answer.unwrap_or_else(|_| {
        // A driver that has become slower in the midst of a change: libvirt is not kept waiting for it, and what comes of it goes.
        let context = Arc::clone(context);
        drop(tokio::spawn(async move {
            let _late = judged.await;
            remove_released(context);
        }));
        Err(late.into())
    })
}

/// Removes what was made for VMs that ended, after the hook has its answer.
fn remove_released(context: Arc<Context>) {
    drop(tokio::spawn(async move {
        let work = |context: &Context| {
            let _mark = context.hearing.own_change();
            Ok(context.engine.remove_released(context.write_deadline)?)
        };
        // What is left, and why, is in the log already.
        let _left = context.on_a_thread(&context.releases, work).await;
        // A GPU may have waited for this VM to end.
        context.stir.released();
    }));
}

/// What came of asking who ended unheard.
enum Answer {
    /// It is known.
    Known,
    /// It is not, and nothing can have been left.
    Missed,
    /// It is not, and something may have been.
    Needed,
}

impl Context {
    /// Removes what VMs that ended had on cards that were under change then, when those changes end. It never ends itself,
    /// and sleeps until one does.
    pub async fn remove_when_due(self: Arc<Self>) {
        loop {
            self.stir.until_removals_are_due().await;
            remove_released(Arc::clone(&self));
        }
    }

    /// Removes what was made for VMs that ended while nobody told us: once, and again whenever a hook may have gone unheard.
    /// libvirt is asked, so not before it may be; and where it does not run it is not started for this.
    pub async fn remove_forgotten(self: &Arc<Self>) {
        while self.is_in_vain().await {
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    /// Asks for them and removes what is left of them; whether that is to be asked once more.
    async fn is_in_vain(self: &Arc<Self>) -> bool {
        let unheard = self.stir.times_unheard();
        if self.forgotten.is_known(unheard) {
            return false;
        }
        let work = move |context: &Self| {
            // Who had the turn before may have found out as much.
            if context.forgotten.is_known(unheard) {
                return Ok(Answer::Known);
            }
            let _mark = context.hearing.own_change();
            Ok(match context.engine.remove_forgotten(context.write_deadline)? {
                true => Answer::Known,
                false if context.engine.may_have_forgotten()? => Answer::Needed,
                false => Answer::Missed,
            })
        };
        match self.on_a_thread(&self.releases, work).await {
            Ok(Answer::Needed) => return self.forgotten.asked_in_vain(unheard),
            Ok(Answer::Missed) => return false,
            Ok(Answer::Known) => {}
            Err(failure) => {
                tracing::warn!(why = failure.error.message, "what was made for VMs that ended may be left");
            }
        }
        self.forgotten.learned(unheard);
        false
    }

    /// Of VMs that ended, as libvirt tells, those whose hook did not: it was turned away, killed, or out of time.
    pub(super) async fn hear_ends(self: &Arc<Self>) {
        let ended = self.stir.take_ended();
        if ended.is_empty() {
            return;
        }
        let work = move |context: &Self| Ok(ended.into_iter().any(|vm| context.engine.end_is_untold(vm)));
        // Or it has been started again since. What can't be told is to be found out as well.
        if self.read(work).await.unwrap_or(true) {
            tracing::debug!("a VM ended and its hook is not known to have told; libvirt is asked");
            self.stir.unheard();
        }
    }
}
