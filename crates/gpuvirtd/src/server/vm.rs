//! `/v1/vms`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use gpuvirt_api::{
    Change, GpuSelector, List, MOST_VGPUS, MigrationDocument, VmAdd, VmAdopt, VmDocument, VmGuestDriver,
    VmRemove, VmStart, XmlDocument, selector::check_label,
};
use gpuvirt_engine::{DeviceRequest, EngineError, Report, VmOrder, VmRequest};
use gpuvirt_model::{Domain, Hypervisor, Observed, PciAddress, Reading};
use gpuvirt_plan::checks::domain::not_found;
use gpuvirt_plan::driver_matrix::Package;
use uuid::Uuid;

use super::access::{Caller, Writer};
use super::answer::Failure;
use super::change;
use super::context::{Context, Patience};
use super::input::{Body, Name, Nothing, Params, bad};
use super::lanes::Order;
use super::once::Key;
use super::pictures::Freshness;
use super::pictures::Picture;

/// `GET /v1/vms`
pub(super) async fn list(
    State(context): State<Arc<Context>>,
    freshness: Freshness,
    _: Params<Nothing>,
) -> Result<Json<List<VmDocument>>, Failure> {
    let read = |context: &Context, picture: &Picture| {
        let observed = &picture.view.observed;
        let domains = observed.domains.known().map(Vec::as_slice).unwrap_or_default();
        let vms =
            domains.iter().map(|domain| VmDocument::new(domain, observed, &picture.view.desired)).collect();
        Ok(context.list("VmList", picture, vms))
    };
    context.look(freshness, read).await.map(Json)
}

/// `GET /v1/vms/{name}`
pub(super) async fn show(
    State(context): State<Arc<Context>>,
    freshness: Freshness,
    Name(name): Name,
    _: Params<Nothing>,
) -> Result<Json<List<VmDocument>>, Failure> {
    let read = move |context: &Context, picture: &Picture| {
        let observed = &picture.view.observed;
        let vm = VmDocument::new(find(&name, observed)?, observed, &picture.view.desired);
        Ok(context.list("Vm", picture, vec![vm]))
    };
    context.look(freshness, read).await.map(Json)
}

/// `GET /v1/vms/{name}/migration`
pub(super) async fn migration(
    State(context): State<Arc<Context>>,
    Name(name): Name,
    _: Params<Nothing>,
) -> Result<Json<List<MigrationDocument>>, Failure> {
    let read = move |context: &Context| {
        let picture = context.picture()?;
        let observed = &picture.view.observed;
        let domain = find(&name, observed)?;
        let (_, versions) = context.outside.definitions.libvirt(Patience::Usual);
        let hypervisor = versions.known().map(Hypervisor::from).unwrap_or_default();
        let document = MigrationDocument::new(domain, observed, &hypervisor);
        Ok(context.list("Migration", &picture, vec![document]))
    };
    context.read(read).await.map(Json)
}

/// `GET /v1/vms/{name}/xml`: without the secrets, so that everybody may read it.
pub(super) async fn xml(
    State(context): State<Arc<Context>>,
    Name(name): Name,
    _: Params<Nothing>,
) -> Result<Json<XmlDocument>, Failure> {
    let read = move |context: &Context| {
        let xml = context.outside.definitions.public_xml(&name)?;
        xml.map(XmlDocument::new).ok_or_else(|| Failure::refused(not_found(&name)))
    };
    context.read(read).await.map(Json)
}

/// `POST /v1/vms/{name}/devices`
pub(super) async fn add(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Key(key): Key,
    Name(name): Name,
    _: Params<Nothing>,
    Body(asked): Body<VmAdd>,
) -> Result<Json<Change>, Failure> {
    let (device, dry_run) = match asked {
        VmAdd::Gpu { gpu, dry_run } => (DeviceRequest::Gpu(gpu).into(), dry_run),
        VmAdd::Vgpu { id, dry_run } => (DeviceRequest::Vgpu(id).into(), dry_run),
        VmAdd::Profile { profile, count, params, dry_run } => {
            // The engine takes uuids as arguments, so that its decisions can be replayed; here they are chosen.
            let count = count.unwrap_or(1);
            if !(1..=MOST_VGPUS).contains(&count) {
                let why = format!("count must be from 1 to {MOST_VGPUS}");
                return Err(Failure::usage(StatusCode::BAD_REQUEST, why));
            }
            let uuids = (0..count).map(|_| Uuid::new_v4()).collect();
            (VmRequest::Profile { profile, params, uuids }, dry_run)
        }
        VmAdd::Match { kind, dry_run } => {
            kind.label.as_deref().map_or(Ok(""), check_label).map_err(|error| bad(&error))?;
            (VmRequest::Match(kind), dry_run)
        }
    };
    let order = Order { what: format!("vm add {name:?}: {device}"), dry_run };
    let work = move |context: &Context| {
        let device = match device {
            VmRequest::Device(DeviceRequest::Gpu(address)) => {
                VmRequest::Device(DeviceRequest::Gpu(gpu(address, context)?))
            }
            other => other,
        };
        let order = VmOrder { request: device, key };
        Ok(change::document(context.engine.vm_add(&name, order, dry_run)?, dry_run))
    };
    context.change_or_dry_run(caller, order, work).await.map(Json)
}

