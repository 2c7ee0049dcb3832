//! `/v1/status`, and `/v1/recover` for what it shows as hands-off.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use gpuvirt_api::status::{DaemonStatus, Working};
use gpuvirt_api::{Change, StatusDocument};
use gpuvirt_engine::View;
use gpuvirt_model::{Observed, Reading, RefusalCode, WarningCode};
use gpuvirt_plan::Plan;
use gpuvirt_plan::checks::NO_WRITER_REMEDY;

use super::access::Writer;
use super::answer::Failure;
use super::change;
use super::context::Context;
use super::input::{Nothing, Params};
use super::pictures::Freshness;
use super::pictures::Picture;
use super::{violation, waiting};
use gpuvirt_model::chain;

/// `GET /v1/status`
pub(super) async fn show(
    State(context): State<Arc<Context>>,
    freshness: Freshness,
    _: Params<Nothing>,
) -> Result<Json<StatusDocument>, Failure> {
    context.look(freshness, status).await.map(Json)
}

/// `POST /v1/recover`
pub(super) async fn recover(
    State(context): State<Arc<Context>>,
    Writer(peer): Writer,
    _: Params<Nothing>,
) -> Result<Json<Change>, Failure> {
    let work =
        |context: &Context| Ok(change::document(context.engine.recover(context.write_deadline)?, false));
    context.change(&peer, "recover".to_owned(), work).await.map(Json)
}

fn working(step: gpuvirt_engine::Working) -> Working {
    let gpuvirt_engine::Working { gpu, purpose, step, number, count, since } = step;
    Working { gpu, purpose, step, number, count, seconds: since.elapsed().as_secs() }
}

fn status(context: &Context, picture: &Picture) -> Result<StatusDocument, Failure> {
    let view = &picture.view;
    let mut status = StatusDocument::new(context.source, picture.short().to_vec());
    status.maintenance = view.desired.host.maintenance;
    let mut steps = context.engine.working().into_iter().map(working);
    status.daemon = Some(DaemonStatus {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        generation: view.desired.generation,
        working: steps.next(),
        also_working: steps.collect(),
    });
    if let Reading::Unknown(why) = &view.observed.domains {
        status.domains_unknown = Some(why.clone());
    }
    status.problems.extend(context.outside.store.problems());
    if let Some(stale) = context.outside.store.stale_boot_image() {
        status.problems.push(format!("[{}] {stale}", WarningCode::InitramfsStale));
    }
    if let Err(why) = context.outside.host.writers() {
        let [start, ..] = NO_WRITER_REMEDY;
        let why = chain(&why);
        status.problems.push(format!("[{}] nothing can be changed: {why}; {start}", RefusalCode::NoWriter));
    }
    context.restored.tell(&mut status);
    match context.outside.store.open_intents() {
        Ok(intents) => intents.iter().for_each(|plan| mark(context, &view.observed, &mut status, plan)),
        Err(error) => status.problems.push(chain(&error)),
    }
    // What runs against the rules is left alone and told.
    status.problems.extend(violation::all(view));
    context.retried.tell(&mut status);
    for (address, why) in context.engine.kept_cards(view) {
        status.problems.push(format!(
            "{address} was lent to a VM and stays with VFIO: {why}; it is tried again when a VM ends"
        ));
    }
    status.problems.extend(picture.problems.iter().cloned());
    absent(&mut status, view);
    Ok(status)
}

/// Configured GPUs that are not on this host now, unless something was said of them already.
fn absent(status: &mut StatusDocument, view: &View) {
    for entry in view.desired.gpus.iter().filter(|entry| !view.observed.gpus.contains_key(&entry.address)) {
        let address = entry.address.to_string();
        if !status.problems.iter().any(|problem| problem.starts_with(&address)) {
            let kind = entry.graphics_type;
            status.problems.push(format!("{address} is configured as {kind} and is not on this host now"));
        }
    }
}

/// How long a step takes before it is told what its write waits for.
const TAKES_LONG: Duration = Duration::from_secs(2);

/// A change that never settled: its GPU is left alone. One that is under way is told as such, and only where its write takes
/// long: who keeps it waiting.
fn mark(context: &Context, observed: &Observed, status: &mut StatusDocument, plan: &Plan) {
    let waits = match context.engine.waiting_for(plan) {
        Ok(Some(write)) => {
            let who =
                waiting::holders(&write, observed).map(|who| format!(": {who} has it")).unwrap_or_default();
            format!("; process {} still waits in the kernel for it{who}", write.writer)
        }
        Ok(None) => String::new(),
        Err(error) => format!("; whether a write still waits for it is unknown: {}", chain(&error)),
    };
    if context.engine.changing().contains(&plan.gpu) {
        let late = |working: &gpuvirt_engine::Working| {
            working.gpu == plan.gpu && working.since.elapsed() >= TAKES_LONG
        };
        if !waits.is_empty() && context.engine.working().iter().any(late) {
            status.problems.push(format!("{}: a change is under way: {}{waits}", plan.gpu, plan.purpose));
        }
        return;
    }
    let why = format!("a change is not settled: {}{waits}", plan.purpose);
    match status.gpus.iter_mut().find(|gpu| gpu.address == plan.gpu) {
        Some(gpu) => gpu.hands_off = Some(why),
        None => status.problems.push(format!("{}, which is not on this host now: {why}", plan.gpu)),
    }
}
