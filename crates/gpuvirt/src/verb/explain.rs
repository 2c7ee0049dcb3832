//! `gpuvirt explain`: what a name in square brackets means.

use gpuvirt_api::API_VERSION;
use gpuvirt_model::{FindingCode, RefusalCode, WarningCode};
use gpuvirt_plan::explain_code;

use crate::cli::{ExplainArgs, Format};
use crate::explanation::{Explained, ExplanationList, Family};
use crate::failure::Failure;
use crate::output::{Answer, document};
use crate::render;

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
    let warnings = WarningCode::ALL.iter().filter_map(|code| explained_warning(*code));
    // A finding that shares its name with one of these shares its text.
    let findings = FindingCode::ALL.iter().filter(|code| named_otherwise(code.as_str()).is_none());
    refusals.chain(warnings).chain(findings.filter_map(|code| explained_finding(*code))).collect()
}

fn named(name: &str) -> Result<Explained, Failure> {
    let finding = || name.parse().ok().and_then(explained_finding);
    named_otherwise(name).or_else(finding).ok_or_else(|| {
        Failure::usage(format!("there is no refusal, warning or finding named {name:?}"))
            .try_this("`gpuvirt explain` lists all names")
    })
}

/// A refusal or a warning of this name.
fn named_otherwise(name: &str) -> Option<Explained> {
    let refusal = name.parse().ok().and_then(explained_refusal);
    refusal.or_else(|| name.parse().ok().and_then(explained_warning))
}

fn explained_finding(code: FindingCode) -> Option<Explained> {
    explain_code::finding(code).map(|text| Explained { family: Family::Finding, text })
}

fn explained_refusal(code: RefusalCode) -> Option<Explained> {
    let family = if code.acceptable() { Family::AcceptableRefusal } else { Family::AbsoluteRefusal };
    explain_code::refusal(code).map(|text| Explained { family, text })
}

fn explained_warning(code: WarningCode) -> Option<Explained> {
    explain_code::warning(code).map(|text| Explained { family: Family::Warning, text })
}
