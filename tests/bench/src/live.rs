//! The live inventory: time beside bare reads of the very same files and beside `lspci`, and its system calls.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result};

use crate::changes::shell;
use crate::command::{Command, text};
use crate::sample;
use crate::trace::Trace;

/// What else tells of the same devices: the program, its name in the table, and what is run.
const PEERS: &[(&str, &str, &str)] = &[
    ("lspci", "`lspci -nnk`", "exec lspci -nnk"),
    ("driverctl", "`driverctl list-devices`", "exec driverctl list-devices"),
    ("mdevctl", "`mdevctl types`", "exec mdevctl types"),
    (
        "virsh",
        "`virsh nodedev-list --cap pci`, `nodedev-dumpxml` of each",
        "for device in $(virsh -q nodedev-list --cap pci); do virsh -q nodedev-dumpxml $device || exit 1; done",
    ),
];
/// Runs of each: the slowest peer takes seconds in an emulated machine.
const RUNS: usize = 7;
/// Where the daemon answers, if it runs here.
const SOCKET: &str = "/run/gpuvirt/gpuvirt.sock";

/// The table and the counts.
pub fn table(gpuvirt: &Path, folder: &Path) -> Result<String> {
    // A socket that nobody listens on: the command reads the host itself.
    let socket = text(&folder.join("no.sock"))?;
    let live = Command::new("`gpuvirt gpu list`, live", gpuvirt, &["--socket", &socket, "gpu", "list"])?;
    let trace = Trace::of(&live, &folder.join("trace"))?;
    let list = folder.join("files");
    write_lines(&list, &trace.files)?;
    let mut commands = vec![live];
    if Path::new(SOCKET).exists() {
        commands.push(Command::new("`gpuvirt gpu list`, from the daemon", gpuvirt, &["gpu", "list"])?);
    }
    commands.push(Command::own("only reading the same files", &["floor", "list", &text(&list)?])?);
    let mut missing = Vec::new();
    for (program, name, script) in PEERS {
        if is_installed(program) {
            commands.push(shell(name, script)?);
        } else {
            missing.push(*program);
        }
    }
    let mut out = String::from("| work | time | memory |\n|---|---|---|\n");
    for samples in sample::rounds(RUNS, &commands, || Ok(()))? {
        writeln!(out, "| {} | {} | {} |", samples.name, samples.milliseconds(), samples.memory())?;
    }
    if !missing.is_empty() {
        writeln!(out, "\nNot installed here, and so not measured: {}.", missing.join(", "))?;
    }
    writeln!(
        out,
        "\nSystem calls of the live `gpu list` after the program is loaded, over {} PCI functions: {} in all, to read {} files \
         and folders and {} links below `/sys`, `/proc` and `/usr/share`, so {} each. Processes started: {}.\n",
        functions()?,
        trace.calls,
        trace.files.len(),
        trace.links,
        tenths(trace.calls, trace.files.len() + trace.links),
        trace.processes
    )?;
    out.push_str("| system call | times |\n|---|---|\n");
    for (call, times) in trace.most() {
        writeln!(out, "| `{call}` | {times} |")?;
    }
    Ok(out)
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn functions() -> Result<usize> {
    Ok(std::fs::read_dir("/sys/bus/pci/devices").context("list PCI functions")?.count())
}

fn tenths(calls: usize, files: usize) -> String {
    let tenths = calls * 10 / files.max(1);
    format!("{}.{}", tenths / 10, tenths % 10)
}

fn write_lines(path: &Path, lines: &[String]) -> Result<()> {
    let mut file = File::create(path).with_context(|| format!("make {}", path.display()))?;
    for line in lines {
        writeln!(file, "{line}")?;
    }
    Ok(())
}
