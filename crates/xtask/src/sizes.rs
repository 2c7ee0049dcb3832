//! Source files stay small enough to be read at once: production lines, without the tests beside them.

use anyhow::Result;

use crate::tally::Tally;
use crate::tree::Tree;

/// From here on a reviewer asks why.
const ASK: usize = 400;
/// From here on the file must be split.
const SPLIT: usize = 600;

/// Checks every Rust source file.
pub fn check(tree: &Tree) -> Result<Tally> {
    let mut found = Vec::new();
    for path in tree.files(".rs")? {
        let lines = production_lines(&path, &tree.read(&path)?).count();
        if lines > SPLIT {
            found.push(format!("sizes: {path} has {lines} lines without tests; split it (limit {SPLIT})"));
        } else if lines > ASK {
            eprintln!("warning: {path} has {lines} lines without tests; is it one thing? (ask at {ASK})");
        }
    }
    Ok(Tally::of_findings(found))
}

/// The lines before the unit tests; none for files that are tests as a whole.
pub fn production_lines<'a>(path: &str, text: &'a str) -> impl Iterator<Item = &'a str> {
    let all_tests = path.contains("/tests/") || path.ends_with("/tests.rs");
    let mut lines = text.lines().peekable();
    let mut ended = all_tests;
    std::iter::from_fn(move || {
        let line = lines.next()?;
        let tests_follow =
            lines.peek().is_some_and(|next| next.trim_start().starts_with("mod ") && next.ends_with('{'));
        ended |= line == "#[cfg(test)]" && tests_follow;
        (!ended).then_some(line)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_do_not_count() {
        let text = "a\nb\n#[cfg(test)]\nmod tests {\nc\n}\n";
        assert_eq!(production_lines("crates/x/src/a.rs", text).count(), 2);
        assert_eq!(production_lines("crates/x/src/tests.rs", text).count(), 0);
        assert_eq!(production_lines("crates/x/tests/a.rs", text).count(), 0);
    }

    #[test]
    fn a_declared_test_module_does_not_end_the_file() {
        assert_eq!(production_lines("crates/x/src/a.rs", "a\n#[cfg(test)]\nmod tests;\nb\n").count(), 4);
    }
}
