//! What a live host shows: time beside bare reads of the very same files and beside what tells of the same otherwise, and
//! the system calls of the inventory.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result};

use crate::changes::shell;
use crate::command::{Command, text};
use crate::contest::{Contest, VERDICT, is_installed};
use crate::process::must;
use crate::sample;
use crate::trace::Trace;

/// Runs of the doctor.
const RUNS: usize = 7;
/// How many hundredths of the bare reads a listing may take.
const FLOORS: u64 = 200;
/// Where the daemon answers, if it runs here.
const SOCKET: &str = "/run/gpuvirt/gpuvirt.sock";

/// A listing of ours and what tells of the same.
struct Listing {
    verb: &'static [&'static str],
    /// What the daemon's answer is called; none: the command reads the host itself, whether there is a daemon or not.
    asked: Option<&'static str>,
    /// How many of each.
    runs: usize,
    peers: &'static [Peer],
}

/// Another's program, its name in the table, and what is run of it.
struct Peer {
    program: &'static str,
    name: &'static str,
    run: Run,
}

/// A single program is started as ours is: a shell before it would count for it.
enum Run {
    With(&'static [&'static str]),
    Script(&'static str),
}

const GPUS: Listing = Listing {
    verb: &["gpu", "list"],
    asked: Some("from the daemon, with the VMs"),
    // The slowest peer takes seconds in an emulated machine.
    runs: 7,
    peers: &[
        Peer { program: "lspci", name: "`lspci -nnk`", run: Run::With(&["-nnk"]) },
        Peer { program: "driverctl", name: "`driverctl list-devices`", run: Run::With(&["list-devices"]) },
        Peer {
            program: "virsh",
            name: "`virsh nodedev-list --cap pci`",
            run: Run::With(&["-q", "nodedev-list", "--cap", "pci"]),
        },
        Peer {
            program: "virsh",
            name: "`virsh nodedev-list --cap pci`, `nodedev-dumpxml` of each",
            run: Run::Script(
                "all=$(virsh -q nodedev-list --cap pci) || exit 1; for device in $all; do virsh -q nodedev-dumpxml $device || exit 1; done",
            ),
        },
    ],
};
const PROFILES: Listing = Listing {
    verb: &["profile", "list"],
    asked: None,
    // All are short, and so is what lies between them.
    runs: 25,
    peers: &[Peer { program: "mdevctl", name: "`mdevctl types`", run: Run::With(&["types"]) }],
};

/// All of it.
pub fn tables(gpuvirt: &Path, folder: &Path) -> Result<String> {
    let mut out = String::from("### Inventory\n\nWhich devices there are, and what has them.\n\n");
    let trace = table(&GPUS, gpuvirt, folder, &mut out)?;
    out.push_str(&calls(&trace)?);
    out.push_str(
        "\n### Types of vGPUs\n\nWhat the cards offer. `mdevctl` tells of mediated devices; ours also of virtual functions, and why a type \
         can't be had now. Most of each is the start and the end of a process.\n\n",
    );
    table(&PROFILES, gpuvirt, folder, &mut out)?;
    out.push_str(&doctor(gpuvirt, folder)?);
    Ok(out)
}

/// The doctor, with the daemon and without.
fn doctor(gpuvirt: &Path, folder: &Path) -> Result<String> {
    const SECOND: u64 = 1_000_000;
    let (gpuvirt, none) = (text(gpuvirt)?, text(&folder.join("no.sock"))?);
    // libvirt starts QEMU to learn what it can, once after each update of either, and keeps that on the disk.
    if is_installed("virsh") {
        must("virsh", &["-q", "version"])?;
    }
    // Its exit tells the worst that it found.
    let run = |name: &str, global: &str| shell(name, &format!("{gpuvirt} {global} doctor || [ $? -le 4 ]"));
    let ways = [
        run("`gpuvirt doctor`, with the daemon", "")?,
        run("`gpuvirt doctor`, without", &format!("--socket {none}"))?,
    ];
    let mut out = format!(
        "\n### The doctor\n\nOnce libvirt knows its QEMU: the first time after an update of either takes it seconds, of which the doctor waits for 0.7. Medians of {RUNS} runs.\n\n| way | time | memory |\n|---|---|---|\n"
    );
    let mut slowest = 0;
    for samples in sample::rounds(RUNS, &ways, || Ok(()))? {
        writeln!(out, "| {} | {} | {} |", samples.name, samples.milliseconds(), samples.memory())?;
        slowest = slowest.max(samples.median());
    }
    let judged = if slowest < SECOND { "under a second" } else { "**not under a second**" };
    writeln!(out, "\n{VERDICT}an answer in {judged}")?;
    Ok(out)
}

/// One listing beside its floor and its peers.
fn table(listing: &Listing, gpuvirt: &Path, folder: &Path, out: &mut String) -> Result<Trace> {
    let name = listing.verb.join(" ");
    // A socket that nobody listens on: the command reads the host itself.
    let socket = text(&folder.join("no.sock"))?;
    let alone: &[&str] = if listing.asked.is_some() { &["--socket", &socket] } else { &[] };
    let args = [alone, listing.verb].concat();
    let live = Command::new(&format!("`gpuvirt {name}`, this host read by the command"), gpuvirt, &args)?;
    let list = folder.join(listing.verb.concat());
    let trace = reads(&live, &list, folder)?;
    let floor = Command::own("only reading the same files and links", &["floor", "list", &text(&list)?])?;
    let mut contest = Contest::of(listing.runs).at_most(FLOORS).floor(floor).ours(live);
    if let Some(asked) = listing.asked.filter(|_| Path::new(SOCKET).exists()) {
        let asked = format!("`gpuvirt {name}`, {asked}");
        contest = contest.ours(Command::new(&asked, gpuvirt, listing.verb)?);
    }
    for Peer { program, name, run } in listing.peers {
        let peer = match run {
            Run::With(arguments) => Command::new(name, Path::new(program), arguments)?,
            Run::Script(script) => shell(name, script)?,
        };
        // One that has no service to talk to here is as good as not there.
        if is_installed(program) && sample::rounds(0, std::slice::from_ref(&peer), || Ok(())).is_ok() {
            contest = contest.peer(peer);
        } else {
            contest = contest.without(name);
        }
    }
    writeln!(out, "Medians of {} runs.\n", listing.runs)?;
    out.push_str(&contest.held(|| Ok(()))?.table()?);
    Ok(trace)
}

/// Lists in a file what a command reads.
pub fn reads(of: &Command, list: &Path, folder: &Path) -> Result<Trace> {
    let trace = Trace::of(of, &folder.join("trace"))?;
    write_lines(list, &[trace.files.as_slice(), trace.links.as_slice()].concat())?;
    Ok(trace)
}

fn calls(trace: &Trace) -> Result<String> {
    let mut out = String::new();
    writeln!(
        out,
        "\nSystem calls of `gpuvirt gpu list` after the program is loaded, over {} PCI functions: {} in all, to read {} files \
         and folders and {} links below `/sys`, `/proc` and `/usr/share`, so {} each. Processes started: {}.\n",
        functions()?,
        trace.calls,
        trace.files.len(),
        trace.links.len(),
        tenths(trace.calls, trace.files.len() + trace.links.len()),
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
