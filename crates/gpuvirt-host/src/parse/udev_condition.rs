//! What conditions of udev's rules say of a PCI function that comes: its events, its subsystem, and jumps over other rules.

use std::collections::BTreeMap;

use super::udev_rule::{Operator, Part, Rule, parts};

/// What the kernel tells of a device. It tells `add` of one that comes, and so does udev at each boot of those that are there.
pub const ACTIONS: [&str; 8] = [COMES, "remove", "change", "move", "online", "offline", "bind", "unbind"];
/// The one that a driver is chosen at.
pub const COMES: &str = "add";
/// What its subsystem is called.
pub const PCI: &str = "pci";

impl Part<'_> {
    /// Whether it is a condition that holds for a text; none where it is no condition, or its pattern is not understood.
    pub fn holds_for(&self, text: &str) -> Option<bool> {
        let fits = fits(self.value, text)?;
        match self.operator {
            Operator::Is => Some(fits),
            Operator::IsNot => Some(!fits),
            Operator::Sets => None,
        }
    }

    /// Whether udev runs a program or reads what it is told before it goes on: that is a condition whatever stands between key and
    /// value ("if (!is_match) op = OP_MATCH").
    pub fn runs_first(&self) -> bool {
        self.key == "PROGRAM" || self.key.starts_with("IMPORT{")
    }

    /// Whether it sets something, and asks for nothing. Of other keys udev wants `==` or `!=`, or does not know them, and ignores
    /// the rule.
    pub fn sets(&self) -> bool {
        let (key, argument) = self.key.split_once('{').map_or((self.key, false), |(key, _)| (key, true));
        let settable = match key {
            "ATTR" | "ENV" | "SYSCTL" | "SECLABEL" => argument,
            "TAG" | "OWNER" | "GROUP" | "MODE" | "SYMLINK" | "NAME" | "OPTIONS" | "GOTO" | "LABEL" => {
                !argument
            }
            "RUN" => true,
            _ => false,
        };
        settable && self.operator == Operator::Sets
    }
}

/// Whether a pattern fits: alternatives between `|`, in them `*` and `?`. Of sets and escapes it is not known.
fn fits(pattern: &str, text: &str) -> Option<bool> {
    let is_plain = !pattern.contains(['[', '\\']);
    is_plain.then(|| pattern.split('|').any(|one| fits_one(one, text)))
}

fn fits_one(pattern: &str, text: &str) -> bool {
    // Up to where in the text the pattern may have come; in one pass over each, whatever stars it has.
    let start = std::iter::once(true).chain(text.chars().map(|_| false)).collect();
    let ends = pattern.chars().fold(start, |reached: Vec<bool>, wanted| match wanted {
        '*' => reached
            .iter()
            .scan(false, |any, here| {
                *any |= *here;
                Some(*any)
            })
            .collect(),
        _ => {
            let steps = reached.iter().zip(text.chars());
            let steps = steps.map(|(here, c)| *here && (wanted == '?' || wanted == c));
            std::iter::once(false).chain(steps).collect()
        }
    });
    ends.last().copied().unwrap_or_default()
}

/// Of each rule of a file, whether one before it may jump over it (`GOTO=`) for a PCI function that comes: then the conditions of
/// that one are its own too, the other way round. A jump goes to the next rule with its label, and to nowhere without one.
pub fn passed_over(rules: &[Rule]) -> Vec<bool> {
    let parts: Vec<_> = rules.iter().map(|rule| parts(&rule.text).unwrap_or_default()).collect();
    let mut labels = BTreeMap::new();
    let mut targets: Vec<Option<usize>> = Vec::new();
    for (at, parts) in parts.iter().enumerate().rev() {
        targets.push(jump(parts).and_then(|label| labels.get(label).copied()));
        if let Some(label) = parts.iter().rev().find(|part| part.key == "LABEL") {
            labels.insert(label.value, at);
        }
    }
    let mut up_to = 0;
    let targets = targets.into_iter().rev().enumerate();
    let passed = targets.map(|(at, target)| {
        let passed = at < up_to;
        up_to = up_to.max(target.unwrap_or_default());
        passed
    });
    passed.collect()
}

/// The label that a rule may jump to for a PCI function that comes.
fn jump<'a>(parts: &[Part<'a>]) -> Option<&'a str> {
    let goes = |part: &Part<'_>| match part.key {
        "ACTION" => part.holds_for(COMES) != Some(false),
        "SUBSYSTEM" => part.holds_for(PCI) != Some(false),
        _ => true,
    };
    let label = parts.iter().find(|part| part.key == "GOTO")?.value;
    parts.iter().all(goes).then_some(label)
}

#[cfg(test)]
mod tests {
    use super::super::udev_rule::rules;
    use super::*;

    #[test]
    fn a_pattern_has_alternatives_and_stars() {
        for (pattern, want) in [
            ("add", Some(true)),
            ("change|add", Some(true)),
            ("*", Some(true)),
            ("a*", Some(true)),
            ("*d?|x", Some(true)),
            ("***?*d", Some(true)),
            ("", Some(false)),
            ("ad", Some(false)),
            ("add?", Some(false)),
            ("change|remove", Some(false)),
            ("[ab]dd", None),
            ("add|\\*", None),
        ] {
            assert_eq!(fits(pattern, "add"), want, "{pattern}");
        }
    }

    #[test]
    fn a_jump_passes_over_what_is_before_its_label_where_it_may_be_taken() {
        for (jump, passed) in [
            (r#"KERNEL!="0000:41:00.0", GOTO="end""#, true),
            (r#"GOTO="end""#, true),
            (r#"ACTION!="remove", GOTO="end""#, true),
            (r#"ACTION=="[ab]*", GOTO="end""#, true),
            (r#"ACTION!="add|change", GOTO="end""#, false),
            (r#"ACTION=="remove", GOTO="end""#, false),
            (r#"SUBSYSTEM!="pci", GOTO="end""#, false),
            (r#"KERNEL=="x", GOTO="nowhere""#, false),
            (r#"KERNEL=="x", MODE="0600""#, false),
        ] {
            let file = format!("LABEL=\"end\"\n{jump}\nMODE=\"1\"\nLABEL=\"end\", MODE=\"2\"\nMODE=\"3\"\n");
            assert_eq!(passed_over(&rules(&file)), [false, false, passed, false, false], "{jump}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(?s).{0,200}") {
            let _ = fits(&text, "add");
            let _ = passed_over(&rules(&text));
        }
    }
}
