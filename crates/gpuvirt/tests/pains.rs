//! docs/pains.md names the test that proves each of its lines: all 25 are there, and so are the tests and the names.

// Helpers of tests: what is missing here is the test's own mistake.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use gpuvirt_model::{FindingCode, RefusalCode, WarningCode};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Words in backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2))
}

#[test]
fn each_of_the_25_is_there_with_a_test() {
    let text = fs::read_to_string(root().join("docs/pains.md")).unwrap();
    let rows: Vec<&str> =
        text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| #")).collect();
    for (number, row) in (1..).zip(&rows) {
        assert!(row.starts_with(&format!("| {number} |")), "{row}");
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        let proof = cells.last().unwrap();
        assert!(quoted(proof).any(|word| word.contains("::")), "{row}");
    }
    assert_eq!(rows.len(), 25);
}

#[test]
fn the_named_tests_exist() {
    let text = fs::read_to_string(root().join("docs/pains.md")).unwrap();
    for word in quoted(&text) {
        let Some((file, test)) = word.split_once("::") else { continue };
        let source = fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let at = source.find(&format!("fn {test}() {{")).unwrap_or_else(|| panic!("{file} has no {test}"));
        let before = source.get(..at).unwrap().trim_end();
        assert!(before.ends_with("#[test]"), "{file}: {test} is no test");
    }
}

#[test]
fn the_names_are_explained() {
    let text = fs::read_to_string(root().join("docs/pains.md")).unwrap();
    let in_brackets = text.split('[').skip(1).filter_map(|rest| rest.split(']').next());
    let names: Vec<&str> = in_brackets.flat_map(quoted).collect();
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        let known = name.parse::<FindingCode>().is_ok()
            || name.parse::<RefusalCode>().is_ok()
            || name.parse::<WarningCode>().is_ok();
        assert!(known, "{name}");
    }
}
