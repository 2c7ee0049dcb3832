//! Documents don't rot unseen: a path that a document names, or links to, exists.

use std::path::{Component, Path, PathBuf};

use anyhow::Result;

use crate::tally::Tally;
use crate::tree::Tree;

/// A word in backquotes that starts so is taken for a path of this project.
const OUR_FOLDERS: &[&str] = &["crates/", "tests/", "docs/", "scripts/", ".ci/", ".config/"];

/// Checks every Markdown file.
pub fn check(tree: &Tree) -> Result<Tally> {
    let mut found = Vec::new();
    for document in tree.files(".md")? {
        let text = tree.read(&document)?;
        for path in named_paths(&text).into_iter().chain(linked_paths(&document, &text)) {
            if !tree.has(&path) {
                found.push(format!("docs: {document} names {path}, which is not there"));
            }
        }
        for (path, anchor) in linked_headings(&document, &text) {
            if !tree.read(&path).is_ok_and(|text| anchors(&text).contains(&anchor)) {
                found.push(format!(
                    "docs: {document} links to #{anchor} of {path}, where no heading is called so"
                ));
            }
        }
    }
    Ok(Tally::of_findings(found))
}

/// Paths in backquotes. A pattern (`*`, `<name>`, `{a,b}`) is no path.
fn named_paths(text: &str) -> Vec<String> {
    let spans = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    let words = spans.filter_map(|span| span.split_whitespace().next());
    words
        .map(|word| word.trim_end_matches(['/', ',', '.']))
        .filter(|word| OUR_FOLDERS.iter().any(|folder| word.starts_with(folder)))
        .filter(|word| !word.contains(['*', '<', '{', '$', '…']))
        .map(|word| word.split("::").next().unwrap_or(word).to_owned())
        .collect()
}

/// Targets of Markdown links inside the tree, seen from the root.
fn linked_paths(document: &str, text: &str) -> Vec<String> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets
        .filter(|target| {
            !target.contains("://") && !target.starts_with('#') && !target.contains(char::is_whitespace)
        })
        .filter_map(|target| target.split('#').next())
        .filter_map(|target| from_root(document, target))
        .collect()
}

/// Headings that Markdown links lead to: the document, seen from the root, and the anchor.
fn linked_headings(document: &str, text: &str) -> Vec<(String, String)> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets
        .filter(|target| !target.contains("://") && !target.contains(char::is_whitespace))
        .filter_map(|target| target.split_once('#'))
        .filter_map(|(path, anchor)| {
            let path = if path.is_empty() { document.to_owned() } else { from_root(document, path)? };
            Some((path, anchor.to_owned()))
        })
        .collect()
}

/// The anchors of a document's headings, as forges make them.
fn anchors(text: &str) -> Vec<String> {
    let mut fenced = false;
    let outside = text.lines().filter(|line| {
        fenced ^= line.trim_start().starts_with("```");
        !fenced
    });
    let headings =
        outside.filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    headings
        .map(|heading| heading.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-"))
        .collect()
}

fn from_root(document: &str, target: &str) -> Option<String> {
    let mut path = PathBuf::from(Path::new(document).parent()?);
    for part in Path::new(target).components() {
        match part {
            Component::ParentDir => drop(path.pop()),
            Component::Normal(name) => path.push(name),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    path.to_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backquoted_paths_are_found() {
        let text = "see `crates/gpuvirt-plan/src/gpu.rs` and `scripts/lab up`, not `gpuvirt gpu list` or `tests/hosts/*.dump`";
        assert_eq!(named_paths(text), ["crates/gpuvirt-plan/src/gpu.rs", "scripts/lab"]);
    }

    #[test]
    fn links_lead_to_headings() {
        let text = "# The guest, vendor by vendor\n```\n# no heading\n```\n[a](#the-guest-vendor-by-vendor) [b](mig.md#x)\n";
        assert_eq!(anchors(text), ["the-guest-vendor-by-vendor"]);
        let want = [("docs/a.md", "the-guest-vendor-by-vendor"), ("docs/mig.md", "x")];
        let want = want.map(|(path, anchor)| (path.to_owned(), anchor.to_owned()));
        assert_eq!(linked_headings("docs/a.md", text), want);
    }

    #[test]
    fn links_are_seen_from_the_document() {
        let text = "[a](../operations.md#groups) [b](https://example.org/x) [c](#here) [d](lab.md)";
        assert_eq!(
            linked_paths("docs/testing/README.md", text),
            ["docs/operations.md", "docs/testing/lab.md"]
        );
    }
}
