//! Reading JSON without overlooking anything: a key that we do not know is an error, wherever it stands.
//!
//! Not every value type refuses unknown keys by itself, and a misspelt key of an admin's edit must not be dropped
//! by the next write. So what was read is written again and compared.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::StateError;

/// The one thing that every version of every file has.
#[derive(serde::Deserialize)]
struct Versioned {
    version: u64,
}

/// The document of `version` in `text`, whole.
pub(crate) fn parse<T>(path: &Path, text: &str, version: u32) -> Result<T, StateError>
where
    T: DeserializeOwned + Serialize,
{
    let corrupt = |error: serde_json::Error| {
        let (line, text) = (error.line(), error.to_string());
        let place = format!(" at line {line} column {}", error.column());
        let what = text.strip_suffix(&place).unwrap_or(&text).to_owned();
        StateError::Corrupt { path: path.to_owned(), line: line.max(1), what }
    };
    let found = serde_json::from_str::<Versioned>(text).map_err(corrupt)?.version;
    if found != u64::from(version) {
        return Err(StateError::Version { path: path.to_owned(), found, known: version });
    }
    let document: T = serde_json::from_str(text).map_err(corrupt)?;
    // What we wrote and nobody edited is most of what is ever read.
    if serde_json::to_string_pretty(&document).is_ok_and(|ours| text.trim_end() == ours) {
        return Ok(document);
    }
    let given: Value = serde_json::from_str(text).map_err(corrupt)?;
    let understood = serde_json::to_value(&document).map_err(corrupt)?;
    match unknown_key(&given, &understood) {
        None => Ok(document),
        Some(key) => Err(StateError::Corrupt {
            path: path.to_owned(),
            line: line_of_key(text, &key),
            what: format!("key {key:?} is unknown here, or not spelt as gpuvirt does"),
        }),
    }
}

/// A key of `given` that `understood` lacks.
fn unknown_key(given: &Value, understood: &Value) -> Option<String> {
    match (given, understood) {
        (Value::Object(given), Value::Object(understood)) => given.iter().find_map(|(key, value)| {
            match understood.get(key) {
                Some(known) => unknown_key(value, known),
                // Left out when written again: the key is known and says nothing.
                None if is_nothing(value) => None,
                None => Some(key.clone()),
            }
        }),
        (Value::Array(given), Value::Array(understood)) => {
            given.iter().zip(understood).find_map(|(value, known)| unknown_key(value, known))
        }
        _ => None,
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// The first line that has the key; 1 when it is written with escapes.
fn line_of_key(text: &str, key: &str) -> usize {
    let quoted = format!("\"{key}\"");
    text.lines().position(|line| line.contains(&quoted)).map_or(1, |index| index + 1)
}
