//! `gpuvirt gpu list --host FILE` over hosts of growing size, generated and recorded, beside reading the file.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use gpuvirt_recording::made::many_functions;

use crate::command::{Command, text};
use crate::contest::VERDICT;
use crate::copies;
use crate::growth::Growth;
use crate::sample;

/// PCI functions of the generated hosts.
const SIZES: [usize; 6] = [8, 64, 256, 512, 1024, 4096];
/// The lab VM, as `gpuvirt snapshot` recorded it.
const RECORDED: &str = include_str!("../../hosts/lab.umockdev");
/// How many times over: the last has as many functions as the largest generated host.
const COPIES: [usize; 6] = [1, 4, 10, 20, 40, 158];

/// The table of generated hosts.
pub fn generated(gpuvirt: &Path, folder: &Path) -> Result<String> {
    let of = |functions: &usize| Ok((*functions, make(folder, *functions)?));
    let hosts = SIZES.iter().map(of).collect::<Result<Vec<_>>>()?;
    table("`gpuvirt gpu list --host FILE` over generated hosts", gpuvirt, &hosts)
}

/// The table of a recorded host that is there many times over.
pub fn multiplied(gpuvirt: &Path, folder: &Path) -> Result<String> {
    let of = |number: &usize| {
        let dump = copies::of(RECORDED, *number);
        Ok((copies::functions(&dump), write(&folder.join(format!("recorded-{number}.umockdev")), &dump)?))
    };
    let hosts = COPIES.iter().map(of).collect::<Result<Vec<_>>>()?;
    let what = "The same over the lab VM as `gpuvirt snapshot` recorded it, each time in as many PCI domains as it is there times over";
    table(what, gpuvirt, &hosts)
}

/// A file and how large it is.
type Dump = (PathBuf, usize);

fn table(what: &str, gpuvirt: &Path, hosts: &[(usize, Dump)]) -> Result<String> {
    let mut out = format!(
        "{what}, beside a program that only reads the same file.\n\n\
         | PCI functions | file | `gpu list` | memory | reading the file | memory |\n|---|---|---|---|---|---|\n"
    );
    let mut growth = Growth::default();
    for (functions, (path, bytes)) in hosts {
        let file = text(path)?;
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

/// A generated host of so many PCI functions.
pub fn make(folder: &Path, functions: usize) -> Result<Dump> {
    write(&folder.join(format!("{functions}.umockdev")), &many_functions(functions))
}

fn write(path: &Path, dump: &str) -> Result<Dump> {
    let mut file = File::create(path).with_context(|| format!("make {}", path.display()))?;
    file.write_all(dump.as_bytes()).with_context(|| format!("write {}", path.display()))?;
    Ok((path.to_owned(), dump.len()))
}
