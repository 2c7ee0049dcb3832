//! Paths to handlers.

use std::sync::Arc;

use axum::Router;
use axum::http::{Method, StatusCode, Uri};
use axum::middleware;
use axum::routing::{delete, get, post, put};

use super::access::readers_only;
use super::answer::Failure;
use super::context::Context;
use super::once::once;
use super::{
    capacity, config, doctor, event, gpu, hook, host, metrics, mig, openapi, profile, status, vgpu, vm,
};

/// All routes of the API. Paths are those of [`gpuvirt_api::route`].
pub fn router(context: Arc<Context>) -> Router {
    Router::new()
        .route("/v1/gpus", get(gpu::list))
        .route("/v1/gpus/{gpu}", get(gpu::show))
        .route("/v1/gpus/{gpu}/xml", get(gpu::xml))
        .route("/v1/gpus/{gpu}/type", put(gpu::set_type))
        .route("/v1/gpus/{gpu}/configuration", delete(gpu::unset))
        .route("/v1/gpus/{gpu}/cordon", put(gpu::set_cordon))
        .route("/v1/host", get(host::show).put(host::set))
        .route("/v1/host/refresh", post(host::refresh))
        .route("/v1/capacity", get(capacity::list))
        .route("/v1/gpus/{gpu}/gpu-instances", post(mig::create).delete(mig::remove_all))
        .route("/v1/gpus/{gpu}/gpu-instances/{id}", delete(mig::remove))
        .route("/v1/mig", get(mig::list))
        .route("/v1/profiles", get(profile::list))
        .route("/v1/vgpus", get(vgpu::list).post(vgpu::create))
        .route("/v1/vgpus/remove", post(vgpu::remove_several))
        .route("/v1/vgpus/{uuid}", get(vgpu::show).delete(vgpu::remove))
        .route("/v1/vgpus/{uuid}/params", put(vgpu::set_params))
        .route("/v1/vgpus/{uuid}/xml", get(vgpu::xml))
        .route("/v1/vms", get(vm::list))
        .route("/v1/vms/{name}", get(vm::show))
        .route("/v1/vms/{name}/migration", get(vm::migration))
        .route("/v1/vms/{name}/xml", get(vm::xml))
        .route("/v1/vms/{name}/devices", post(vm::add))
        .route("/v1/vms/{name}/devices/remove", post(vm::remove))
        .route("/v1/vms/{name}/start", post(vm::start))
        .route("/v1/vms/{name}/adopt", post(vm::adopt))
        .route("/v1/vms/{name}/guest-driver", put(vm::set_guest_driver))
        .route("/v1/hook", post(hook::call))
        .route("/v1/config", get(config::export).post(config::apply))
        .route("/v1/status", get(status::show))
        .route("/v1/doctor", get(doctor::show))
        .route("/v1/testimony", get(doctor::testimony))
        .route("/v1/events", get(event::list))
        .route("/v1/openapi.json", get(openapi::show))
        .route("/metrics", get(metrics::show))
        .route("/v1/recover", post(status::recover))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(middleware::from_fn_with_state(Arc::clone(&context), once))
        .layer(middleware::from_fn_with_state(Arc::clone(&context), readers_only))
        .with_state(context)
}

async fn no_such_path(uri: Uri) -> Failure {
    Failure::usage(StatusCode::NOT_FOUND, format!("there is nothing at {:?}", uri.path()))
}

async fn no_such_method(method: Method, uri: Uri) -> Failure {
    let text = format!("{:?} does not take {method}", uri.path());
    Failure::usage(StatusCode::METHOD_NOT_ALLOWED, text)
}
