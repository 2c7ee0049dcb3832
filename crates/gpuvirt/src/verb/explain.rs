//! `gpuvirt explain`: what a name in square brackets means.

use gpuvirt_api::API_VERSION;
use gpuvirt_model::{RefusalCode, WarningCode};
use gpuvirt_plan::explain_code::{self, Explanation};
use serde::Serialize;

use crate::cli::{ExplainArgs, Format};
use crate::failure::Failure;
use crate::output::{Answer, document};
use crate::render;

/// The names asked for.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplanationList {
    api_version: &'static str,
    kind: &'static str,
    /// Each name with its text.
    pub items: Vec<Explained>,
}

/// A name with its text.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explained {
    /// What kind of name it is.
    pub family: Family,
    /// The text.
    #[serde(flatten)]
    pub text: &'static Explanation,
}

/// What a name is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// A refusal that no option overrides.
    AbsoluteRefusal,
    /// A refusal that `--accept NAME` overrides.
    AcceptableRefusal,
    /// A warning.
    Warning,
}

/// Runs the verb.
///
/// # Errors
/// A usage error for a name that nothing has.
pub fn run(format: Format, args: &ExplainArgs) -> Result<Answer, Failure> {
    if args.all_markdown {
        return Ok(Answer { out: render::explanation::markdown(&all()), ..Answer::default() });
    }
    let items = match &args.name {
        None => all(),
        Some(name) => vec![named(name)?],
    };
    let one = args.name.is_some();
    let list = ExplanationList { api_version: API_VERSION, kind: "ExplanationList", items };
    document(format, &list, |list| {
        if one {
            list.items.iter().map(render::explanation::show).collect()
        } else {
            render::explanation::list(&list.items)
        }
    })
}

fn all() -> Vec<Explained> {
    let refusals = RefusalCode::ALL.iter().filter_map(|code| explained_refusal(*code));
    refusals.chain(WarningCode::ALL.iter().filter_map(|code| explained_warning(*code))).collect()
}

fn named(name: &str) -> Result<Explained, Failure> {
    let refusal = name.parse().ok().and_then(explained_refusal);
    refusal.or_else(|| name.parse().ok().and_then(explained_warning)).ok_or_else(|| {
        Failure::usage(format!("there is no refusal or warning named {name:?}"))
            .try_this("`gpuvirt explain` lists all names")
    })
}

fn explained_refusal(code: RefusalCode) -> Option<Explained> {
    let family = if code.acceptable() { Family::AcceptableRefusal } else { Family::AbsoluteRefusal };
    explain_code::refusal(code).map(|text| Explained { family, text })
}

fn explained_warning(code: WarningCode) -> Option<Explained> {
    explain_code::warning(code).map(|text| Explained { family: Family::Warning, text })
}
