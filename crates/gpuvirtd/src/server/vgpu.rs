//! `/v1/vgpus`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use gpuvirt_api::{
    Change, CreateVgpu, GpuSelector, List, MOST_VGPUS, RemoveVgpus, SetVgpuParams, VgpuDocument, XmlDocument,
};
use gpuvirt_engine::{CreateRequest, ParamsRequest, Removal, RemoveRequest, Wish};
use gpuvirt_model::{Framework, PciAddress, Profile, ProfileName};
use gpuvirt_plan::checks::vgpu::not_found;
use uuid::Uuid;

use super::access::Caller;
use super::answer::Failure;
use super::change;
use super::context::Context;
use super::gpu;
use super::input::{Body, Id, Nothing, Params, about};
use super::lanes::Order;
use super::once::Key;
use super::pictures::Freshness;
use super::pictures::Picture;

/// How many names of a long list go to the log.
const NAMES_LOGGED: usize = 4;

/// `GET /v1/vgpus`
pub(super) async fn list(
    State(context): State<Arc<Context>>,
    freshness: Freshness,
    _: Params<Nothing>,
) -> Result<Json<List<VgpuDocument>>, Failure> {
    let read = |context: &Context, picture: &Picture| {
        let view = &picture.view;
        let document = |vgpu| VgpuDocument::new(vgpu, &view.observed, &view.records);
        let vgpus = view.observed.vgpus.values().map(document).collect();
        Ok(context.list("VgpuList", picture, vgpus))
    };
    context.look(freshness, read).await.map(Json)
}

/// `GET /v1/vgpus/{id}`
pub(super) async fn show(
    State(context): State<Arc<Context>>,
    freshness: Freshness,
    Id(id): Id,
    _: Params<Nothing>,
) -> Result<Json<List<VgpuDocument>>, Failure> {
    let read = move |context: &Context, picture: &Picture| {
        let view = &picture.view;
        let vgpu = view.observed.vgpus.get(&id).ok_or_else(|| Failure::refused(not_found(id)))?;
        let vgpu = VgpuDocument::new(vgpu, &view.observed, &view.records);
        Ok(context.list("Vgpu", picture, vec![vgpu]))
    };
    context.look(freshness, read).await.map(Json)
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
    Key(key): Key,
    _: Params<Nothing>,
    Body(asked): Body<CreateVgpu>,
) -> Result<Json<Change>, Failure> {
    if let Some(gpu) = &asked.gpu {
        about("gpu", gpu);
    }
    let uuids = uuids(&asked, key)?;
    let (profile, count) = (&asked.profile.0, uuids.len());
    let on = asked.gpu.map(|gpu| format!(" --gpu {gpu}")).unwrap_or_default();
    let names: Vec<String> = uuids.iter().take(NAMES_LOGGED).map(|uuid| format!(" --uuid {uuid}")).collect();
    let what = format!("vgpu create{on} --profile {profile:?} --count {count}{}", names.concat());
    let order = Order { what, dry_run: asked.dry_run };
    let work = move |context: &Context| {
        let named = |gpu| gpu::address(&GpuSelector::Address(gpu), context);
        let gpu = asked.gpu.map(named).transpose()?;
        if asked.uuid.is_some() || !asked.uuids.is_empty() {
            has_uuids(gpu, &asked.profile, context)?;
        }
        let wish = |uuid: Uuid| Wish {
            params: asked.params.clone(),
            comes_back: key.is_some(),
            ..Wish::new(uuid.into(), asked.profile.clone())
        };
        let wishes = uuids.into_iter().map(wish).collect();
        let request = CreateRequest { gpu, wishes, dry_run: asked.dry_run };
        Ok(change::document(context.engine.create_vgpus(&request)?, asked.dry_run))
    };
    context.change_or_dry_run(caller, order, work).await.map(Json)
}

