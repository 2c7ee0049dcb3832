//! `/v1/gpus`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use gpuvirt_api::selector::check_label;
use gpuvirt_api::{Change, GpuDocument, GpuSelector, List, SetCordon, SetType, XmlDocument};
use gpuvirt_engine::{Cordon, Preparation, SwitchRequest};
use gpuvirt_model::{ConfiguredType, Gpu, PciAddress, Warning, WarningCode};

use super::access::{Caller, Writer};
use super::answer::{Failure, Written};
use super::change;
use super::context::Context;
use super::input::{Body, GpuName, Nothing, Params, bad};
use super::lanes::Order;
use super::pictures::Freshness;
use super::pictures::Picture;

/// `GET /v1/gpus`
pub(super) async fn list(
    State(context): State<Arc<Context>>,
    freshness: Freshness,
    _: Params<Nothing>,
) -> Result<Written, Failure> {
    let read = |context: &Context, picture: &Picture| {
        if let Some(written) = picture.gpus.get() {
            return Ok(Written(written.clone()));
        }
        let gpus = picture.view.observed.gpus.values().map(|gpu| picture.document(gpu)).collect();
        let Written(written) = Written::of(&context.list("GpuList", picture, gpus))?;
        Ok(Written(picture.gpus.get_or_init(|| written).clone()))
    };
    context.look(freshness, read).await
}

/// `GET /v1/gpus/{gpu}`
pub(super) async fn show(
    State(context): State<Arc<Context>>,
    freshness: Freshness,
    GpuName(selector): GpuName,
    _: Params<Nothing>,
) -> Result<Json<List<GpuDocument>>, Failure> {
    let read = move |context: &Context, picture: &Picture| {
        let gpu = picture.document(find(&selector, picture)?);
        Ok(context.list("Gpu", picture, vec![gpu]))
    };
    context.look(freshness, read).await.map(Json)
}

/// `GET /v1/gpus/{gpu}/xml`
pub(super) async fn xml(
    State(context): State<Arc<Context>>,
    GpuName(selector): GpuName,
    _: Params<Nothing>,
) -> Result<Json<XmlDocument>, Failure> {
    let read = move |context: &Context| {
        let gpu = address(&selector, context)?;
        Ok(XmlDocument::new(context.engine.gpu_xml(gpu)?))
    };
    context.read(read).await.map(Json)
}

/// `PUT /v1/gpus/{gpu}/type`
pub(super) async fn set_type(
    State(context): State<Arc<Context>>,
    caller: Caller,
    GpuName(selector): GpuName,
    _: Params<Nothing>,
    Body(asked): Body<SetType>,
) -> Result<Json<Change>, Failure> {
    let deadline = context.deadline(asked.wait_seconds)?;
    if let Some(label) = asked.label.as_ref().filter(|label| !label.is_empty()) {
        check_label(label).map_err(|error| bad(&error))?;
    }
    let not_for = matches!(asked.graphics_type, ConfiguredType::Shared | ConfiguredType::Direct);
    if not_for && (asked.vgpu_mode.is_some() || asked.vf_count.is_some()) {
        return Err(Failure::usage(
            StatusCode::BAD_REQUEST,
            "vgpuMode and vfCount go with the type shared-direct",
        ));
    }
    if asked.vf_count == Some(0) {
        return Err(Failure::usage(StatusCode::BAD_REQUEST, "vfCount must be at least 1"));
    }
    let what = format!("gpu set {selector} --type {} --when {}", asked.graphics_type, asked.when);
    let order = Order { what, dry_run: asked.dry_run };
    let work = move |context: &Context| {
        let request = SwitchRequest {
            gpu: address(&selector, context)?,
            to: asked.graphics_type,
            prepare: Preparation { vgpu_mode: asked.vgpu_mode, vf_count: asked.vf_count },
            label: asked.label,
            accept: asked.accept,
            when: Some(asked.when),
            dry_run: asked.dry_run,
            deadline,
        };
        let mut report = context.engine.configure(&request)?;
        // What counts is the list as it is after the change.
        if report.outcome.is_changed() && !asked.dry_run {
            let stale = context.outside.store.stale_boot_image();
            report.warnings.extend(stale.map(|text| Warning { code: WarningCode::InitramfsStale, text }));
        }
        Ok(change::document(report, asked.dry_run))
    };
    context.change_or_dry_run(caller, order, work).await.map(Json)
}

/// `PUT /v1/gpus/{gpu}/cordon`
pub(super) async fn set_cordon(
    State(context): State<Arc<Context>>,
    Writer(peer): Writer,
    GpuName(selector): GpuName,
    _: Params<Nothing>,
    Body(asked): Body<SetCordon>,
) -> Result<Json<Change>, Failure> {
    let cordon = if asked.cordoned { Cordon::On } else { Cordon::Off };
    let what = format!("gpu {} {selector}", if asked.cordoned { "cordon" } else { "uncordon" });
    let work = move |context: &Context| {
        let gpu = address(&selector, context)?;
        Ok(change::document(context.engine.set_cordon(gpu, cordon)?, false))
    };
    context.change(&peer, what, work).await.map(Json)
}

/// `DELETE /v1/gpus/{gpu}/configuration`
pub(super) async fn unset(
    State(context): State<Arc<Context>>,
    Writer(peer): Writer,
    GpuName(selector): GpuName,
    _: Params<Nothing>,
) -> Result<Json<Change>, Failure> {
    let what = format!("gpu unset {selector}");
    let work = move |context: &Context| {
        let gpu = address(&selector, context)?;
        Ok(change::document(context.engine.unset(gpu)?, false))
    };
    context.change(&peer, what, work).await.map(Json)
}

/// The address of the GPU that a selector names; a configured one need not be on the host.
pub(super) fn address(selector: &GpuSelector, context: &Context) -> Result<PciAddress, Failure> {
    let (desired, _) = context.outside.store.load()?;
    let configured = selector.configured(&desired).map_err(|refusal| Failure::refused(*refusal))?;
    if let Some(configured) = configured {
        return Ok(configured);
    }
    // What is named by its own address needs no picture of the whole host: what is done to it looks at it.
    if let GpuSelector::Address(address) = selector {
        if context.outside.host.is_gpu(*address) {
            return Ok(*address);
        }
    }
    let observed = context.outside.host.observe_without_holders()?;
    let gpu = selector.find(&observed, &desired).map_err(|refusal| Failure::refused(*refusal))?;
    Ok(gpu.address)
}

/// The GPU that a selector names.
pub(super) fn find<'a>(selector: &GpuSelector, picture: &'a Picture) -> Result<&'a Gpu, Failure> {
    let view = &picture.view;
    selector.find(&view.observed, &view.desired).map_err(|refusal| Failure::refused(*refusal))
}
