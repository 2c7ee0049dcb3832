//! Documents onto stdout, in the format that was asked for; everything else onto stderr.

use std::io::{self, Write};

use gpuvirt_api::ErrorKind;
use serde::Serialize;

use crate::cli::Format;
use crate::failure::Failure;
use crate::render;
use crate::render::plain::plain_json;

/// What a verb has to say, and how it ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// For stdout.
    pub out: String,
    /// For stderr: warnings and notes.
    pub err: String,
    /// The exit code.
    pub exit: u8,
}

/// Refused.
pub const EXIT_REFUSED: u8 = 3;
/// Accepted and pending.
pub const EXIT_PENDING: u8 = 4;

/// One value as a table, as JSON or as YAML.
///
/// # Errors
/// [`Failure`] of the kind `bug` when the value has no such form.
pub fn document<T: Serialize>(
    format: Format,
    value: &T,
    text: impl FnOnce(&T) -> String,
) -> Result<Answer, Failure> {
    let bug = |error: String| Failure::new(ErrorKind::Bug, format!("the answer can't be written: {error}"));
    let out = match format {
        Format::Table => text(value),
        Format::Json => json(value).map_err(|error| bug(error.to_string()))?,
        Format::Yaml => {
            crate::yaml::to_string(value).map(plain_json).map_err(|error| bug(error.to_string()))?
        }
    };
    Ok(Answer { out, ..Answer::default() })
}

fn json<T: Serialize>(value: &T) -> Result<String, serde_json::Error> {
    Ok(plain_json(serde_json::to_string_pretty(value)? + "\n"))
}

/// A verb's end as an answer: an error's text for stderr, and its document for stdout where programs read.
pub fn answer(format: Format, result: Result<Answer, Failure>) -> Answer {
    result.unwrap_or_else(|failure| {
        let err = render::refusal::failure(&failure);
        let exit = failure.error.kind.exit_code();
        let out = document(format, &failure.error, |_| String::new()).unwrap_or_default().out;
        Answer { out, err, exit }
    })
}

/// Writes an answer out. A reader that has gone away (`gpuvirt gpu list | head -1`) is no error.
///
/// # Errors
/// The errno of writing to stdout, e.g. on a full disk.
pub fn print(answer: &Answer) -> io::Result<()> {
    print_more(answer).map(drop)
}

/// The same of something that goes on: whether anybody still reads.
///
/// # Errors
/// As [`print()`].
pub fn print_more(answer: &Answer) -> io::Result<bool> {
    // Nothing better can be done about a stderr that takes nothing.
    let _ = io::stderr().write_all(answer.err.as_bytes());
    let mut stdout = io::stdout().lock();
    match stdout.write_all(answer.out.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        result => result.map(|()| true),
    }
}

#[cfg(test)]
mod tests {
    use gpuvirt_model::{Reading, Unknown};

    use super::*;

    #[test]
    fn yaml_is_the_same_document_as_json() {
        #[derive(Serialize)]
        struct Sample {
            vms: Reading<Vec<u8>>,
            seen: Reading<Vec<u8>>,
            name: String,
        }
        let sample = Sample {
            vms: Reading::Unknown(Unknown::NeedsRoot),
            seen: Reading::Known(vec![1]),
            name: "no: \u{1b}[1m".to_owned(),
        };
        let yaml = document(Format::Yaml, &sample, |_| String::new()).unwrap().out;
        assert!(!yaml.contains('!') && !yaml.contains('\u{1b}'), "{yaml}");
        let back: serde_json::Value = serde_yaml_ng::from_str(&yaml).unwrap();
        assert_eq!(back, serde_json::to_value(&sample).unwrap());
    }

    #[test]
    fn programs_get_an_error_as_a_document_too() {
        let failure = Failure::usage("no\u{1b}").try_this("yes");
        let got = answer(Format::Json, Err(failure));
        assert_eq!(got.exit, 2);
        assert_eq!(got.err, "error: no\\u{1b}\n  try      yes\n");
        let document: gpuvirt_api::ApiError = serde_json::from_str(&got.out).unwrap();
        assert_eq!(document.kind, ErrorKind::Usage);
    }
}
