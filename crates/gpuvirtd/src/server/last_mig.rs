//! The GPU instances that were read last for those who may not change anything, who are not to keep cards busy with reading.

use std::time::{Duration, Instant};

use gpuvirt_api::{List, MigDocument};
use tokio::sync::Mutex;

use super::answer::Failure;

/// How old it may be.
const LATELY: Duration = Duration::from_secs(10);

pub(super) type MigRead = Result<List<MigDocument>, Failure>;

/// What was read last, and when.
#[derive(Default)]
pub(super) struct LastMig(Mutex<Option<(Instant, MigRead)>>);

impl LastMig {
    /// That, for all who ask meanwhile, or what `read` tells where it is too old, however it ended.
    pub(super) async fn or_read(&self, read: impl Future<Output = MigRead>) -> MigRead {
        let mut last = self.0.lock().await;
        if let Some((when, read)) = last.as_ref().filter(|(when, _)| when.elapsed() < LATELY) {
            tracing::debug!(age = ?when.elapsed(), "GPU instances as they were read lately");
            return read.clone();
        }
        let read = read.await;
        *last = Some((Instant::now(), read.clone()));
        read
    }
}
