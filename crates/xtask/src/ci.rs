//! `cargo xtask ci`: the steps that CI runs, as a table. All run, so that one failure does not hide the next.

use std::time::Instant;

use anyhow::{Context, Result};

use crate::document::Mode;
use crate::program::{cargo, check, installed, program};
use crate::tally::Tally;
use crate::tree::Tree;
use crate::{docs, fuzz, generate, layers, names, nextest, oldest, purity, sizes, vsphere};

struct Step {
    name: &'static str,
    what: &'static str,
    run: fn(&Tree) -> Result<Tally>,
}

/// Cheap steps first.
const STEPS: &[Step] = &[
    Step { name: "format", what: "rustfmt", run: format },
    Step { name: "layers", what: "who may depend on whom", run: layers::check },
    Step { name: "purity", what: "no I/O, clock or randomness in the pure crates", run: purity::check },
    Step { name: "sizes", what: "source files stay small", run: sizes::check },
    Step { name: "names", what: "file names that say nothing; ignored tests", run: names::check },
    Step { name: "oldest", what: "no syntax that the oldest compiler lacks", run: oldest::check },
    Step { name: "docs", what: "paths and links in documents exist", run: docs::check },
    Step {
        name: "vsphere",
        what: "every row of docs/vsphere.md names tests that exist",
        run: vsphere::check,
    },
    Step { name: "shell", what: "shellcheck", run: shell },
    Step { name: "locks", what: "each Cargo.lock is what its manifests ask for", run: locks },
    Step { name: "supply-chain", what: "cargo-deny: bans, licences, sources", run: supply_chain },
    Step { name: "lint", what: "clippy, warnings denied", run: lint },
    Step { name: "rustdoc", what: "documentation builds without warnings", run: rustdoc },
    Step { name: "tests", what: "cargo-nextest", run: tests },
    Step { name: "doctests", what: "examples in the documentation", run: doctests },
    Step { name: "generated", what: "generated documents are up to date", run: generated },
];

/// Prints the steps.
pub fn list() {
    for step in STEPS {
        println!("{:14} {}", step.name, step.what);
    }
}

/// Runs the named steps, or all.
pub fn run(tree: &Tree, wanted: &[&str]) -> Result<Tally> {
    if let Some(unknown) = wanted.iter().find(|name| STEPS.iter().all(|step| step.name != **name)) {
        anyhow::bail!("no step {unknown:?}; cargo xtask ci --list shows them");
    }
    let mut total = Tally::default();
    for step in STEPS.iter().filter(|step| wanted.is_empty() || wanted.contains(&step.name)) {
        eprintln!("--- {}: {}", step.name, step.what);
        let start = Instant::now();
        let tally = (step.run)(tree).unwrap_or_else(|error| Tally::fail(format!("{}: {error:#}", step.name)));
        let verdict = match (tally.failed.is_empty(), tally.not_run.is_empty()) {
            (false, _) => "FAILED",
            (true, true) => "ok",
            (true, false) => "not all run",
        };
        eprintln!("--- {}: {verdict} after {:.1} s", step.name, start.elapsed().as_secs_f32());
        total.add(tally);
    }
    Ok(total)
}

fn format(tree: &Tree) -> Result<Tally> {
    let mut tally = check("format", cargo(tree.root(), &["fmt", "--all", "--check"]))?;
    if tree.has("tests/fuzz/Cargo.toml") {
        let fuzz = ["fmt", "--manifest-path", "tests/fuzz/Cargo.toml", "--check"];
        tally.add(check("format of tests/fuzz", cargo(tree.root(), &fuzz))?);
    }
    Ok(tally)
}

fn lint(tree: &Tree) -> Result<Tally> {
    let mut tally = check(
        "lint",
        cargo(tree.root(), &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]),
    )?;
    let with_nvml = ["clippy", "-p", "gpuvirtd", "--features", "nvml", "--locked", "--", "-D", "warnings"];
    tally.add(check("lint with NVML", cargo(tree.root(), &with_nvml))?);
    let with_schema =
        ["clippy", "-p", "gpuvirt-api", "--features", "schema", "--all-targets", "--locked", "--"];
    let with_schema = [&with_schema[..], &["-D", "warnings"]].concat();
    tally.add(check("lint with schemas", cargo(tree.root(), &with_schema))?);
    Ok(tally)
}

