//! `cargo xtask`: the project's chores. It starts programs and reads the tree; nothing in the product depends on it.
//!
//! Every chore ends with the line `N passed, N failed, N skipped`, after one line for each thing that did not run.

mod ci;
mod docs;
mod document;
mod fuzz;
mod generate;
mod layers;
mod manual;
mod names;
mod nextest;
mod oldest;
mod program;
mod purity;
mod sizes;
mod tally;
mod tree;
mod vsphere;

use std::process::ExitCode;

use anyhow::Result;

use crate::tally::Tally;
use crate::tree::Tree;

const USAGE: &str = "\
usage: cargo xtask CHORE

  ci [STEP]...            what CI checks; all steps without a name
  ci --list               the steps
  test [NEXTEST ARGS]...  tests through cargo-nextest, naming what was filtered out
  fuzz [--seconds N] [TARGET]...
                          each fuzz target for N seconds (default 10)
  gen [--check]           generated documents; --check only compares
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match chore(&args) {
        Ok(Some(tally)) => tally.close(),
        Ok(None) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn chore(args: &[&str]) -> Result<Option<Tally>> {
    let tree = Tree::find()?;
    match args {
        ["ci", "--list"] => {
            ci::list();
            Ok(None)
        }
        ["ci", steps @ ..] => ci::run(&tree, steps).map(Some),
        ["test", args @ ..] => nextest::run(&tree, args).map(Some),
        ["fuzz", args @ ..] => fuzz::run(&tree, args).map(Some),
        ["gen"] => generate::run(&tree, document::Mode::Write).map(Some),
        ["gen", "--check"] => generate::run(&tree, document::Mode::Check).map(Some),
        _ => anyhow::bail!("{USAGE}"),
    }
}
