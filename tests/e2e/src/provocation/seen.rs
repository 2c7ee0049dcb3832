//! What the doctor found, told apart by code, severity and what it is about.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

/// What was found of something: its code, how bad it is, what it is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seen {
    pub(super) code: String,
    pub(super) severity: String,
    pub(super) about: String,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} of {}", self.severity, self.code, self.about)
    }
}

impl Seen {
    /// As it is shown.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (found, about) = text.split_once(" of ")?;
        let (severity, code) = found.split_once(' ')?;
        Some(Self { code: code.to_owned(), severity: severity.to_owned(), about: about.to_owned() })
    }

    fn of(finding: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let subject = &finding["subject"];
        let about = match text(&subject["name"]) {
            name if name.is_empty() => text(&subject["kind"]),
            name => format!("{} {name}", text(&subject["kind"])),
        };
        Self { code: text(&finding["code"]), severity: text(&finding["severity"]), about }
    }
}

/// What the doctor found: each with the document of it.
pub type Findings = BTreeMap<Seen, Value>;

pub(super) fn findings(document: &Value) -> Findings {
    let list = document["findings"].as_array().cloned().unwrap_or_default();
    list.into_iter().map(|finding| (Seen::of(&finding), finding)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_read_as_it_is_shown() {
        let shown = "warning type-pending of gpu 0000:01:00.0";
        assert_eq!(Seen::read(shown).map(|seen| seen.to_string()).as_deref(), Some(shown));
        assert_eq!(Seen::read("warning of gpu"), None);
    }
}
