//! Names with their texts, as `gpuvirt explain` shows them.

use gpuvirt_plan::explain_code::Explanation;
use serde::Serialize;

/// The names asked for.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplanationList {
    /// Always [`gpuvirt_api::API_VERSION`].
    pub api_version: &'static str,
    /// Always `ExplanationList`.
    pub kind: &'static str,
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
    /// A finding of `gpuvirt doctor`.
    Finding,
}
