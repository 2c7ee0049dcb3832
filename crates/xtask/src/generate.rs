//! Documents that are printed by our own programs, so that text and code can't differ.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::manual;
use crate::program::{cargo, output, program};
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
    let program = program(tree, &built(tree, document.build, document.program)?, document.args);
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

/// Builds one of our programs.
pub fn built(tree: &Tree, build: &[&str], name: &str) -> Result<String> {
    let common = ["build", "--quiet", "--locked", "--message-format", "json"];
    let args = [&common, build].concat();
    let messages = output(cargo(tree, &args))?;
    let executable = messages.lines().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        message.get("executable")?.as_str().map(str::to_owned)
    });
    executable.with_context(|| format!("cargo built no program {name}"))
}

// A document of the source tree is no durable file of the product.
#[allow(clippy::disallowed_methods)]
fn write(tree: &Tree, path: &str, text: &str) -> Result<()> {
    std::fs::write(tree.root().join(path), text).with_context(|| format!("write {path}"))
}
