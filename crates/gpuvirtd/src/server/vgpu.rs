//! `/v1/vgpus`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use gpuvirt_api::{Change, CreateVgpu, GpuSelector, List, VgpuDocument, XmlDocument};
use gpuvirt_engine::CreateRequest;
use gpuvirt_plan::checks::vgpu::not_found;
use uuid::Uuid;

use super::access::Caller;
use super::answer::Failure;
use super::change;
use super::context::{Context, Order};
use super::gpu;
use super::input::{Body, Id, Nothing, Params, Removal};

/// `GET /v1/vgpus`
pub(super) async fn list(
    State(context): State<Arc<Context>>,
    _: Params<Nothing>,
) -> Result<Json<List<VgpuDocument>>, Failure> {
    let read = |context: &Context| {
        let picture = context.picture()?;
        let view = &picture.view;
        let document = |vgpu| VgpuDocument::new(vgpu, &view.observed, &view.records);
        let vgpus = view.observed.vgpus.values().map(document).collect();
        Ok(context.list("VgpuList", &picture, vgpus))
    };
    context.read(read).await.map(Json)
}

/// `GET /v1/vgpus/{uuid}`
pub(super) async fn show(
    State(context): State<Arc<Context>>,
    Id(uuid): Id,
    _: Params<Nothing>,
) -> Result<Json<List<VgpuDocument>>, Failure> {
    let read = move |context: &Context| {
        let picture = context.picture()?;
        let view = &picture.view;
        let vgpu = view.observed.vgpus.get(&uuid).ok_or_else(|| Failure::refused(not_found(uuid)))?;
        let vgpu = VgpuDocument::new(vgpu, &view.observed, &view.records);
        Ok(context.list("Vgpu", &picture, vec![vgpu]))
    };
    context.read(read).await.map(Json)
}

/// `GET /v1/vgpus/{uuid}/xml`
pub(super) async fn xml(
    State(context): State<Arc<Context>>,
    Id(uuid): Id,
    _: Params<Nothing>,
) -> Result<Json<XmlDocument>, Failure> {
    let read = move |context: &Context| Ok(XmlDocument::new(context.engine.vgpu_xml(uuid)?));
    context.read(read).await.map(Json)
}

/// `POST /v1/vgpus`
pub(super) async fn create(
    State(context): State<Arc<Context>>,
    caller: Caller,
    _: Params<Nothing>,
    Body(asked): Body<CreateVgpu>,
) -> Result<Json<Change>, Failure> {
    // The engine takes uuids as arguments, so that its decisions can be replayed; here is where one is chosen.
    let uuid = asked.uuid.unwrap_or_else(Uuid::new_v4);
    let (gpu, profile) = (asked.gpu, &asked.profile.0);
    let what = format!("vgpu create --gpu {gpu} --profile {profile:?} --uuid {uuid}");
    let order = Order { what, dry_run: asked.dry_run };
    let work = move |context: &Context| {
        let gpu = gpu::address(&GpuSelector::Address(asked.gpu), context)?;
        let request = CreateRequest { gpu, profile: asked.profile, uuid, dry_run: asked.dry_run };
        Ok(change::document(context.engine.create_vgpu(&request)?, asked.dry_run, Some(uuid)))
    };
    context.change_or_dry_run(caller, order, work).await.map(Json)
}

/// `DELETE /v1/vgpus/{uuid}[?dryRun=true]`
pub(super) async fn remove(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Id(uuid): Id,
    Params(removal): Params<Removal>,
) -> Result<Json<Change>, Failure> {
    let dry_run = removal.dry_run;
    let work = move |context: &Context| {
        let report = context.engine.remove_vgpu(uuid, dry_run, context.write_deadline)?;
        Ok(change::document(report, dry_run, Some(uuid)))
    };
    let order = Order { what: format!("vgpu remove {uuid}"), dry_run };
    context.change_or_dry_run(caller, order, work).await.map(Json)
}
