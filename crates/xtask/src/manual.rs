//! Manual pages and shell completions: written by examples of our programs, from their grammars, and kept in packaging, so
//! that whoever builds a package needs no more than the programs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::document::{Mode, built};
use crate::program::{output, program};
use crate::tally::Tally;
use crate::tree::Tree;

/// Where they are kept.
const KEPT: &str = "packaging";
const FOLDERS: [&str; 2] = ["man", "completions"];
/// Who writes them: `PROGRAM FOLDER`.
const EXAMPLES: [&str; 2] = ["gpuvirt-manual", "gpuvirtd-manual"];

type Files = BTreeMap<PathBuf, String>;

/// Makes all of them.
pub fn run(tree: &Tree, mode: Mode) -> Result<Tally> {
    let fresh = tree.root().join("target/generated-manual");
    if fresh.exists() {
        std::fs::remove_dir_all(&fresh).context("clear target/generated-manual")?;
    }
    std::fs::create_dir_all(&fresh).context("make target/generated-manual")?;
    let folder = fresh.to_str().context("the tree's path is not UTF-8")?;
    for example in EXAMPLES {
        // With the whole workspace's features: what the tests built is used again.
        let executable = built(tree, &["--workspace", "--example", example], example)?;
        output(program(tree.root(), &executable, &[folder]))?;
    }
    let (made, kept) = (files(&fresh)?, files(&tree.root().join(KEPT))?);
    let differs = |path: &&PathBuf| made.get(*path) != kept.get(*path);
    let other: Vec<&PathBuf> =
        made.keys().chain(kept.keys().filter(|path| !made.contains_key(*path))).collect();
    let other: Vec<&PathBuf> = other.into_iter().filter(differs).collect();
    if other.is_empty() {
        return Ok(Tally::pass());
    }
    match mode {
        Mode::Check => {
            let says = |path: &&PathBuf| {
                format!("generated: {KEPT}/{} is out of date; run cargo xtask gen", path.display())
            };
            Ok(Tally::of_findings(other.iter().map(says).collect()))
        }
        Mode::Write => {
            for path in other {
                put(&tree.root().join(KEPT).join(path), made.get(path))?;
                println!("wrote {KEPT}/{}", path.display());
            }
            Ok(Tally::pass())
        }
    }
}

/// The files in our folders below `root`, by their path from there.
fn files(root: &Path) -> Result<Files> {
    let mut files = Files::new();
    for folder in FOLDERS {
        let Ok(entries) = std::fs::read_dir(root.join(folder)) else { continue };
        for entry in entries {
            let name = Path::new(folder).join(entry?.file_name());
            let path = root.join(&name);
            let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
            files.insert(name, text);
        }
    }
    Ok(files)
}

// A document of the source tree is no durable file of the product.
#[allow(clippy::disallowed_methods)]
fn put(path: &Path, text: Option<&String>) -> Result<()> {
    let doing = || format!("write {}", path.display());
    let Some(text) = text else { return std::fs::remove_file(path).with_context(doing) };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(doing)?;
    }
    std::fs::write(path, text).with_context(doing)
}