/// The uuids of all vGPUs asked for: those that were given, then new ones. The engine takes them as arguments, so that
/// its decisions can be replayed; here is where they are chosen. With a key they follow from it, so that a daemon that was
/// started meanwhile, and knows no answers of the last one, finds them made.
fn uuids(asked: &CreateVgpu, key: Option<Uuid>) -> Result<Vec<Uuid>, Failure> {
    let mut uuids: Vec<Uuid> = asked.uuid.iter().chain(&asked.uuids).copied().collect();
    let given = u32::try_from(uuids.len()).unwrap_or(u32::MAX);
    let count = asked.count.unwrap_or(given.max(1));
    let usage = |text| Failure::usage(StatusCode::BAD_REQUEST, text);
    if !(1..=MOST_VGPUS).contains(&count) {
        return Err(usage(format!("{count} vGPUs in one change: it takes 1 to {MOST_VGPUS}")));
    }
    if given > count {
        return Err(usage(format!("{given} uuids for {count} vGPUs: leave some out, or raise the count")));
    }
    let new = |number: u32| match key {
        Some(key) => Uuid::from_u128(key.as_u128().wrapping_add(u128::from(number))),
        None => Uuid::new_v4(),
    };
    uuids.extend((given..count).map(new));
    Ok(uuids)
}

/// `PUT /v1/vgpus/{id}/params`
pub(super) async fn set_params(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Id(id): Id,
    _: Params<Nothing>,
    Body(asked): Body<SetVgpuParams>,
) -> Result<Json<Change>, Failure> {
    let SetVgpuParams { params, clear, dry_run } = asked;
    if params.is_empty() && !clear {
        return Err(Failure::usage(StatusCode::BAD_REQUEST, "name parameters, or clear them".to_owned()));
    }
    let cleared = if clear { " --clear-params" } else { "" };
    let order = Order { what: format!("vgpu set {id}{cleared} {params}"), dry_run };
    let work = move |context: &Context| {
        let deadline = context.write_deadline;
        let request = ParamsRequest { id, params, clear, dry_run, deadline };
        Ok(change::document(context.engine.set_vgpu_params(&request)?, dry_run))
    };
    context.change_or_dry_run(caller, order, work).await.map(Json)
}

/// `DELETE /v1/vgpus/{id}[?dryRun=true]`
pub(super) async fn remove(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Id(id): Id,
    Params(removal): Params<super::input::Removal>,
) -> Result<Json<Change>, Failure> {
    let order = Order { what: format!("vgpu remove {id}"), dry_run: removal.dry_run };
    remove_which(&context, caller, order, Removal::These(vec![id])).await
}

/// `POST /v1/vgpus/remove`
pub(super) async fn remove_several(
    State(context): State<Arc<Context>>,
    caller: Caller,
    _: Params<Nothing>,
    Body(asked): Body<RemoveVgpus>,
) -> Result<Json<Change>, Failure> {
    let RemoveVgpus { ids, all_of, dry_run } = asked;
    let usage = |text: &str| Failure::usage(StatusCode::BAD_REQUEST, text.to_owned());
    let (what, which) = match (ids.as_slice(), all_of) {
        ([], Some(gpu)) => (format!("vgpu remove --gpu {gpu} --all"), Removal::AllOf(gpu)),
        ([], None) => return Err(usage("name the vGPUs, or the GPU whose vGPUs are meant")),
        (_, Some(_)) => return Err(usage("name the vGPUs or the GPU, not both")),
        (ids, None) if ids.len() > MOST_VGPUS as usize => {
            return Err(usage(&format!("{} vGPUs in one change: it takes up to {MOST_VGPUS}", ids.len())));
        }
        (named, None) => {
            let names: Vec<String> = named.iter().take(NAMES_LOGGED).map(ToString::to_string).collect();
            (format!("vgpu remove {} ({} in all)", names.join(" "), named.len()), Removal::These(ids))
        }
    };
    remove_which(&context, caller, Order { what, dry_run }, which).await
}

async fn remove_which(
    context: &Arc<Context>,
    caller: Caller,
    order: Order,
    which: Removal,
) -> Result<Json<Change>, Failure> {
    let dry_run = order.dry_run;
    let work = move |context: &Context| {
        let request = RemoveRequest { which, dry_run, deadline: context.write_deadline };
        Ok(change::document(context.engine.remove_vgpus(&request)?, dry_run))
    };
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
