//! Programs that the chores start: in the tree's root, with their output shown.

use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::tally::Tally;

/// A program with its arguments, to be run in `root`, the tree's.
pub fn program(root: &Path, name: &str, args: &[&str]) -> Command {
    let mut command = Command::new(name);
    command.args(args).current_dir(root).stdin(Stdio::null());
    command
}

/// Cargo itself, the one that runs us.
pub fn cargo(root: &Path, args: &[&str]) -> Command {
    program(root, &std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()), args)
}

/// Runs it as one check named `name`.
pub fn check(name: &str, mut command: Command) -> Result<Tally> {
    let status = command.status().with_context(|| format!("{name}: start {:?}", command.get_program()))?;
    Ok(if status.success() { Tally::pass() } else { Tally::fail(format!("{name}: {status}")) })
}

/// Runs it and returns what it printed; its complaints are shown.
pub fn output(mut command: Command) -> Result<String> {
    let out = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("start {:?}", command.get_program()))?;
    if !out.status.success() {
        bail!("{command:?} ended with {}", out.status);
    }
    String::from_utf8(out.stdout)
        .with_context(|| format!("output of {:?} is not UTF-8", command.get_program()))
}

/// Whether a program is installed: it can be started with `--version`.
pub fn installed(name: &str, version_args: &[&str]) -> Result<bool> {
    let started = Command::new(name)
        .args(version_args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match started {
        Ok(status) => Ok(status.success()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| format!("start {name}")),
    }
}
