//! The log of all writes, for tests that say what must and what must not be written.

use nix::errno::Errno;

/// One write as it was asked for, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The path as the caller gave it.
    pub path: String,
    /// What was written.
    pub data: String,
    /// How it ended.
    pub result: WriteResult,
}

/// How a write ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteResult {
    /// Done.
    Done,
    /// Refused.
    Refused(Errno),
    /// It waits.
    Waits,
}

/// Why a write did not go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The kernel refuses.
    Errno(Errno),
    /// The kernel keeps it waiting.
    Blocks,
    /// This fake has no idea what the kernel would do.
    Unmodelled,
    /// It is said to be done, and was not.
    Silent,
}

impl From<Errno> for Stop {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

/// What the kernel answers to a write.
pub(crate) type Answer = Result<(), Stop>;
