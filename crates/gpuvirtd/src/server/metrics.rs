//! `/metrics`: numbers for Prometheus, from the picture that listings share.
//!
//! A scrape costs no look at the host while nothing has changed, and starts no libvirt that somebody stopped. Over the socket:
//! `curl --unix-socket /run/gpuvirt/gpuvirt.sock http://gpuvirt/metrics`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use gpuvirt_api::GpuDocument;
use gpuvirt_model::Reading;
use gpuvirt_plan::{Plan, drift};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::answer::Failure;
use super::context::Context;
use super::input::{Nothing, Params};
use super::pictures::Freshness;
use super::pictures::Picture;

/// What Prometheus takes (OpenMetrics 1.0).
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels = Vec<(&'static str, String)>;
type Numbers = Family<Labels, Gauge>;

/// `GET /metrics`
pub(super) async fn show(
    State(context): State<Arc<Context>>,
    freshness: Freshness,
    _: Params<Nothing>,
) -> Result<impl IntoResponse, Failure> {
    let text = context.look_waking_nobody(freshness, text).await?;
    Ok(([(CONTENT_TYPE, OPENMETRICS)], text))
}

fn text(context: &Context, picture: &Picture) -> Result<String, Failure> {
    let mut registry = Registry::with_prefix("gpuvirt");
    gpus(&mut registry, picture);
    profiles(&mut registry, picture);
    vms(&mut registry, picture);
    health(&mut registry, context, picture);
    violations(&mut registry, picture);
    let mut text = String::new();
    // Writing to a string can't fail.
    encode(&mut text, &registry).map_err(|_| Failure::bug())?;
    Ok(text)
}

fn gpus(registry: &mut Registry, picture: &Picture) {
    let (gpus, pending, vgpus) = (Numbers::default(), Numbers::default(), Numbers::default());
    let view = &picture.view;
    for gpu in view.observed.gpus.values() {
        let document = GpuDocument::new(gpu, &view.observed, &view.desired, &view.records);
        let of = |more: &[(&'static str, String)]| [&[("gpu", gpu.address.to_string())], more].concat();
        let configured = document.configured.map_or("unmanaged".to_owned(), |kind| kind.to_string());
        let kinds = [("active", document.active.to_string()), ("configured", configured)];
        gpus.get_or_create(&of(&kinds)).set(1);
        pending.get_or_create(&of(&[])).set(i64::from(document.pending.is_some()));
        for ours in [true, false] {
            let count = view.observed.vgpus_of(gpu).filter(|vgpu| view.records.made(vgpu) == ours).count();
            vgpus.get_or_create(&of(&[("ours", ours.to_string())])).set(number(count));
        }
    }
    registry.register("gpu", "A GPU with its graphics types; always 1", gpus);
    registry.register("gpu_pending", "1 while the configured type is not in force", pending);
    registry.register("vgpus", "vGPUs that exist", vgpus);
}

fn profiles(registry: &mut Registry, picture: &Picture) {
    let available = Numbers::default();
    for gpu in picture.view.observed.gpus.values() {
        for profile in &gpu.profiles {
            let labels = vec![("gpu", gpu.address.to_string()), ("profile", profile.name.to_string())];
            available.get_or_create(&labels).inc_by(i64::from(profile.available));
        }
    }
    registry.register("profile_available", "vGPUs of the profile that could be created now", available);
}

/// What runs against the rules: left alone, and to be looked at by an admin.
fn vms(registry: &mut Registry, picture: &Picture) {
    let violations = Numbers::default();
    let view = &picture.view;
    for domain in view.observed.domains.known().into_iter().flatten() {
        for violation in drift::violations(domain, &view.observed, &view.desired) {
            let labels = vec![("vm", domain.name.clone()), ("code", violation.code.to_string())];
            violations.get_or_create(&labels).inc();
        }
    }
    registry.register("vm_violations", "Rules that a VM breaks; absent where it breaks none", violations);
}

fn health(registry: &mut Registry, context: &Context, picture: &Picture) {
    let plain = |value| {
        let gauge: Gauge = Gauge::default();
        gauge.set(value);
        gauge
    };
    // A change that is under way has its journal open too.
    let before = context.engine.changing();
    let intents = context.outside.store.open_intents();
    let changing = &before | &context.engine.changing();
    let settles = |plan: &Plan| !changing.contains(&plan.gpu);
    let intents = intents.map(|open| open.into_iter().filter(settles).collect::<Vec<_>>());
    let hands_off = intents.as_ref().map_or(0, Vec::len);
    registry.register(
        "hands_off_gpus",
        "GPUs that nothing is done to until recover",
        plain(number(hands_off)),
    );
    let each = Numbers::default();
    for plan in intents.iter().flatten() {
        each.get_or_create(&vec![("gpu", plan.gpu.to_string())]).set(1);
    }
    registry.register("gpu_hands_off", "1 for a GPU that nothing is done to until recover", each);
    let maintenance = i64::from(picture.view.desired.host.maintenance);
    registry.register("maintenance", "1 while nothing more is placed on the host", plain(maintenance));
    let readable = i64::from(intents.is_ok() && picture.problems.is_empty());
    registry.register("state_readable", "1 while the state files can be understood", plain(readable));
    let known = i64::from(matches!(picture.view.observed.domains, Reading::Known(_)));
    registry.register("libvirt_answers", "1 while libvirt's domains are known", plain(known));
    let generation = i64::try_from(picture.view.desired.generation).unwrap_or(i64::MAX);
    registry.register("desired_generation", "Generation of the desired document", plain(generation));
}

/// By VM, so that an alert can name it.
fn violations(registry: &mut Registry, picture: &Picture) {
    let found = Numbers::default();
    let view = &picture.view;
    for domain in view.observed.domains.known().into_iter().flatten() {
        let count = drift::violations(domain, &view.observed, &view.desired).len();
        if count > 0 {
            found.get_or_create(&vec![("vm", domain.name.clone())]).set(number(count));
        }
    }
    registry.register("live_violations", "Rules that a running VM breaks", found);
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
