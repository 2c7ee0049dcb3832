//! How long whoever calls a hook waits, and how long what comes after it may take.

use std::time::Duration;

/// Longest that a start waits where nothing is to be made for it.
pub const VALIDATION_DEADLINE: Duration = Duration::from_secs(2);
/// Longest that a start waits where a vGPU is to be made.
pub const CREATION_DEADLINE: Duration = Duration::from_secs(10);
/// What must be left of that for a write to begin: one that is given up makes its card hands-off.
pub(crate) const WRITE_AT_LEAST: Duration = Duration::from_secs(1);
/// Longest wait for the host's turn to remove what nobody needs any more; then it is tried at the next occasion.
pub(super) const REMOVAL_TURN: Duration = Duration::from_secs(120);
