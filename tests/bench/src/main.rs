//! Measures the built `gpuvirt` beside the floor (a program that only reads) and the peers, and prints parts of the document.
//!
//! A measured program runs below a copy of this one, so that its own memory is told apart from its siblings'.

#[cfg(target_arch = "x86_64")]
mod called;
mod changes;
mod command;
mod contest;
mod copies;
mod daemon;
mod document;
mod floor;
mod growth;
mod hook;
mod live;
mod machine;
mod order;
mod placement;
mod process;
mod recorded;
mod request;
mod restore;
mod sample;
mod trace;
mod udev;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

const USAGE: &str = "\
usage: gpuvirt-bench document PROFILE [--before DOCUMENT] PART ...
                                         put the parts, which all others print, together, or in their places in an earlier
                                         document; ends with 3 where a verdict is bad: a peer is ahead or lighter, or more
                                         is taken than may be
       gpuvirt-bench growth GPUVIRT      recorded hosts and placement, from small to large
       gpuvirt-bench placement           placement alone
       gpuvirt-bench live GPUVIRT        this machine's inventory
       gpuvirt-bench changes GPUVIRT MDEV_GPU PLAIN_GPU
                                         vGPUs and switches on the lab VM, beside bare writes and the peers
       gpuvirt-bench daemon recorded GPUVIRTD GPUVIRT
                                         questions to a daemon over a generated host; libvirt's hook on this machine
       gpuvirt-bench daemon live GPUVIRT CARD
                                         the lab VM's service: idle, asked; libvirt's hook; CARD is not managed
       gpuvirt-bench daemon restore GPUVIRT MDEV_GPU
                                         the lab VM's service restores vGPUs, beside bare writes and mdevctl
       gpuvirt-bench sample PROGRAM ...  run once, print microseconds and KiB (used by the others)
       gpuvirt-bench floor file FILE     read a file whole (used by the others)
       gpuvirt-bench floor list FILE     read each file named in FILE (used by the others)
       gpuvirt-bench floor vgpus PARENT TYPE COUNT | floor switch FUNCTION   bare writes (used by changes)
       gpuvirt-bench floor switch FUNCTION FOLDER                            and what a switch may take besides
       gpuvirt-bench floor start PARENT TYPE COUNT                           bare writes (used by daemon)
       gpuvirt-bench ready GPUVIRTD      start a daemon and wait until it says that it is ready (used by daemon)
       gpuvirt-bench called LIST PROGRAM ...
                                         run a program, and write which of its functions it calls (used by scripts/order)
       gpuvirt-bench order LIST ...      the linker's script that puts these side by side (used by scripts/order)";

/// How it ends when all was measured and a verdict says that something is not as it should be.
const BAD: u8 = 3;

fn main() -> Result<ExitCode> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["document", profile, "--before", before, parts @ ..] => written(profile, Some(before), parts),
        ["document", profile, parts @ ..] => written(profile, None, parts),
        others => measure(others).map(|()| ExitCode::SUCCESS),
    }
}

fn written(profile: &str, before: Option<&str>, parts: &[&str]) -> Result<ExitCode> {
    let document::Judged { text, bad } = document::of(profile, before, parts)?;
    print!("{text}");
    bad.iter().for_each(|verdict| eprintln!("{verdict}"));
    Ok(if bad.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(BAD) })
}

