//! Judging a write by what is there afterwards, and waiting for it where the kernel is known to lag.

use std::io;
use std::time::{Duration, Instant};

use crate::error::HostError;
use crate::files::Files;
use crate::sysfs::{ReadError, WriteError};
use crate::writer::{BlockingAct, WaitingWriter, waiting_writers};

/// How a step stands.
pub(super) enum State {
    /// Its end is reached.
    Reached,
    /// It is not: what is there instead.
    NotYet(String),
}

/// Joins a write's answer with what is there after it.
pub(super) fn settle(what: &str, written: io::Result<()>, state: State) -> Result<(), HostError> {
    match (written, state) {
        (_, State::Reached) => Ok(()),
        (Ok(()), State::NotYet(found)) => Err(HostError::NotSo { what: what.to_owned(), found }),
        (Err(source), State::NotYet(_)) => Err(HostError::Refused { what: what.to_owned(), source }),
    }
}

/// The same for a write that can block. While it is still going on nothing can be judged.
pub(super) fn settle_blocking(
    what: &str,
    written: Result<(), WriteError>,
    state: impl FnOnce() -> State,
) -> Result<(), HostError> {
    let written = answered(what, written)?;
    settle(what, written, state())
}

/// What the kernel answered to a write that can block, once it has.
pub(super) fn answered<T>(what: &str, written: Result<T, WriteError>) -> Result<io::Result<T>, HostError> {
    match written {
        Ok(taken) => Ok(Ok(taken)),
        Err(WriteError::StillWaiting { writer, waited }) => {
            Err(HostError::StillWaiting { what: what.to_owned(), writer, waited })
        }
        Err(WriteError::Errno(source)) => Ok(Err(source)),
        Err(WriteError::Writer(e)) => {
            Ok(Err(io::Error::new(e.kind(), format!("the writer process failed: {e}"))))
        }
    }
}

/// Why an attribute that waits for its device's lock was not read.
pub(super) fn not_read(what: &str, error: ReadError, waited: Duration) -> HostError {
    let what = what.to_owned();
    match error {
        ReadError::Errno(source) => HostError::Refused { what, source },
        ReadError::StillWaiting { waits } => HostError::StillWaiting { what, writer: waits, waited },
        ReadError::Reader(e) => {
            let source = io::Error::new(e.kind(), format!("the reading process failed: {e}"));
            HostError::Refused { what, source }
        }
    }
}

/// Fails when an earlier write of the same device is still under way.
///
/// The kernel takes a device's `driver` link, and a mediated device's entry on its bus, away *before* it calls the
/// driver's `remove`, which is what waits (drivers/base/dd.c, `__device_release_driver`). So what looks done may not
/// be: only the writer's own announcement tells.
pub(super) fn nothing_under_way(
    files: Files<'_>,
    what: &str,
    is_same: impl Fn(&BlockingAct) -> bool,
) -> Result<(), HostError> {
    // Not to know is not to know of none.
    let writers = waiting_writers(files.sysfs).map_err(|source| HostError::Refused {
        what: format!("{what}: looking for writes that were begun earlier"),
        source,
    })?;
    match writers.iter().find(|writer| is_same(&writer.write)) {
        None => Ok(()),
        Some(WaitingWriter { pid, .. }) => {
            let what = format!("{what}, begun earlier");
            Err(HostError::StillWaiting { what, writer: *pid, waited: Duration::ZERO })
        }
    }
}

/// A precondition that does not hold: nothing was written.
pub(super) fn not_as_planned(what: &str, found: String) -> HostError {
    HostError::NotAsPlanned { what: what.to_owned(), source: io::Error::other(found) }
}

/// How often a state is looked at again while the kernel may still be at work.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Looks until the state is reached or `within` has passed; at least once.
pub(super) fn within(within: Duration, look: impl Fn() -> State) -> State {
    let end = Instant::now() + within;
    loop {
        let state = look();
        if matches!(state, State::Reached) || Instant::now() >= end {
            return state;
        }
        // Nothing tells of these changes: an attribute's effect sends no event. Waking early only looks early.
        std::thread::park_timeout(LOOK_EVERY);
    }
}
