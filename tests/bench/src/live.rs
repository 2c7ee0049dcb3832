//! The live inventory: time beside bare reads of the very same files and beside `lspci`, and its system calls.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result};

use crate::command::{Command, text};
use crate::sample;
use crate::trace::Trace;

/// The table and the counts.
pub fn table(gpuvirt: &Path, folder: &Path) -> Result<String> {
    // A socket that nobody listens on: the command reads the host itself.
    let socket = text(&folder.join("no.sock"))?;
    let live = Command::new("`gpuvirt gpu list`, live", gpuvirt, &["--socket", &socket, "gpu", "list"])?;
    let trace = Trace::of(&live, &folder.join("trace"))?;
    let list = folder.join("files");
    write_lines(&list, &trace.files)?;
    let commands = [
        live,
        Command::own("only reading the same files", &["floor", "list", &text(&list)?])?,
        Command::new("`lspci -nnk`", Path::new("lspci"), &["-nnk"])?,
    ];
    let mut out = String::from("| work | time | memory |\n|---|---|---|\n");
    for samples in sample::interleaved(&commands)? {
        writeln!(out, "| {} | {} | {} |", samples.name, samples.milliseconds(), samples.memory())?;
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
