//! The durable files: what the admin asked for, what we made, and what is in flight.
//!
//! ```text
//! <state dir>/state.json            desired document and our records, one file: they never disagree
//! <state dir>/journal/<gpu>.json    a plan that was begun and not settled, one for each GPU
//! <state dir>/.ahead                where such a plan is written first
//! <state dir>/lock                  held by the daemon that owns the folder
//! /etc/gpuvirt/claims               the cards that are claimed early in a boot, derived from the first
//! ```
//!
//! Only this crate writes durable files. A file is replaced as a whole (temporary file, fsync, rename, fsync of the
//! folder), so a crash leaves the earlier content or the new one; the list of claims, which is derived, reaches the disk after
//! that. A file that is there and can't be understood is an error with the path, the line and the remedy; it is never taken for an
//! absent one.
//!
//! A change of which it is known before what it leads to waits for less, by writing over bytes that have their place on the disk:
//!
//! ```text
//! before the first write   its intent, in `.ahead`                                     one flush        ahead.rs
//! while it is made         the intent's own file, and its documents without a name     on a thread      turn.rs, staged.rs
//! at its end               a mark in the intent: these documents settle it             one flush        settled.rs
//! after that               names: the documents get theirs, the intent's goes          nobody waits
//! ```

mod ahead;
mod atomic;
pub mod claim;
pub mod dir;
pub mod document;
pub mod error;
pub mod journal;
mod known;
mod read;
mod settled;
mod staged;
mod strict;
pub mod syncer;
pub mod textfile;
mod turn;

pub use claim::ClaimFiles;
pub use dir::{StateDir, read_state};
pub use document::{FORMAT_VERSION, State};
pub use error::StateError;
pub use journal::{JOURNAL_VERSION, parse_intent};
pub use syncer::Syncer;
pub use textfile::replace_textfile;
