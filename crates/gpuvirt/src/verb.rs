//! What each verb does: asks or orders, and hands the document to be printed.

pub mod advise;
pub mod capacity;
pub mod config;
pub mod doctor;
pub mod driver;
pub mod esxcli;
pub mod events;
pub mod explain;
pub mod gpu;
pub mod hook;
pub mod host;
pub mod import;
pub mod metrics;
pub mod mig;
mod migration;
pub mod profile;
pub mod recover;
pub mod snapshot;
pub mod status;
pub mod vgpu;
pub mod vm;
pub mod xml;

use gpuvirt_api::{Change, List};
use serde::Serialize;

use crate::asker::Asker;
use crate::failure::Failure;
use crate::output::{Answer, EXIT_PENDING, document};
use crate::render;

/// A listing, its notes on stderr.
fn show_list<T: Serialize>(
    asker: &Asker,
    list: &List<T>,
    text: impl FnOnce(&[T]) -> String,
) -> Result<Answer, Failure> {
    render::list::notes(list).iter().for_each(|note| asker.note(note));
    document(asker.format(), list, |list| text(&list.items))
}

/// A document of its own: every item of the list by itself, which is one.
fn show_each<T: Serialize>(
    asker: &Asker,
    list: &List<T>,
    text: impl Fn(&T) -> String,
) -> Result<Answer, Failure> {
    show_list(asker, list, |items| items.iter().map(text).collect())
}

/// What a change did, its warnings on stderr, and exit code 4 when it is not in force yet. A dry run leaves nothing
/// pending: nothing was accepted.
fn show_change(asker: &Asker, change: &Change) -> Result<Answer, Failure> {
    let mut answer = document(asker.format(), change, render::change::change)?;
    answer.err = render::change::warnings(change);
    answer.exit = if change.pending.is_some() && !change.dry_run { EXIT_PENDING } else { 0 };
    Ok(answer)
}
