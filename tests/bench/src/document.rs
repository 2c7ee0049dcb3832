//! The document of all parts: what was measured, what came of it in short, and the parts themselves.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::contest::{BAD, VERDICT};
use crate::sample::RUNS;

const IN_SHORT: &str = "In short";

/// A document, and which of its verdicts say that something is not as it should be.
pub struct Judged {
    /// The document.
    pub text: String,
    /// The verdicts, each with its heading.
    pub bad: Vec<String>,
}

/// Puts the parts, each a file, together. The programs were built with this profile of cargo's. What no part is of stays as
/// `before`, an earlier document, has it.
pub fn of(profile: &str, before: Option<&str>, parts: &[&str]) -> Result<Judged> {
    let read = |part: &str| {
        std::fs::read_to_string(Path::new(part)).with_context(|| format!("read the part {part}"))
    };
    let parts = parts.iter().map(|part| read(part)).collect::<Result<Vec<_>>>()?;
    let parts = match before.map(read).transpose()? {
        Some(before) => {
            ensure!(
                before.contains(&built_with(profile)),
                "the earlier document is of programs that were built otherwise"
            );
            renewed(&before, parts)
        }
        None => parts,
    };
    Ok(Judged { text: together(profile, &parts)?, bad: bad(&parts) })
}

/// The parts of an earlier document, each with what was measured anew in its place.
fn renewed(before: &str, mut parts: Vec<String>) -> Vec<String> {
    let mut all = Vec::new();
    for section in before.split("\n## ").skip(1).filter(|section| subject(section) != IN_SHORT) {
        match parts.iter().position(|part| subject(part) == subject(section)) {
            Some(at) => all.push(parts.remove(at)),
            None => all.push(format!("## {section}")),
        }
    }
    all.append(&mut parts);
    all
}

fn built_with(profile: &str) -> String {
    format!("The programs were built with cargo's profile `{profile}`")
}

/// What a part is of: its heading, without the machine.
fn subject(part: &str) -> &str {
    let heading = part.lines().next().unwrap_or_default().trim_start_matches("## ");
    heading.split(", on ").next().unwrap_or(heading)
}

fn bad(parts: &[String]) -> Vec<String> {
    parts.iter().flat_map(|part| verdicts(part)).filter(|verdict| verdict.contains(BAD)).collect()
}

fn together(profile: &str, parts: &[String]) -> Result<String> {
    let mut out = String::from("# What it costs\n\n");
    writeln!(
        out,
        "Written by `scripts/bench --lab`: the figures of a part are of one run, none is put in by hand, and a part may be of a later run \
         than another (`--only`). {}; packages are built with `dist`. Each part names its machine. Times are medians of interleaved runs \
         of whole processes, from start to exit, with the range in brackets; {RUNS} runs \
         where nothing else is said. A peer whose median is less is ahead unless it was the faster one in no more rounds than two \
         equals would give one of them by chance (sign test, 5 of 100), and a way takes more than it may by the same rule. The floor is a minimal program that reads or writes what must be read or written, \
         and nothing else.\n\n## {IN_SHORT}\n",
        built_with(profile)
    )?;
    for line in parts.iter().flat_map(|part| verdicts(part)) {
        writeln!(out, "- {line}")?;
    }
    for part in parts {
        write!(out, "\n{}\n", part.trim_end())?;
    }
    Ok(out)
}

/// Each verdict with the heading that it stands under.
fn verdicts(part: &str) -> Vec<String> {
    let (mut heading, mut found) = ("", Vec::new());
    for line in part.lines() {
        if let Some(name) = line.strip_prefix("## ").or_else(|| line.strip_prefix("### ")) {
            heading = name;
        }
        found.extend(line.strip_prefix(VERDICT).map(|verdict| format!("{heading}: {verdict}")));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_stand_at_the_beginning_with_their_headings() {
        let parts = [
            "## Machine\n\n### Listing\n\n| x |\n\nVerdict: ahead of every peer\n".to_owned(),
            "## Growth\n\nVerdict: linear\n\n".to_owned(),
        ];
        let document = together("dist", &parts).unwrap();
        let short = "## In short\n\n- Listing: ahead of every peer\n- Growth: linear\n\n## Machine\n";
        assert!(document.contains(short), "{document}");
        assert!(document.ends_with("## Growth\n\nVerdict: linear\n"), "{document}");
    }

    #[test]
    fn what_was_not_measured_again_stays_where_it_was() {
        let part = |subject: &str, verdict: &str| {
            format!("## {subject}, on a machine\n\n### x\n\nVerdict: {verdict}\n")
        };
        let parts = [part("Growth", "linear"), part("A host", "slow"), part("A start", "even")];
        let before = together("dist", &parts).unwrap();
        let renewed = renewed(&before, vec![part("A host", "fast"), part("More", "new")]);
        let verdicts: Vec<String> = renewed.iter().flat_map(|part| verdicts(part)).collect();
        assert_eq!(verdicts, ["x: linear", "x: fast", "x: even", "x: new"]);
        let again = together("dist", &renewed).unwrap();
        assert_eq!(again.matches("\n## ").count(), 5, "{again}");
        assert_eq!(together("dist", &super::renewed(&again, Vec::new())).unwrap(), again);
    }

    #[test]
    fn verdicts_that_are_bad_are_told_apart() {
        let parts = [
            "### Listing\n\n| **ours** |\n\nVerdict: ahead of every peer\n".to_owned(),
            "### Switch\n\nVerdict: **a peer is ahead**: x takes 0.5\n\nVerdict: at most 1.30 times the floor\n".to_owned(),
        ];
        assert_eq!(bad(&parts), ["Switch: **a peer is ahead**: x takes 0.5"]);
        assert!(bad(&parts[..1]).is_empty());
    }
}
