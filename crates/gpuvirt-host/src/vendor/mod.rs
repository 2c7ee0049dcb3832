//! Programs of vendors that prepare cards, and the system's own that stops services: run as root, in one way.
//!
//! Absolute path, no shell, a clean environment, a process group of its own, output kept up to a limit. The writer
//! process starts them and waits, so that a program which waits in the kernel is left alone at the deadline and is
//! announced meanwhile, to a daemon started later too. It is never killed: that would only make its wait endless.
//!
//! What a program says is for people. Whether it did its work is read from the kernel by whoever had it run.

mod call;
mod run;

pub use call::{ProgramCall, ProgramCallError};
pub(crate) use run::run;
pub use run::{ProgramEnd, ProgramError};
