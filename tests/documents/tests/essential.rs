//! The names in nextest's profile `essential` are those of end-to-end tests: one that was renamed would not be run any more.
#![allow(clippy::unwrap_used)] // a failed expectation is a failed test

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use gpuvirt_documents::read;

/// The names behind `test(=` in the configuration.
fn chosen() -> Vec<String> {
    let configuration = read(".config/nextest.toml");
    configuration
        .split("test(=")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(name, _)| name.to_owned())
        .collect()
}

/// The functions below a `#[test]` in the end-to-end tests.
fn tests() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../e2e/tests");
    let mut names = BTreeSet::new();
    for file in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file())
    {
        let text = fs::read_to_string(file).unwrap();
        let mut lines = text.lines().map(str::trim);
        while let Some(line) = lines.next() {
            if line == "#[test]" {
                let function = lines.find(|line| line.starts_with("fn ")).unwrap();
                names.extend(
                    function
                        .strip_prefix("fn ")
                        .and_then(|rest| rest.split_once('('))
                        .map(|(name, _)| name.to_owned()),
                );
            }
        }
    }
    names
}

#[test]
fn each_test_that_is_chosen_by_its_name_exists() {
    let (chosen, tests) = (chosen(), tests());
    assert!(chosen.len() > 20, "{chosen:?}");
    let unknown: Vec<_> = chosen.iter().filter(|name| !tests.contains(*name)).collect();
    assert!(unknown.is_empty(), ".config/nextest.toml names no end-to-end test: {unknown:?}");
}
