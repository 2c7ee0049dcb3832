//! The picture of the host that questions share, for as long as it is the host's; and how the host was when it was
//! refreshed last.
//!
//! It serves listings alone. A change looks for itself, and so does a question that says `Cache-Control: no-cache`, as
//! the command's do: attributes that others write, and processes that open a device, send no event.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use gpuvirt_api::GpuDocument;
use gpuvirt_api::status::GpuStatus;
use gpuvirt_engine::View;
use gpuvirt_model::Gpu;
use gpuvirt_plan::difference::HostSummary;

/// The longest that a picture serves, events or not: what changes without an event shows after that.
const SERVES: Duration = Duration::from_secs(2);

/// A picture of the host, and what is the matter with our own files.
pub(super) struct Picture {
    pub(super) view: View,
    /// Why the desired document is not part of it, when it is not.
    pub(super) problems: Vec<String>,
    /// The list of its GPUs as it travels, once somebody has asked for it: what is asked most, and the same for everybody.
    pub(super) gpus: OnceLock<Bytes>,
    /// Its GPUs, short, once somebody has asked how things stand.
    short: OnceLock<Vec<GpuStatus>>,
}

impl Picture {
    pub(super) fn new(view: View, problems: Vec<String>) -> Self {
        Self { view, problems, gpus: OnceLock::new(), short: OnceLock::new() }
    }

    /// Its GPUs, short: whether each profile can be had now is part of what they are made of, which takes longest.
    pub(super) fn short(&self) -> &[GpuStatus] {
        let short = |gpu| GpuStatus::new(&self.document(gpu));
        self.short.get_or_init(|| self.view.observed.gpus.values().map(short).collect())
    }

    /// One of its GPUs.
    pub(super) fn document(&self, gpu: &Gpu) -> GpuDocument {
        let View { observed, desired, records } = &self.view;
        GpuDocument::new(gpu, observed, desired, records)
    }
}

/// How much of the past an answer may show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Freshness {
    /// What the kernel told since may be all that is looked for.
    AsHeard,
    /// A look at the host, now: `Cache-Control: no-cache` (RFC 9111).
    Now,
}

/// The last picture, with the count of changes at which it was taken.
#[derive(Default)]
pub(super) struct Pictures {
    last: Mutex<Option<Kept>>,
    refreshed: Mutex<Option<HostSummary>>,
}

/// What a refresh found.
pub(super) struct Refreshed {
    /// The host now.
    pub(super) now: HostSummary,
    /// What is otherwise than at the last refresh, or at the first look of all; none: this is the first.
    pub(super) differences: Option<Vec<String>>,
}

struct Kept {
    picture: Arc<Picture>,
    count: u64,
    taken: Instant,
}

impl Pictures {
    /// The picture of this count, if it is young enough.
    pub(super) fn at(&self, count: u64) -> Option<Arc<Picture>> {
        let kept = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = kept.as_ref().filter(|kept| kept.count == count && kept.taken.elapsed() < SERVES)?;
        Some(Arc::clone(&kept.picture))
    }

    /// Keeps a picture that was begun at this count and this moment.
    pub(super) fn keep(&self, picture: &Arc<Picture>, count: u64, taken: Instant) {
        let kept = Kept { picture: Arc::clone(picture), count, taken };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
    }

    /// A picture was taken: the first one is what the first refresh compares with.
    pub(super) fn seen(&self, picture: &Picture) {
        let mut first = self.refreshed.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert_with(|| summary(picture));
    }

    /// Compares a picture with the one of the last refresh, whose place it takes.
    pub(super) fn refresh(&self, picture: &Picture) -> Refreshed {
        let now = summary(picture);
        let before = self.refreshed.lock().unwrap_or_else(PoisonError::into_inner).replace(now.clone());
        Refreshed { differences: before.map(|before| now.differences(&before)), now }
    }
}

fn summary(picture: &Picture) -> HostSummary {
    HostSummary::of(&picture.view.observed, &picture.view.desired)
}
