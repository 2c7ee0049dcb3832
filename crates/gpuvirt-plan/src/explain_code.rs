//! What each refusal, each warning and each finding means: the texts of `gpuvirt explain` and of docs/refusals.md.
//!
//! Data and look-up only. A code without its text fails a test here.

mod config;
mod finding;
mod gpu;
mod guest;
mod isolation;
mod mig;
mod placement;
mod prepare;
mod request;
mod vgpu;
mod vm;
mod warning;

use gpuvirt_model::{FindingCode, RefusalCode, WarningCode};
use serde::Serialize;

/// What a code means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The code's name.
    pub name: &'static str,
    /// What is the matter, and what would go wrong.
    pub cause: &'static str,
    /// From what it is known.
    pub evidence: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

/// Every text, by subject.
const ALL: &[&[&[Explanation]]] = &[
    &[
        isolation::TEXTS,
        gpu::TEXTS,
        prepare::TEXTS,
        config::TEXTS,
        vgpu::TEXTS,
        mig::TEXTS,
        placement::TEXTS,
        vm::TEXTS,
        guest::TEXTS,
        request::TEXTS,
        warning::TEXTS,
    ],
    finding::TEXTS,
];

/// The explanation of a refusal.
pub fn refusal(code: RefusalCode) -> Option<&'static Explanation> {
    named(code.as_str())
}

/// The explanation of a warning.
pub fn warning(code: WarningCode) -> Option<&'static Explanation> {
    named(code.as_str())
}

/// The explanation of a finding: that of the refusal or the warning of its name, where there is one.
pub fn finding(code: FindingCode) -> Option<&'static Explanation> {
    named(code.as_str())
}

fn all() -> impl Iterator<Item = &'static Explanation> {
    ALL.iter().copied().flatten().copied().flatten()
}

fn named(name: &str) -> Option<&'static Explanation> {
    all().find(|text| text.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes() -> impl Iterator<Item = &'static str> {
        let refusals = RefusalCode::ALL.iter().map(|code| code.as_str());
        let warnings = WarningCode::ALL.iter().map(|code| code.as_str());
        refusals.chain(warnings).chain(FindingCode::ALL.iter().map(|code| code.as_str()))
    }

    #[test]
    fn every_code_is_explained_once() {
        for name in codes() {
            let texts = all().filter(|text| text.name == name).count();
            assert_eq!(texts, 1, "{name} has {texts} explanations in gpuvirt-plan/src/explain_code/");
        }
    }

    #[test]
    fn every_part_says_something() {
        for text in all() {
            for part in [text.cause, text.evidence, text.remedy] {
                assert!(part.len() > 20 && part.ends_with('.'), "{}: {part:?}", text.name);
                assert!(!part.contains("  ") && !part.contains('\n'), "{}: {part:?}", text.name);
            }
        }
    }
}
