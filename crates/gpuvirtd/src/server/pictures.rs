//! The picture of the host that questions share, for as long as it is the host's.
//!
//! It serves listings alone. A change looks for itself, and so does a question that says `Cache-Control: no-cache`, as
//! the command's do: attributes that others write, and processes that open a device, send no event.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::context::Picture;

/// The longest that a picture serves, events or not: what changes without an event shows after that.
const SERVES: Duration = Duration::from_secs(2);

/// The last picture, with the count of changes at which it was taken.
#[derive(Default)]
pub(super) struct Pictures(Mutex<Option<Kept>>);

struct Kept {
    picture: Arc<Picture>,
    count: u64,
    taken: Instant,
}

impl Pictures {
    /// The picture of this count, if it is young enough.
    pub(super) fn at(&self, count: u64) -> Option<Arc<Picture>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = kept.as_ref().filter(|kept| kept.count == count && kept.taken.elapsed() < SERVES)?;
        Some(Arc::clone(&kept.picture))
    }

    /// Keeps a picture that was begun at this count and this moment.
    pub(super) fn keep(&self, picture: &Arc<Picture>, count: u64, taken: Instant) {
        let kept = Kept { picture: Arc::clone(picture), count, taken };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
    }
}