fn measure(args: &[&str]) -> Result<()> {
    match args {
        ["growth", gpuvirt] => growth(&Path::new(gpuvirt).canonicalize()?),
        ["placement"] => placed(tempfile::tempdir()?.path()),
        ["live", gpuvirt] => live(&Path::new(gpuvirt).canonicalize()?, tempfile::tempdir()?.path()),
        ["sample", program, args @ ..] => sample::once(program, args),
        ["floor", "file", file] => floor::file(Path::new(file)),
        ["changes", gpuvirt, mdev_gpu, plain_gpu] => {
            let on = changes::Gpus { mdev: mdev_gpu, plain: plain_gpu };
            changed(&Path::new(gpuvirt).canonicalize()?, &on)
        }
        ["floor", "vgpus", parent, type_id, count] => floor::vgpus(parent, type_id, count.parse()?),
        ["floor", "start", parent, type_id, count] => floor::start(parent, type_id, count.parse()?),
        ["daemon", "recorded", gpuvirtd, gpuvirt] => {
            daemon_recorded(&Path::new(gpuvirtd).canonicalize()?, &Path::new(gpuvirt).canonicalize()?)
        }
        ["daemon", "live", gpuvirt, card] => daemon_live(&Path::new(gpuvirt).canonicalize()?, card),
        ["daemon", "restore", gpuvirt, mdev_gpu] => restored(&Path::new(gpuvirt).canonicalize()?, mdev_gpu),
        ["ready", daemon] => restore::ready(daemon),
        #[cfg(target_arch = "x86_64")]
        ["called", list, program, args @ ..] => called::trace(Path::new(list), Path::new(program), args),
        ["order", lists @ ..] => order::script(lists).map(|script| print!("{script}")),
        ["floor", "start", parent, type_id, count, folder] => {
            floor::start_and_more(parent, type_id, count.parse()?, Path::new(folder))
        }
        ["floor", "switch", function] => floor::switch(function),
        ["floor", "switch", function, folder] => floor::switch_and_more(function, Path::new(folder)),
        ["floor", "list", file] => floor::list(Path::new(file)),
        _ => bail!("{USAGE}"),
    }
}

fn growth(gpuvirt: &Path) -> Result<()> {
    let folder = tempfile::tempdir()?;
    println!("## Growth, on {}\n", machine::describe()?);
    let load = std::fs::read_to_string("/proc/loadavg").context("read the load")?;
    let load = load.split(' ').next().unwrap_or_default();
    println!("Load of this machine in the minute before: {load}. On a busy one all times are too long.\n");
    println!("### Generated hosts\n");
    print!("{}", recorded::generated(gpuvirt, folder.path())?);
    println!("\n### A recorded host, many times over\n");
    print!("{}", recorded::multiplied(gpuvirt, folder.path())?);
    println!("\n### Placement\n");
    placed(folder.path())
}

fn placed(folder: &Path) -> Result<()> {
    print!("{}", placement::table(folder)?);
    Ok(())
}

fn live(gpuvirt: &Path, folder: &Path) -> Result<()> {
    headed("A live host")?;
    print!("{}", live::tables(gpuvirt, folder)?);
    Ok(())
}

fn changed(gpuvirt: &Path, on: &changes::Gpus<'_>) -> Result<()> {
    headed("Changes")?;
    print!("{}", changes::tables(gpuvirt, on, tempfile::tempdir()?.path())?);
    Ok(())
}

/// What is measured, and on which machine.
fn headed(what: &str) -> Result<()> {
    let machine = machine::describe()?;
    println!("## {what}, on {machine}\n");
    if machine.contains("TCG") {
        println!(
            "An emulated processor: of times only the ratios mean anything. Memory and wakeups are as anywhere.\n"
        );
    }
    Ok(())
}

fn daemon_recorded(gpuvirtd: &Path, gpuvirt: &Path) -> Result<()> {
    headed("The daemon")?;
    println!("### Questions about a recorded host\n");
    print!("{}", daemon::recorded(gpuvirtd, tempfile::tempdir()?.path())?);
    println!();
    // Every machine with PCI has its host bridge there.
    hook(gpuvirt, "0000:00:00.0")
}

fn hook(gpuvirt: &Path, card: &str) -> Result<()> {
    println!("### libvirt's hook\n");
    println!(
        "A VM without our devices; the daemon is not asked. Medians of {} interleaved runs.\n",
        sample::RUNS
    );
    print!("{}", hook::table(gpuvirt, card, tempfile::tempdir()?.path())?);
    Ok(())
}

fn daemon_live(gpuvirt: &Path, card: &str) -> Result<()> {
    headed("The daemon as a service")?;
    print!("{}", daemon::live()?);
    println!();
    hook(gpuvirt, card)
}

fn restored(gpuvirt: &Path, mdev_gpu: &str) -> Result<()> {
    headed("A start")?;
    println!("### 64 vGPUs after a boot\n");
    println!("{} {}\n", restore::HOW, udev::WITHOUT_DRIVERCTL);
    print!("{}", restore::table(gpuvirt, mdev_gpu)?);
    Ok(())
}
