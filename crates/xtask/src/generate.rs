//! Documents that are printed by our own programs, so that text and code can't differ.

use anyhow::{Context, Result};

use crate::document::{Mode, built};
use crate::manual;
use crate::program::{output, program};
use crate::tally::Tally;
use crate::tree::Tree;

struct Document {
    path: &'static str,
    program: &'static str,
    /// What cargo builds it with.
    build: &'static [&'static str],
    args: &'static [&'static str],
}

const DOCUMENTS: &[Document] = &[
    // With the whole workspace's features: what the tests built is used again.
    Document {
        path: "docs/refusals.md",
        program: "gpuvirt",
        build: &["--workspace", "--bin", "gpuvirt"],
        args: &["explain", "--all-markdown"],
    },
    Document {
        path: "docs/openapi.json",
        program: "openapi",
        build: &["--package", "gpuvirt-api", "--features", "schema", "--example", "openapi"],
        args: &[],
    },
];

/// Makes each document.
pub fn run(tree: &Tree, mode: Mode) -> Result<Tally> {
    let mut tally = Tally::default();
    for document in DOCUMENTS {
        tally.add(one(tree, document, mode)?);
    }
    tally.add(manual::run(tree, mode)?);
    Ok(tally)
}

fn one(tree: &Tree, document: &Document, mode: Mode) -> Result<Tally> {
    let program = program(tree.root(), &built(tree, document.build, document.program)?, document.args);
    let text = output(program)?;
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