/// `POST /v1/vms/{name}/start`
pub(super) async fn start(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Name(name): Name,
    _: Params<Nothing>,
    Body(asked): Body<VmStart>,
) -> Result<Json<Change>, Failure> {
    let dry_run = asked.dry_run;
    let order = Order { what: format!("vm start {name:?}"), dry_run };
    let work = move |context: &Context| Ok(change::document(context.vm_start(&name, dry_run)?, dry_run));
    context.start(caller, order, work).await.map(Json)
}

impl Context {
    /// Starts a domain. Where that failed, libvirt may not have told what became of it, and the VM's end may tell nobody.
    pub(super) fn vm_start(&self, name: &str, dry_run: bool) -> Result<Report, EngineError> {
        let started = self.engine.vm_start(name, dry_run);
        if matches!(started, Err(EngineError::Failed { .. })) {
            self.stir.unheard();
        }
        started
    }
}

/// `POST /v1/vms/{name}/adopt`
pub(super) async fn adopt(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Name(name): Name,
    _: Params<Nothing>,
    Body(asked): Body<VmAdopt>,
) -> Result<Json<Change>, Failure> {
    let dry_run = asked.dry_run;
    let order = Order { what: format!("vm adopt {name:?}"), dry_run };
    let work =
        move |context: &Context| Ok(change::document(context.engine.vm_adopt(&name, dry_run)?, dry_run));
    context.change_or_dry_run(caller, order, work).await.map(Json)
}

/// `PUT /v1/vms/{name}/guest-driver`
pub(super) async fn set_guest_driver(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Name(name): Name,
    _: Params<Nothing>,
    Body(asked): Body<VmGuestDriver>,
) -> Result<Json<Change>, Failure> {
    let VmGuestDriver { package, dry_run } = asked;
    // What nobody recognises would never be judged: it is a mistake in writing.
    let package = package.map(|text| Package::recognise(&text).map(|known| known.name));
    let package = package.transpose().map_err(|error| bad(&error))?;
    let order = Order { what: format!("vm set {name:?} --guest-driver"), dry_run };
    let work = move |context: &Context| {
        Ok(change::document(context.engine.vm_guest_driver(&name, package.as_deref(), dry_run)?, dry_run))
    };
    context.change_or_dry_run(caller, order, work).await.map(Json)
}

/// `POST /v1/vms/{name}/devices/remove`
pub(super) async fn remove(
    State(context): State<Arc<Context>>,
    Writer(peer): Writer,
    Name(name): Name,
    _: Params<Nothing>,
    Body(asked): Body<VmRemove>,
) -> Result<Json<Change>, Failure> {
    if let VmRemove::Request { request } = asked {
        let what = format!("vm remove {name:?}: request-{request}");
        let work = move |context: &Context| {
            Ok(change::document(context.engine.vm_remove_request(&name, request)?, false))
        };
        return context.change(&peer, what, work).await.map(Json);
    }
    let device = match asked {
        VmRemove::Gpu { gpu } => DeviceRequest::Gpu(gpu),
        VmRemove::Vgpu { id } => DeviceRequest::Vgpu(id),
        // Answered above.
        VmRemove::Request { .. } => return Err(Failure::bug()),
    };
    let what = format!("vm remove {name:?}: {device}");
    let work = move |context: &Context| {
        let device = match device {
            // A card that has left the host is still in the definition, under the address that is named.
            DeviceRequest::Gpu(address) => DeviceRequest::Gpu(gpu(address, context).unwrap_or(address)),
            vgpu @ DeviceRequest::Vgpu(_) => vgpu,
        };
        Ok(change::document(context.engine.vm_remove(&name, device)?, false))
    };
    context.change(&peer, what, work).await.map(Json)
}

/// The GPU of which a function was named.
fn gpu(address: PciAddress, context: &Context) -> Result<PciAddress, Failure> {
    super::gpu::address(&GpuSelector::Address(address), context)
}

/// The domain of this name, or of this uuid.
fn find<'a>(name: &str, observed: &'a Observed) -> Result<&'a Domain, Failure> {
    let domains = match &observed.domains {
        Reading::Known(domains) => domains,
        Reading::Unknown(why) => {
            let text = format!("VM {name:?} cannot be shown: libvirt's domains are {why}");
            return Err(Failure::unavailable(text));
        }
    };
    let by_uuid = |domain: &&Domain| name.parse().is_ok_and(|uuid: uuid::Uuid| uuid == domain.uuid);
    let found = domains.iter().find(|domain| domain.name == name).or_else(|| domains.iter().find(by_uuid));
    found.ok_or_else(|| Failure::refused(not_found(name)))
}
