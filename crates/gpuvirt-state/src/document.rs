//! `state.json`: the desired document and our records, together.
//!
//! One file, because a crash between two files would leave a GPU that is configured and not remembered, or the
//! reverse; one rename has no between.

use std::collections::BTreeSet;
use std::path::Path;

use gpuvirt_model::{Desired, Records, desired::DESIRED_VERSION};
use serde::{Deserialize, Serialize};

use crate::{StateError, strict};

/// The version of `state.json` that this code writes; each released one has a golden file.
pub const FORMAT_VERSION: u32 = 1;

/// What the records' own version may be.
const RECORDS_VERSION: u32 = 1;

/// Everything durable but the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct State {
    version: u32,
    /// What the admin asked for.
    pub desired: Desired,
    /// What we made, and how things were before.
    pub records: Records,
}

impl Default for State {
    fn default() -> Self {
        Self::new(Desired::default(), Records::default())
    }
}

impl State {
    /// A state of the version that this code writes.
    pub fn new(desired: Desired, mut records: Records) -> Self {
        records.version = RECORDS_VERSION;
        Self { version: FORMAT_VERSION, desired, records }
    }

    /// Reads the text of a `state.json`; `path` is for the error.
    ///
    /// # Errors
    /// [`StateError::Corrupt`], [`StateError::Version`].
    pub fn parse(path: &Path, text: &str) -> Result<Self, StateError> {
        let state: Self = strict::parse(path, text, FORMAT_VERSION)?;
        let version = |found: u32, known: u32| {
            Err(StateError::Version { path: path.to_owned(), found: u64::from(found), known })
        };
        if state.desired.version != DESIRED_VERSION {
            return version(state.desired.version, DESIRED_VERSION);
        }
        if state.records.version != RECORDS_VERSION {
            return version(state.records.version, RECORDS_VERSION);
        }
        match state.contradiction() {
            None => Ok(state),
            Some((what, mark)) => {
                Err(StateError::Corrupt { path: path.to_owned(), line: last_line_with(text, &mark), what })
            }
        }
    }

    /// The text of the file, for people to read and restore.
    ///
    /// # Errors
    /// Only a bug: every value of ours can be written as JSON.
    pub fn to_text(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }

    /// Something that can't be meant, with the text that marks its line: an address that is there twice.
    fn contradiction(&self) -> Option<(String, String)> {
        let mut addresses = BTreeSet::new();
        let twice = self.desired.gpus.iter().find(|gpu| !addresses.insert(gpu.address))?;
        Some((format!("GPU {} is there twice", twice.address), twice.address.to_string()))
    }
}

fn last_line_with(text: &str, mark: &str) -> usize {
    let found = text.lines().enumerate().filter(|(_, line)| line.contains(mark)).last();
    found.map_or(1, |(index, _)| index + 1)
}
