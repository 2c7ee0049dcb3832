//! Documents that are printed by our own programs, so that text and code can't differ.

use anyhow::{Context, Result};

use crate::program::{cargo, output};
use crate::tally::Tally;
use crate::tree::Tree;

/// Write the documents, or only compare them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Write them.
    Write,
    /// Compare them with what is there.
    Check,
}

struct Document {
    path: &'static str,
    /// What stands above the program's own text.
    preface: &'static str,
    package: &'static str,
    args: &'static [&'static str],
}

const DOCUMENTS: &[Document] = &[Document {
    path: "docs/refusals.md",
    preface: "",
    package: "gpuvirt",
    args: &["explain", "--all-markdown"],
}];

/// Makes each document.
pub fn run(tree: &Tree, mode: Mode) -> Result<Tally> {
    let mut tally = Tally::default();
    for document in DOCUMENTS {
        tally.add(one(tree, document, mode)?);
    }
    Ok(tally)
}

fn one(tree: &Tree, document: &Document, mode: Mode) -> Result<Tally> {
    let mut args = vec!["run", "--quiet", "--locked", "--package", document.package, "--"];
    args.extend(document.args);
    let text = format!("{}{}", document.preface, output(cargo(tree, &args))?);
    if tree.read(document.path).is_ok_and(|present| present == text) {
        return Ok(Tally::pass());
    }
    match mode {
        Mode::Check => {
            Ok(Tally::fail(format!("generated: {} is out of date; run cargo xtask gen", document.path)))
        }
        Mode::Write => {
            write(tree, document.path, &text)?;
            println!("wrote {}", document.path);
            Ok(Tally::pass())
        }
    }
}

// A document of the source tree is no durable file of the product.
#[allow(clippy::disallowed_methods)]
fn write(tree: &Tree, path: &str, text: &str) -> Result<()> {
    std::fs::write(tree.root().join(path), text).with_context(|| format!("write {path}"))
}
