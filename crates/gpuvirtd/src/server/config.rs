//! `/v1/config`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use gpuvirt_api::config::{ApplyConfig, ConfigChange, ConfigUntil, GpuChange, GpuOutcome};
use gpuvirt_api::{API_VERSION, selector::check_label};
use gpuvirt_engine::{ConfigReport, ConfigRequest, EngineError, GpuReport, Strangers, Until};
use gpuvirt_model::{Configuration, chain};
use gpuvirt_plan::config::Unnamed;
use gpuvirt_plan::explain;

use super::access::Caller;
use super::answer::Failure;
use super::context::Context;
use super::input::{LargeBody, Nothing, Params, bad};
use super::lanes::Order;

/// `GET /v1/config`
pub(super) async fn export(
    State(context): State<Arc<Context>>,
    _: Params<Nothing>,
) -> Result<Json<Configuration>, Failure> {
    context.read(|context| Ok(context.engine.export_config()?)).await.map(Json)
}

/// `POST /v1/config`
pub(super) async fn apply(
    State(context): State<Arc<Context>>,
    caller: Caller,
    _: Params<Nothing>,
    LargeBody(asked): LargeBody<ApplyConfig>,
) -> Result<Json<ConfigChange>, Failure> {
    let deadline = context.deadline(asked.wait_seconds)?;
    check(&asked.config)?;
    let what = format!("config apply of {} entries{}", asked.config.gpus.len(), prune(&asked));
    let order = Order { what, dry_run: asked.until != ConfigUntil::Done };
    let work = move |context: &Context| {
        let request = ConfigRequest {
            unnamed: if asked.prune { Unnamed::Forgotten } else { Unnamed::Kept },
            until: match asked.until {
                ConfigUntil::Differences => Until::Differences,
                ConfigUntil::Plans => Until::Plans,
                ConfigUntil::Done => Until::Done,
            },
            yes: asked.yes,
            strangers: if asked.adopt { Strangers::Adopted } else { Strangers::Left },
            config: asked.config,
            deadline,
        };
        Ok(document(context.engine.apply_config(&request)?, asked.until))
    };
    context.change_or_dry_run(caller, order, work).await.map(Json)
}

fn prune(asked: &ApplyConfig) -> &'static str {
    if asked.prune { ", all others unmanaged" } else { "" }
}

fn check(config: &Configuration) -> Result<(), Failure> {
    config.check().map_err(|error| bad(&error))?;
    for (index, gpu) in config.gpus.iter().enumerate() {
        if let Some(Err(error)) = gpu.label.iter().flatten().map(|label| check_label(label)).next() {
            return Err(Failure::usage(StatusCode::BAD_REQUEST, format!("gpus[{index}]: {}", chain(&error))));
        }
    }
    Ok(())
}

fn document(report: ConfigReport, until: ConfigUntil) -> ConfigChange {
    let gpus: Vec<GpuChange> = report.gpus.into_iter().map(gpu).collect();
    ConfigChange {
        api_version: API_VERSION.to_owned(),
        kind: "ConfigChange".to_owned(),
        until,
        changed: !report.host.is_empty() || gpus.iter().any(|gpu| gpu.changed),
        host: report.host,
        gpus,
    }
}

fn gpu(report: GpuReport) -> GpuChange {
    let GpuReport { address, differences, result } = report;
    let mut change = GpuChange {
        address,
        changed: false,
        outcome: GpuOutcome::Failed,
        what: String::new(),
        differences,
        sentences: Vec::new(),
        warnings: Vec::new(),
        pending: None,
        refusals: Vec::new(),
    };
    match result {
        Ok(done) => {
            change.changed = done.outcome.is_changed();
            change.outcome = match (&done.pending, change.changed) {
                (Some(_), _) => GpuOutcome::Pending,
                (None, true) => GpuOutcome::Changed,
                (None, false) => GpuOutcome::Unchanged,
            };
            change.what.clone_from(done.outcome.value());
            change.sentences = done.plan.as_ref().map(explain::sentences).unwrap_or_default();
            change.warnings = done.warnings;
            change.pending = done.pending;
        }
        Err(EngineError::Refused(refusals)) => {
            change.outcome = GpuOutcome::Refused;
            let reasons = refusals.iter().map(|refusal| format!("[{}] {}", refusal.code, refusal.because));
            change.what = reasons.collect::<Vec<_>>().join("; ");
            change.refusals = refusals;
        }
        Err(error) => change.what = chain(&error),
    }
    change
}
