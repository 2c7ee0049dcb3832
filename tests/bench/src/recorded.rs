//! `gpuvirt gpu list --host FILE` over made-up hosts of growing size, beside reading the file.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use gpuvirt_recording::made::many_functions;

use crate::command::{Command, text};
use crate::contest::VERDICT;
use crate::growth::Growth;
use crate::sample;

/// PCI functions of the hosts.
const SIZES: &[usize] = &[8, 64, 256, 512, 1024, 4096];

/// The table.
pub fn table(gpuvirt: &Path, folder: &Path) -> Result<String> {
    let mut out = String::from(
        "`gpuvirt gpu list --host FILE` over generated hosts, beside a program that only reads the same file.\n\n\
         | PCI functions | file | `gpu list` | memory | reading the file | memory |\n|---|---|---|---|---|---|\n",
    );
    let mut growth = Growth::default();
    for functions in SIZES {
        let (path, bytes) = make(folder, *functions)?;
        let file = text(&path)?;
        let commands = [
            Command::new("gpu list", gpuvirt, &["gpu", "list", "--host", &file])?,
            Command::own("read", &["floor", "file", &file])?,
        ];
        let samples = sample::interleaved(&commands)?;
        write!(out, "| {functions} | {} KiB |", bytes / 1024)?;
        for samples in &samples {
            write!(out, " {} | {} |", samples.milliseconds(), samples.memory())?;
        }
        out.push('\n');
        if let Some(ours) = samples.first() {
            growth.add(u64::try_from(*functions)?, ours.median());
        }
    }
    writeln!(out, "\n{VERDICT}{}", growth.verdict("functions", "time"))?;
    Ok(out)
}

/// A generated host of so many PCI functions: its file, and how large that is.
pub fn make(folder: &Path, functions: usize) -> Result<(PathBuf, usize)> {
    let path = folder.join(format!("{functions}.umockdev"));
    let dump = many_functions(functions);
    let mut file = File::create(&path).with_context(|| format!("make {}", path.display()))?;
    file.write_all(dump.as_bytes()).with_context(|| format!("write {}", path.display()))?;
    Ok((path, dump.len()))
}
