//! Pictures for questions about what GPUs offer, profiles and capacity: nobody who asks that is told of holders, and to look
//! at every process is most of what a whole picture costs; who asks for profiles alone is told of little else. Such a picture
//! serves one question and no other.

use std::sync::Arc;

use gpuvirt_engine::{EngineError, View};

use super::answer::Failure;
use super::context::Context;
use super::pictures::Picture;

impl Context {
    /// Makes a document of a fresh picture without holders.
    pub(super) async fn look_without_holders<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self, &Picture) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        self.look_by_view(|context| context.engine.view_without_holders(), work).await
    }

    /// Makes the document of profiles of a fresh picture that tells of nothing else.
    pub(super) async fn look_at_offers<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self, &Picture) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        self.look_by_view(|context| context.engine.view_of_offers(), work).await
    }

    async fn look_by_view<T: Send + 'static>(
        self: &Arc<Self>,
        view: fn(&Self) -> Result<View, EngineError>,
        work: impl FnOnce(&Self, &Picture) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        self.read(move |context| {
            let picture = match view(context) {
                Ok(view) => Picture::new(view, Vec::new()),
                // Our own files may be unreadable: the whole picture says so.
                Err(_) => context.picture()?,
            };
            work(context, &picture)
        })
        .await
    }
}
