//! `/v1/capacity`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use gpuvirt_api::{Capacity, List};
use gpuvirt_model::ProfileName;
use gpuvirt_plan::capacity::named;

use super::answer::Failure;
use super::context::Context;
use super::input::{OfProfile, Params};
use super::pictures::Picture;

/// `GET /v1/capacity[?profile=]`
pub(super) async fn list(
    State(context): State<Arc<Context>>,
    Params(of): Params<OfProfile>,
) -> Result<Json<List<Capacity>>, Failure> {
    let only = of.profile.map(ProfileName);
    let read = move |context: &Context, picture: &Picture| {
        let mut all = context.engine.capacity(&picture.view)?;
        if let Some(only) = &only {
            all = vec![named(all, only).map_err(|refusal| Failure::refused(*refusal))?];
        }
        Ok(context.list("CapacityList", picture, all))
    };
    context.look_without_holders(read).await.map(Json)
}
