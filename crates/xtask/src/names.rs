//! Names that say nothing, and tests that are switched off without a reason.
//!
//! A test that is ignored with a reason is named as not run by the step `tests`.

use std::path::Path;

use anyhow::Result;

use crate::tally::Tally;
use crate::tree::Tree;

/// A file or folder with such a name collects what has no place.
const EMPTY_NAMES: &[&str] = &["utils", "util", "common", "helpers", "helper", "manager", "misc", "shared"];

/// Checks file names and ignored tests.
pub fn check(tree: &Tree) -> Result<Tally> {
    let mut found = Vec::new();
    for path in tree.files(".rs")? {
        found.extend(
            empty_name(&path).map(|name| format!("names: {path}: {name:?} says nothing; name the thing")),
        );
        // Spelled in two parts, so that this file does not find itself.
        let silent = concat!("#[", "ignore]");
        if tree.read(&path)?.lines().any(|line| line.trim() == silent) {
            found.push(format!("names: {path}: a test is ignored without a reason"));
        }
    }
    Ok(Tally::of_findings(found))
}

fn empty_name(path: &str) -> Option<&str> {
    Path::new(path).iter().filter_map(|part| part.to_str()).find_map(|part| {
        let stem = part.strip_suffix(".rs").unwrap_or(part);
        EMPTY_NAMES.contains(&stem).then_some(stem)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_names_are_found_in_files_and_folders() {
        assert_eq!(empty_name("crates/gpuvirt-host/src/utils.rs"), Some("utils"));
        assert_eq!(empty_name("tests/e2e/tests/common/mod.rs"), Some("common"));
        assert_eq!(empty_name("crates/gpuvirt-host/src/mdev.rs"), None);
    }
}
