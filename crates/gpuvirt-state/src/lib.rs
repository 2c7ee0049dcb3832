//! The durable files: what the admin asked for, what we made, and what is in flight.
//!
//! ```text
//! <state dir>/state.json            desired document and our records, one file: they never disagree
//! <state dir>/journal/<gpu>.json    a plan that was begun and not settled, one for each GPU
//! <state dir>/lock                  held by the daemon that owns the folder
//! /etc/gpuvirt/claims               the cards that are claimed early in a boot, derived from the first
//! ```
//!
//! Only this crate writes durable files. A file is replaced as a whole (temporary file, fsync, rename, fsync of the
//! folder), so a crash leaves the earlier content or the new one; the list of claims, which is derived, reaches the disk after
//! that. Where it is known before what a plan will lead to, its documents are on the disk before its first write, under a name that
//! nobody reads, and get theirs when it came true. A file that is there and can't be understood is an error with the path, the line
//! and the remedy; it is never taken for an absent one.

mod atomic;
pub mod claim;
pub mod dir;
pub mod document;
pub mod error;
pub mod journal;
mod known;
mod read;
mod staged;
mod strict;
pub mod textfile;

pub use claim::ClaimFiles;
pub use dir::{StateDir, read_state};
pub use document::{FORMAT_VERSION, State};
pub use error::StateError;
pub use journal::{JOURNAL_VERSION, parse_intent};
pub use textfile::replace_textfile;
