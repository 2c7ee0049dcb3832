//! The journal: plans that were begun and are not settled, one file for each GPU.
//!
//! What it says is durable before the plan's first write, and holds the snapshot of everything that its steps can change.
//! Recovery observes the host and plans anew; it never replays the steps.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use gpuvirt_model::PciAddress;
use gpuvirt_plan::Plan;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::read::read_trusted;
use crate::{StateError, atomic, strict};

/// The version of a journal file that this code writes.
pub const JOURNAL_VERSION: u32 = 1;

/// What a journal file holds.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Intent {
    version: u32,
    /// Room for which documents settled it (see `settled.rs`): nil while it is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    settled: Option<Uuid>,
    plan: Plan,
}

/// Makes the intent of `plan` durable. The same plan again is done already; one that goes on where the open one ended
/// takes its place.
pub(crate) fn open(dir: &Path, plan: &Plan) -> Result<(), StateError> {
    open_named(dir, plan, None).and_then(|()| atomic::sync_dir(dir))
}

/// The same where the folder is synced later; with room for a mark or without.
pub(crate) fn open_named(dir: &Path, plan: &Plan, settled: Option<Uuid>) -> Result<(), StateError> {
    match to_open(dir, plan, settled)? {
        None => Ok(()),
        Some(text) => {
            atomic::replace_named(dir, &file_name(plan.gpu), |file| file.write_all(text.as_bytes()))
        }
    }
}

/// What the file of an intent is to say; none where it does.
pub(crate) fn to_open(dir: &Path, plan: &Plan, settled: Option<Uuid>) -> Result<Option<String>, StateError> {
    let path = file(dir, plan.gpu);
    match read_intent(&path)? {
        Some(open) if open == *plan => return Ok(None),
        Some(open) if plan.continues(&open) => {}
        Some(_) => return Err(StateError::IntentOpen { path }),
        None => {}
    }
    let intent = Intent { version: JOURNAL_VERSION, settled, plan: plan.clone() };
    let text = serde_json::to_string_pretty(&intent)
        .map_err(|error| StateError::io("writing", path)(io::Error::other(error)))?;
    Ok(Some(text + "\n"))
}

/// Makes an intent durable that was written elsewhere first: a power cut may have taken its file, or left that of the change
/// before it. A file that goes on where this plan ended stays; it may be in memory alone, so it is written too.
///
/// # Errors
/// Any [`StateError`] about the file.
pub(crate) fn restore(dir: &Path, plan: &Plan, text: &str) -> Result<(), StateError> {
    let path = file(dir, plan.gpu);
    let goes_on = match read_trusted(&path) {
        Ok(Some(found)) => match parse_intent(&path, &found) {
            Ok(open) => (open != *plan && open.continues(plan)).then_some(found),
            Err(StateError::Corrupt { .. }) => None,
            Err(other) => return Err(other),
        },
        Ok(None) | Err(StateError::Corrupt { .. }) => None,
        Err(other) => return Err(other),
    };
    atomic::replace(dir, &file_name(plan.gpu), goes_on.as_deref().unwrap_or(text).as_bytes())
}

/// Forgets the intent of a GPU; none is done already. Durably: of a GPU that is managed no more nothing may be undone later.
pub(crate) fn close(dir: &Path, gpu: PciAddress) -> Result<(), StateError> {
    atomic::remove(dir, &file_name(gpu))
}

/// The same where the folder is synced later; says whether there was one.
pub(crate) fn close_named(dir: &Path, gpu: PciAddress) -> Result<bool, StateError> {
    atomic::remove_named(dir, &file_name(gpu))
}

/// Every open intent, by address.
pub(crate) fn open_intents(dir: &Path) -> Result<Vec<Plan>, StateError> {
    let mut plans = Vec::new();
    for path in files(dir)? {
        let Some(plan) = read_intent(&path)? else { continue };
        if file(dir, plan.gpu) != path {
            let what = format!("it is about {} and named after another GPU", plan.gpu);
            return Err(StateError::Corrupt { path, line: 1, what });
        }
        plans.push(plan);
    }
    Ok(plans)
}

fn read_intent(path: &Path) -> Result<Option<Plan>, StateError> {
    let Some(text) = read_trusted(path)? else { return Ok(None) };
    parse_intent(path, &text).map(Some)
}

/// Reads the text of a journal file; `path` is for the error.
///
/// # Errors
/// [`StateError::Corrupt`], [`StateError::Version`].
pub fn parse_intent(path: &Path, text: &str) -> Result<Plan, StateError> {
    strict::parse::<Intent>(path, text, JOURNAL_VERSION).map(|intent| intent.plan)
}

/// Whose intent is in this file, and which documents settled it; none where it is open.
///
/// # Errors
/// Any [`StateError`] about the file.
pub(crate) fn settled_by(path: &Path) -> Result<Option<(PciAddress, Uuid)>, StateError> {
    let Some(text) = read_trusted(path)? else { return Ok(None) };
    let intent: Intent = strict::parse(path, &text, JOURNAL_VERSION)?;
    let mark = intent.settled.filter(|mark| !mark.is_nil());
    let is_named_so = path.file_name().is_some_and(|name| name == file_name(intent.plan.gpu).as_str());
    Ok(mark.filter(|_| is_named_so).map(|mark| (intent.plan.gpu, mark)))
}

/// The files of intents, by address. Other names are not ours: what a crash left of a write (`.….new`), what an admin moved aside.
pub(crate) fn files(dir: &Path) -> Result<Vec<PathBuf>, StateError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(StateError::io("listing", dir))? {
        let entry = entry.map_err(StateError::io("listing", dir))?;
        names.extend(entry.file_name().into_string().ok().filter(|name| is_journal_name(name)));
    }
    names.sort_unstable();
    Ok(names.into_iter().map(|name| dir.join(name)).collect())
}

fn is_journal_name(name: &str) -> bool {
    name.ends_with(".json") && !name.starts_with('.')
}

fn file(dir: &Path, gpu: PciAddress) -> PathBuf {
    dir.join(file_name(gpu))
}

pub(crate) fn file_name(gpu: PciAddress) -> String {
    format!("{gpu}.json")
}
