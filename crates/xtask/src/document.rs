//! What documents that our own programs print have in common.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::program::{cargo, output};
use crate::tree::Tree;

/// Write the documents, or only compare them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Write them.
    Write,
    /// Compare them with what is there.
    Check,
}

/// Builds one of our programs.
pub fn built(tree: &Tree, build: &[&str], name: &str) -> Result<String> {
    let common = ["build", "--quiet", "--locked", "--message-format", "json"];
    let args = [&common, build].concat();
    let messages = output(cargo(tree.root(), &args))?;
    let executable = messages.lines().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        message.get("executable")?.as_str().map(str::to_owned)
    });
    executable.with_context(|| format!("cargo built no program {name}"))
}
