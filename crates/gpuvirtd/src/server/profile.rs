//! `/v1/profiles`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use gpuvirt_api::{List, ProfileDocument};

use super::answer::Failure;
use super::context::Context;
use super::gpu;
use super::input::{OfGpu, Params, selector};
use super::pictures::Freshness;
use super::pictures::Picture;

/// `GET /v1/profiles[?gpu=]`
pub(super) async fn list(
    State(context): State<Arc<Context>>,
    freshness: Freshness,
    Params(of): Params<OfGpu>,
) -> Result<Json<List<ProfileDocument>>, Failure> {
    let only = of.gpu.as_deref().map(selector).transpose()?;
    let read = move |context: &Context, picture: &Picture| {
        let mut profiles = ProfileDocument::all(&picture.view.observed, &picture.view.desired);
        if let Some(only) = &only {
            let address = gpu::find(only, picture)?.address;
            profiles.retain(|profile| profile.gpu == address);
        }
        Ok(context.list("ProfileList", picture, profiles).without_vms())
    };
    match freshness {
        Freshness::AsHeard => context.look(freshness, read).await.map(Json),
        Freshness::Now => context.look_at_offers(read).await.map(Json),
    }
}
