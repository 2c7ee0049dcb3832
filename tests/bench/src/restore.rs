//! 64 vGPUs that are there again after a boot: by gpuvirtd's start, beside mdevctl's own start of a parent's devices, which
//! is what its udev rule runs at boot.
//!
//! Made for the lab VM: the parent is a GPU of the test module with room for all.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::changes::shell;
use crate::command::{Command, text};
use crate::contest::Contest;
use crate::floor;
use crate::process::must;
use crate::sample;

const COUNT: usize = 64;
/// The smallest type of the test module, and its profile.
const TYPE: &str = "gpuvirt_mdev-lab-1q";
const PROFILE: &str = "lab-1q";
/// Runs of each way. A run of the slowest takes most of a minute in an emulated machine.
const RUNS: usize = 5;
/// Where live mediated devices are.
const LIVE: &str = "/sys/bus/mdev/devices";
/// Longest wait for a removed device to be gone.
const GONE: Duration = Duration::from_secs(10);

/// What the table shows.
pub const HOW: &str = "Before each run there is no daemon and no vGPU. Medians of 5 interleaved runs; each way must find all 64 \
                       there at its end. The daemon's start has systemd's part in it, reads the host, checks its plan, makes its \
                       journal durable and verifies what came of it.";

/// The table.
pub fn table(gpuvirt: &Path, parent: &str) -> Result<String> {
    let gpuvirt = text(gpuvirt)?;
    let count = COUNT.to_string();
    must(&gpuvirt, &["gpu", "set", parent, "--type", "shared-direct"])?;
    must(&gpuvirt, &["vgpu", "create", "--gpu", parent, "--profile", PROFILE, "--count", &count])?;
    define(parent)?;
    let starts = "systemctl start gpuvirtd";
    // Each way ends only when all are there.
    let all = format!("[ $(ls {LIVE} | wc -l) = {COUNT} ]");
    let timed = Contest::of(RUNS)
        .floor(Command::own("bare writes", &["floor", "start", parent, TYPE, &count])?)
        .ours(shell("start of gpuvirtd until it is ready", &format!("{starts} && {all}"))?)
        .peer(shell(
            "`mdevctl start-parent-mdevs`, as its udev rule does",
            &format!("mdevctl start-parent-mdevs {parent} && {all}"),
        )?)
        .held(empty);
    // What a start costs with nothing to restore.
    empty()?;
    must("systemctl", &["start", "gpuvirtd"])?;
    let alone = [shell("The same start where all 64 are there", starts)?];
    let alone = sample::rounds(RUNS, &alone, || must("systemctl", &["stop", "gpuvirtd"]).map(drop));
    forget(&gpuvirt, parent)?;
    let mut out = timed?.table()?;
    for samples in &alone? {
        writeln!(out, "\n{}: {}.", samples.name, samples.milliseconds())?;
    }
    Ok(out)
}

fn uuids() -> Vec<String> {
    (1..=COUNT).map(|n| format!("f3000000-0000-4000-8000-{n:012x}")).collect()
}

/// As an admin tells mdevctl to start them at boot.
fn define(parent: &str) -> Result<()> {
    for uuid in uuids() {
        must("mdevctl", &["define", "-a", "-u", &uuid, "-p", parent, "-t", TYPE])?;
    }
    Ok(())
}

/// The host as a boot finds it: no daemon, no mediated device, and nothing left for udev.
fn empty() -> Result<()> {
    must("systemctl", &["stop", "gpuvirtd"])?;
    for device in live()? {
        floor::write(&format!("{LIVE}/{device}/remove"), "1")?;
    }
    must("udevadm", &["settle"])?;
    let start = Instant::now();
    while !live()?.is_empty() {
        ensure!(start.elapsed() < GONE, "removed devices are still there");
        std::thread::yield_now();
    }
    Ok(())
}

fn live() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(LIVE)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    Ok(names)
}

fn forget(gpuvirt: &str, parent: &str) -> Result<()> {
    for uuid in uuids() {
        must("mdevctl", &["undefine", "-u", &uuid, "-p", parent])?;
    }
    must(gpuvirt, &["vgpu", "remove", "--gpu", parent, "--all"]).map(drop)
}
