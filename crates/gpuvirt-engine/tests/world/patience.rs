//! How long tests wait, and for how long their subject does.
//!
//! Whatever is held in a test is held until the test lets it go, so a bound here is only to be shorter than for ever: no
//! loaded machine may fail by it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gpuvirt_engine::Engine;

use super::World;

/// What a change may take that nothing holds up but this machine.
const USUAL: Duration = Duration::from_secs(20);

/// Nothing that is held keeps this from its end.
#[track_caller]
pub fn in_time<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let done = work();
    assert!(began.elapsed() < USUAL, "{what} took {:?}", began.elapsed());
    done
}

/// An engine that lends the host soon, and refuses a second change of a card at once.
pub fn impatient(world: &World) -> Arc<Engine> {
    Arc::new(world.engine().with_patience(Duration::from_millis(50), Duration::ZERO))
}