fn rustdoc(tree: &Tree) -> Result<Tally> {
    let mut command =
        cargo(tree.root(), &["doc", "--workspace", "--no-deps", "--document-private-items", "--locked"]);
    // The command's doc comments are its help texts first, and those name XML elements.
    command
        .env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private_intra_doc_links -A rustdoc::invalid_html_tags");
    check("rustdoc", command)
}

/// Tests that need the lab: scripts/test has a stage for each, and names it when it does not run.
const IN_THE_LAB: [&str; 2] = ["gpuvirt-e2e", "gpuvirt-libvirt::system"];

fn tests(tree: &Tree) -> Result<Tally> {
    let [package, binary] = IN_THE_LAB;
    let mut tally = nextest::run(tree, &["--workspace", "--exclude", package, "--profile", "ci"])?;
    tally.not_run.retain(|name| !name.starts_with(binary));
    eprintln!("    {package} and {binary} run in the lab: scripts/test");
    Ok(tally)
}

fn doctests(tree: &Tree) -> Result<Tally> {
    let out = cargo(tree.root(), &["test", "--doc", "--workspace", "--exclude", "gpuvirt-e2e", "--locked"])
        .output()?;
    let said = String::from_utf8_lossy(&out.stdout);
    if !out.status.success() {
        eprintln!("{said}{}", String::from_utf8_lossy(&out.stderr));
        return Ok(Tally::fail(format!("doctests: {}", out.status)));
    }
    let passed = said.lines().filter_map(|line| line.strip_prefix("test result: ok. ")?.split(' ').next());
    Ok(Tally { passed: passed.filter_map(|count| count.parse::<u64>().ok()).sum(), ..Tally::default() })
}

fn generated(tree: &Tree) -> Result<Tally> {
    generate::run(tree, Mode::Check)
}

fn supply_chain(tree: &Tree) -> Result<Tally> {
    if !installed("cargo-deny", &["--version"])? {
        return Ok(Tally::not_run(
            "supply-chain",
            "cargo-deny is not installed (cargo install --locked cargo-deny)",
        ));
    }
    check(
        "supply-chain",
        cargo(
            tree.root(),
            &["deny", "--offline", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"],
        ),
    )
}

/// The workspace's, and that of the fuzz targets, which a change of a crate's dependencies outdates as well.
fn locks(tree: &Tree) -> Result<Tally> {
    let mut tally = Tally::default();
    for manifest in ["Cargo.toml", fuzz::MANIFEST] {
        let arguments = ["metadata", "--locked", "--format-version", "1", "--manifest-path", manifest];
        let out = cargo(tree.root(), &arguments).output().context("start cargo metadata")?;
        tally.add(match out.status.success() {
            true => Tally::pass(),
            false => Tally::fail(format!(
                "locks: {manifest}: {}; cargo update --workspace --manifest-path {manifest}",
                String::from_utf8_lossy(&out.stderr).trim()
            )),
        });
    }
    Ok(tally)
}

fn shell(tree: &Tree) -> Result<Tally> {
    if !installed("shellcheck", &["--version"])? {
        return Ok(Tally::not_run("shell", "shellcheck is not installed (apt-get install shellcheck)"));
    }
    let mut scripts = Vec::new();
    for path in tree.files("")? {
        let bytes = std::fs::read(tree.root().join(&path)).unwrap_or_default();
        let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let named = first.starts_with(b"#!") && first.ends_with(b"sh");
        if named || first.starts_with(b"# shellcheck shell=") {
            scripts.push(path);
        }
    }
    // SC2187: busybox's shell is checked as dash, which is near enough.
    let mut args = vec!["--external-sources", "--exclude=SC2187"];
    args.extend(scripts.iter().map(String::as_str));
    check("shell", program(tree.root(), "shellcheck", &args))
}
