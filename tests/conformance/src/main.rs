//! The conformance suite on the kernel that runs here: `gpuvirt-conformance --testbed FILE`, as root.
//!
//! It binds, unbinds, removes and rescans the devices that FILE names, and puts each back. Run it in the lab.

use std::io::Write as _;
use std::process::ExitCode;

use gpuvirt_conformance::{Outcome, Testbed, run};
use gpuvirt_host::{LinuxSysfs, Sysfs as _};

const USAGE: &str = "usage: gpuvirt-conformance --list | --testbed FILE [--only TEXT]
  --list          print every behaviour as a Markdown table
  --testbed FILE  run all on this machine's kernel, on the devices that FILE names (KEY=ADDRESS lines)
  --only TEXT     run those whose id contains TEXT";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["--list"] => list(),
        ["--testbed", file] => real(file, ""),
        ["--testbed", file, "--only", text] => real(file, text),
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn list() -> ExitCode {
    let written = std::io::stdout().write_all(gpuvirt_conformance::table().as_bytes());
    if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn real(file: &str, only: &str) -> ExitCode {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("the suite writes to the kernel: run it as root, on a machine that you can lose");
        return ExitCode::from(2);
    }
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => {
            eprintln!("cannot read {file}: {error}");
            return ExitCode::from(2);
        }
    };
    let testbed = match Testbed::parse(&text) {
        Ok(testbed) => testbed,
        Err(error) => {
            eprintln!("{file}: {error}");
            return ExitCode::from(2);
        }
    };
    let sysfs = LinuxSysfs::this_machine();
    if let Err(error) = sysfs.load_module("vfio-pci") {
        eprintln!("cannot load vfio-pci: {error}");
        return ExitCode::FAILURE;
    }
    let report = run(&sysfs, &testbed, only, |behaviour, outcome| {
        let mut out = std::io::stdout().lock();
        let _ = match outcome {
            Outcome::Passed => writeln!(out, "ok {} {}", behaviour.id, behaviour.sentence),
            Outcome::Failed(what) => writeln!(out, "FAILED {}: {what}", behaviour.id),
            Outcome::NotRun(why) => writeln!(out, "not run {}: {why}", behaviour.id),
        };
    });
    let _ = writeln!(std::io::stdout(), "{}", report.summary());
    let failed = report.count(|outcome| matches!(outcome, Outcome::Failed(_)));
    if failed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
