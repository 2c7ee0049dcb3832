//! `/v1/mig` and `/v1/gpus/{gpu}/gpu-instances`

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use gpuvirt_api::{Change, CreateGpuInstances, GpuSelector, List, MigDocument};
use gpuvirt_engine::{self as engine, RemoveGpuInstances};
use gpuvirt_model::mig::is_profile_name;

use super::access::Caller;
use super::answer::Failure;
use super::change;
use super::context::Context;
use super::gpu;
use super::input::{Body, GpuName, Nothing, OfGpu, Params, Removal, selector};
use super::lanes::Order;
use super::last_mig::MigRead;
use super::once::Key;
use super::pictures::Picture;

/// A GPU and one of its GPU instances in a path.
pub(super) struct Instance(GpuSelector, u32);

impl FromRequestParts<Arc<Context>> for Instance {
    type Rejection = Failure;
    async fn from_request_parts(parts: &mut Parts, context: &Arc<Context>) -> Result<Self, Failure> {
        let named = Path::<(String, String)>::from_request_parts(parts, context).await;
        let Path((gpu, id)) = named.map_err(|error| super::input::bad(&error))?;
        let text = format!("{id:?} is not the number of a GPU instance");
        let id = id.parse().map_err(|_| Failure::usage(StatusCode::BAD_REQUEST, text))?;
        Ok(Self(selector(&gpu)?, id))
    }
}

/// `GET /v1/mig[?gpu=]`
///
/// It asks the vendor's command and waits for changes: it has the lane of dry runs, so that no listing waits for it. Who may not
/// change anything is not to keep cards busy with that, and gets what was read lately.
pub(super) async fn list(
    State(context): State<Arc<Context>>,
    Caller(peer): Caller,
    Params(of): Params<OfGpu>,
) -> Result<Json<List<MigDocument>>, Failure> {
    let only = of.gpu.as_deref().map(selector).transpose()?;
    // Without asking polkit: nobody is to be asked for a password for a listing.
    if context.gate.lets_through(&peer) {
        return context
            .on_a_thread(&context.dry_runs, move |context| context.mig(only.as_ref()))
            .await
            .map(Json);
    }
    let mut list = context.mig_read_lately().await?;
    if let Some(only) = only {
        let only = context.read(move |context| gpu::address(&only, context)).await?;
        list.items.retain(|card| card.gpu == only);
        if list.items.is_empty() {
            return Err(context.gate.denial(&peer).into());
        }
    }
    Ok(Json(list))
}

impl Context {
    fn mig(&self, only: Option<&GpuSelector>) -> MigRead {
        let only = only.map(|only| gpu::address(only, self)).transpose()?;
        let (view, found) = self.engine.mig(only)?;
        let documents = found.into_iter().map(|card| {
            MigDocument::new(card.gpu, card.state, (&view.observed, &view.desired, &view.records))
        });
        let documents = documents.collect();
        let picture = Picture::new(view, Vec::new());
        Ok(self.list("MigList", &picture, documents))
    }

    /// Of every managed card, for all who ask meanwhile.
    async fn mig_read_lately(self: &Arc<Self>) -> MigRead {
        let read = self.on_a_thread(&self.dry_runs, |context| context.mig(None));
        self.last_mig.or_read(self.sparingly.run(read)).await
    }
}

/// `POST /v1/gpus/{gpu}/gpu-instances`
pub(super) async fn create(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Key(key): Key,
    GpuName(selector): GpuName,
    _: Params<Nothing>,
    Body(asked): Body<CreateGpuInstances>,
) -> Result<Json<Change>, Failure> {
    let CreateGpuInstances { profile, count, dry_run } = asked;
    if !is_profile_name(&profile) || count == 0 {
        let text = format!("{count} of {profile:?} is no request for GPU instances");
        return Err(Failure::usage(StatusCode::BAD_REQUEST, text));
    }
    let order = Order { what: format!("mig create {selector} {profile:?} --count {count}"), dry_run };
    let work = move |context: &Context| {
        let gpu = gpu::address(&selector, context)?;
        let request = engine::CreateGpuInstances { gpu, profile, count, dry_run, key };
        Ok(change::document(context.engine.create_gpu_instances(&request)?, dry_run))
    };
    context.change_or_dry_run(caller, order, work).await.map(Json)
}

/// `DELETE /v1/gpus/{gpu}/gpu-instances/{id}[?dryRun=true]`
pub(super) async fn remove(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Instance(selector, id): Instance,
    Params(removal): Params<Removal>,
) -> Result<Json<Change>, Failure> {
    removed(&context, caller, selector, (Some(id), removal.dry_run)).await
}

/// `DELETE /v1/gpus/{gpu}/gpu-instances[?dryRun=true]`
pub(super) async fn remove_all(
    State(context): State<Arc<Context>>,
    caller: Caller,
    GpuName(selector): GpuName,
    Params(removal): Params<Removal>,
) -> Result<Json<Change>, Failure> {
    removed(&context, caller, selector, (None, removal.dry_run)).await
}

async fn removed(
    context: &Arc<Context>,
    caller: Caller,
    selector: GpuSelector,
    (id, dry_run): (Option<u32>, bool),
) -> Result<Json<Change>, Failure> {
    let which = id.map_or_else(|| "--all".to_owned(), |id| id.to_string());
    let order = Order { what: format!("mig remove {selector} {which}"), dry_run };
    let work = move |context: &Context| {
        let gpu = gpu::address(&selector, context)?;
        let request = RemoveGpuInstances { gpu, id, dry_run, deadline: context.write_deadline };
        Ok(change::document(context.engine.remove_gpu_instances(&request)?, dry_run))
    };
    context.change_or_dry_run(caller, order, work).await.map(Json)
}
