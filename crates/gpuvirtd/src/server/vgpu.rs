//! `/v1/vgpus`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use gpuvirt_api::{Change, CreateVgpu, GpuSelector, List, VgpuDocument, XmlDocument};
use gpuvirt_engine::CreateRequest;
use gpuvirt_model::{Framework, PciAddress, Profile, ProfileName};
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

/// `GET /v1/vgpus/{id}`
pub(super) async fn show(
    State(context): State<Arc<Context>>,
    Id(id): Id,
    _: Params<Nothing>,
) -> Result<Json<List<VgpuDocument>>, Failure> {
    let read = move |context: &Context| {
        let picture = context.picture()?;
        let view = &picture.view;
        let vgpu = view.observed.vgpus.get(&id).ok_or_else(|| Failure::refused(not_found(id)))?;
        let vgpu = VgpuDocument::new(vgpu, &view.observed, &view.records);
        Ok(context.list("Vgpu", &picture, vec![vgpu]))
    };
    context.read(read).await.map(Json)
}

/// `GET /v1/vgpus/{id}/xml`
pub(super) async fn xml(
    State(context): State<Arc<Context>>,
    Id(id): Id,
    _: Params<Nothing>,
) -> Result<Json<XmlDocument>, Failure> {
    let read = move |context: &Context| Ok(XmlDocument::new(context.engine.vgpu_xml(id)?));
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
    let gpu = asked.gpu.map(|gpu| format!(" --gpu {gpu}")).unwrap_or_default();
    let what = format!("vgpu create{gpu} --profile {:?} --uuid {uuid}", asked.profile.0);
    let order = Order { what, dry_run: asked.dry_run };
    let work = move |context: &Context| {
        let named = |gpu| gpu::address(&GpuSelector::Address(gpu), context);
        let gpu = asked.gpu.map(named).transpose()?;
        if asked.uuid.is_some() {
            has_uuids(gpu, &asked.profile, context)?;
        }
        let request = CreateRequest { gpu, profile: asked.profile, uuid, dry_run: asked.dry_run };
        let report = context.engine.create_vgpu(&request)?;
        let id = report.vgpu;
        Ok(change::document(report, asked.dry_run, id))
    };
    context.change_or_dry_run(caller, order, work).await.map(Json)
}

/// `DELETE /v1/vgpus/{id}[?dryRun=true]`
pub(super) async fn remove(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Id(id): Id,
    Params(removal): Params<Removal>,
) -> Result<Json<Change>, Failure> {
    let dry_run = removal.dry_run;
    let work = move |context: &Context| {
        let report = context.engine.remove_vgpu(id, dry_run, context.write_deadline)?;
        Ok(change::document(report, dry_run, Some(id)))
    };
    let order = Order { what: format!("vgpu remove {id}"), dry_run };
    context.change_or_dry_run(caller, order, work).await.map(Json)
}

/// Refuses a uuid that the vGPU could not have: whoever names one wants to find it again by it.
fn has_uuids(gpu: Option<PciAddress>, profile: &ProfileName, context: &Context) -> Result<(), Failure> {
    let picture = context.picture()?;
    let gpus = picture.view.observed.gpus.values().filter(|found| gpu.is_none_or(|gpu| gpu == found.address));
    let mut made = gpus.flat_map(|gpu| &gpu.profiles).filter(|offered| offered.name == *profile);
    let is_mdev = |offered: &Profile| offered.framework == Framework::Mdev;
    match made.next() {
        Some(first) if !is_mdev(first) && !made.any(is_mdev) => {
            let text = format!(
                "a vGPU of profile {profile} is a virtual function, named by its address: leave out the uuid"
            );
            Err(Failure::usage(StatusCode::BAD_REQUEST, text))
        }
        _ => Ok(()),
    }
}
