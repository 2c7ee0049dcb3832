//! `gpuvirt metrics`: the daemon's numbers, printed, or in a file for node_exporter's textfile collector.

use std::path::Path;

use gpuvirt_api::API_VERSION;
use serde::Serialize;

use crate::asker::Asker;
use crate::cli::MetricsArgs;
use crate::failure::Failure;
use crate::output::{Answer, document};
use crate::render::plain::plain_lines;

/// The end of OpenMetrics, which node_exporter's format has not.
const END: &str = "# EOF\n";
const UP: &str = "# HELP gpuvirt_up 1 while gpuvirtd answers.\n# TYPE gpuvirt_up gauge\ngpuvirt_up ";

/// The numbers, or where they went.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct MetricsDocument {
    api_version: &'static str,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
}

/// Runs the verb.
///
/// # Errors
/// [`Failure`]. Where the daemon did not answer, the file says so.
pub fn run(asker: &Asker, args: &MetricsArgs) -> Result<Answer, Failure> {
    asker.refuse_recording("a recorded host has no numbers: run gpuvirtd --host over it")?;
    let numbers = asker.question(gpuvirt_api::Client::metrics);
    let Some(file) = &args.textfile else {
        let text = Some(numbers.map_err(Failure::of_question)?);
        return show(asker, MetricsDocument { text, ..MetricsDocument::new() });
    };
    let text = match &numbers {
        Ok(text) => format!("{UP}1\n{}", text.strip_suffix(END).unwrap_or(text)),
        Err(_) => format!("{UP}0\n"),
    };
    replace(file, &text)?;
    numbers.map_err(Failure::of_question)?;
    let file = Some(file.display().to_string());
    show(asker, MetricsDocument { file, ..MetricsDocument::new() })
}

fn replace(file: &Path, text: &str) -> Result<(), Failure> {
    gpuvirt_state::replace_textfile(file, text).map_err(|error| {
        Failure::failed(&error).try_this("name a file in a folder that exists and that you may write to")
    })
}

fn show(asker: &Asker, shown: MetricsDocument) -> Result<Answer, Failure> {
    // A file that a timer writes each minute is no news.
    document(asker.format(), &shown, |shown| plain_lines(shown.text.as_deref().unwrap_or_default()))
}

impl MetricsDocument {
    const fn new() -> Self {
        Self { api_version: API_VERSION, kind: "Metrics", text: None, file: None }
    }
}
