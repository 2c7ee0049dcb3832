//! `cargo xtask fuzz`: builds the targets below `tests/fuzz` with coverage instrumentation and runs each for a bounded
//! time. An input that crashes one is kept and named.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result};

use crate::program::{cargo, output, program};
use crate::tally::Tally;
use crate::tree::Tree;

/// Coverage for libFuzzer on a stable compiler: LLVM's own pass, without a sanitizer's run-time library.
const RUSTFLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg fuzzing";

pub const MANIFEST: &str = "tests/fuzz/Cargo.toml";
const TARGET_DIR: &str = "tests/fuzz/target";
/// Naming the target keeps the flags away from build scripts and procedural macros.
const TRIPLE: &str = "x86_64-unknown-linux-gnu";
/// One input that takes longer is a finding.
const SLOW_SECONDS: &str = "10";
/// One input that makes a parser use more is a finding.
const MEMORY_MIB: &str = "1024";

/// Parses `[--seconds N] [TARGET]...` and runs the targets.
pub fn run(tree: &Tree, args: &[&str]) -> Result<Tally> {
    let (seconds, wanted) = match args {
        ["--seconds", seconds, rest @ ..] => {
            (seconds.parse().context("--seconds takes a whole number")?, rest)
        }
        rest => (10, rest),
    };
    let targets = targets(tree)?;
    if let Some(unknown) = wanted.iter().find(|name| !targets.iter().any(|target| target == *name)) {
        anyhow::bail!("no fuzz target {unknown:?}; there are: {}", targets.join(", "));
    }
    let mut build = cargo(
        tree.root(),
        &["build", "--release", "--locked", "--manifest-path", MANIFEST, "--target", TRIPLE],
    );
    // A folder of its own, so that other flags don't throw away what the rest of the project built.
    build.env("RUSTFLAGS", RUSTFLAGS).env("CARGO_TARGET_DIR", tree.root().join(TARGET_DIR));
    anyhow::ensure!(build.status().context("start cargo build")?.success(), "the fuzz targets do not build");
    let mut tally = Tally::default();
    for target in targets.iter().filter(|target| wanted.is_empty() || wanted.contains(&target.as_str())) {
        eprintln!("--- fuzz {target}: {seconds} s");
        tally.add(one(tree, target, seconds)?);
    }
    Ok(tally)
}

/// The binaries that the manifest declares.
fn targets(tree: &Tree) -> Result<Vec<String>> {
    let metadata = output(cargo(
        tree.root(),
        &["metadata", "--no-deps", "--format-version", "1", "--locked", "--manifest-path", MANIFEST],
    ))?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata).context("read cargo's metadata")?;
    let targets = metadata.pointer("/packages/0/targets").and_then(serde_json::Value::as_array);
    let names = targets
        .into_iter()
        .flatten()
        .filter(|target| target.pointer("/kind/0").and_then(serde_json::Value::as_str) == Some("bin"));
    Ok(names.filter_map(|target| target.get("name")?.as_str().map(str::to_owned)).collect())
}

/// New inputs go to a folder of the build; the seeds in the tree are only read.
fn one(tree: &Tree, target: &str, seconds: u64) -> Result<Tally> {
    let built = tree.root().join(TARGET_DIR);
    let found = built.join("corpus").join(target);
    let crashes = built.join("crashes").join(target);
    let seeds = tree.root().join("tests/fuzz/corpus").join(target);
    for folder in [&found, &crashes] {
        std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    }
    let log = built.join(format!("{target}.log"));
    let binary = built.join(TRIPLE).join("release").join(target);
    let mut fuzzer = program(tree.root(), &path(&binary)?, &[]);
    fuzzer
        .arg(&found)
        .args(seeds.is_dir().then_some(&seeds))
        .arg(format!("-artifact_prefix={}/", path(&crashes)?))
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-timeout={SLOW_SECONDS}"))
        .arg(format!("-rss_limit_mb={MEMORY_MIB}"))
        .args(["-max_len=65536", "-print_final_stats=1", "-verbosity=0"])
        .stderr(File::create(&log).with_context(|| format!("make {}", log.display()))?);
    let status = fuzzer.status().with_context(|| format!("start {}", binary.display()))?;
    let said =
        String::from_utf8_lossy(&std::fs::read(&log).with_context(|| format!("read {}", log.display()))?)
            .into_owned();
    let runs = runs(&said);
    eprintln!("    {runs} runs");
    if status.success() && runs > 0 {
        return Ok(Tally::pass());
    }
    eprintln!("{}", what_happened(&said));
    Ok(Tally::fail(format!("fuzz {target}: {status}; the input is in {}", crashes.display())))
}

/// How many inputs libFuzzer says it tried.
fn runs(said: &str) -> u64 {
    let line = said.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    line.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

/// From the panic or libFuzzer's verdict on; all of it when there is neither.
fn what_happened(said: &str) -> &str {
    let starts = ["\nthread '", "\n==", "panicked at"];
    let first = starts.iter().filter_map(|start| said.find(start)).min();
    first.and_then(|at| said.get(at..)).unwrap_or(said)
}

fn path(path: &Path) -> Result<String> {
    path.to_str().map(str::to_owned).with_context(|| format!("{} is not UTF-8", path.display()))
}
