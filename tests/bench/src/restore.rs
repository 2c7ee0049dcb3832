//! 64 vGPUs that are there again after a boot: by gpuvirtd's start, beside mdevctl's own start of a parent's devices, which
//! is what its udev rule runs at boot.
//!
//! Made for the lab VM: the parent is a GPU of the test module with room for all.

use std::fmt::Write as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command as Process, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::changes::{self, shell};
use crate::command::{Command, text};
use crate::contest::{Contest, Held, is_installed};
use crate::floor;
use crate::live::reads;
use crate::process::{must, named};
use crate::sample;
use crate::udev::{self, WithoutDriverctl};

const COUNT: usize = 64;
/// The smallest type of the test module, and its profile.
const TYPE: &str = "gpuvirt_mdev-lab-1q";
const PROFILE: &str = "lab-1q";
/// Runs of each way.
const RUNS: usize = 15;
/// Where live mediated devices are.
const LIVE: &str = "/sys/bus/mdev/devices";
/// Longest wait for a removed device to be gone.
const GONE: Duration = Duration::from_secs(10);
/// Longest wait for a daemon to be ready, and to end.
const READY: Duration = Duration::from_secs(60);
const DAEMON: &str = "/usr/sbin/gpuvirtd";

/// A boot is done with them when udev is: nodes have their permissions then, and libvirt has heard of them.
const UDEVS_PART: &str = "udevadm settle";
const HELD_BACK: &str = "Each way ends with `udevadm settle`: what a rule makes below a device waits in udev until that rule has \
                         ended, so that udev begins with mdevctl's devices when mdevctl has ended, and with the others' while they are made.";

/// What the tables show.
pub const HOW: &str = "Before each run there is no daemon and no vGPU. Medians of 15 interleaved runs; each way is a line of a shell, the \
                       floors too, and must find all 64 there at its end. gpuvirtd reads the host, checks its plan, makes its journal durable and verifies what \
                       came of it; then it says that it is ready. What it is held against reads the host and makes something \
                       durable too, as no start can do without; the bare writes stand beside it.";

/// Both tables: as a boot does it, and the programs by themselves.
pub fn table(gpuvirt: &Path, parent: &str) -> Result<String> {
    let gpuvirt = text(gpuvirt)?;
    let folder = tempfile::tempdir()?;
    let ways = Ways::of(&gpuvirt, parent, folder.path())?;
    must(&gpuvirt, &["gpu", "set", parent, "--type", "shared-direct"])?;
    must(&gpuvirt, &["vgpu", "create", "--gpu", parent, "--profile", PROFILE, "--count", &ways.count])?;
    if is_installed("mdevctl") {
        define(parent)?;
    }
    let linked = Linked::where_the_rule_looks()?;
    let note = linked.note();
    let without = WithoutDriverctl::begin()?;
    let as_a_boot = ways.as_a_boot();
    drop(linked);
    let alone = ways.alone();
    let nothing_to_do = nothing_to_do();
    drop(without);
    let forgotten = forget(&gpuvirt, parent);
    // What went wrong first is told: where a way failed there may be no daemon to forget anything.
    let (as_a_boot, alone, nothing_to_do) = (as_a_boot?, alone?, nothing_to_do?);
    forgotten?;
    let mut out = format!(
        "As a boot does it, with systemd's part and udev's. {HELD_BACK}{note}\n\n{}",
        as_a_boot.table()?
    );
    write!(out, "\nThe programs by themselves.\n\n{}", alone.table()?)?;
    for samples in &nothing_to_do {
        writeln!(out, "\n{}: {}.", samples.name, samples.milliseconds())?;
    }
    Ok(out)
}

struct Ways<'a> {
    parent: &'a str,
    count: String,
    /// This program.
    own: String,
    /// Has the list of what a start reads.
    folder: String,
}

impl<'a> Ways<'a> {
    /// Of a host without vGPUs: what is read of it is listed.
    fn of(gpuvirt: &str, parent: &'a str, folder: &Path) -> Result<Self> {
        let none = text(&folder.join("no.sock"))?;
        let fresh = Command::new("a fresh read", Path::new(gpuvirt), &["--socket", &none, "gpu", "list"])?;
        reads(&fresh, &folder.join(floor::READS), folder)?;
        let own = changes::own()?;
        Ok(Self { parent, count: COUNT.to_string(), own, folder: text(folder)? })
    }

    fn as_a_boot(&self) -> Result<Held> {
        let [start, bare] = self.floors();
        let trigger = format!("udevadm trigger --settle --action=add /sys/bus/pci/devices/{}", self.parent);
        let floors = [
            [
                "a unit's start, a fresh read, a durable write, and bare writes",
                &format!("systemd-run --quiet --wait --collect {start} && {UDEVS_PART}"),
            ],
            ["bare writes", &format!("{bare} && {UDEVS_PART}")],
        ];
        let ours = format!("systemctl start gpuvirtd && {UDEVS_PART}");
        self.contest(
            floors,
            ["`systemctl start gpuvirtd`", &ours],
            [
                "udev's event for the parent, whose rule runs mdevctl: `udevadm trigger`",
                &format!("{trigger} && {UDEVS_PART}"),
            ],
        )
    }

    fn alone(&self) -> Result<Held> {
        let [start, bare] = self.floors();
        let devices = format!("mdevctl start-parent-mdevs {}", self.parent);
        self.contest(
            [["a fresh read, a durable write, and bare writes", &start], ["bare writes", &bare]],
            ["gpuvirtd, from its start until it is ready", &format!("{} ready {DAEMON}", self.own)],
            ["`mdevctl start-parent-mdevs`, from its start to its end", &devices],
        )
    }

    /// What no start can do without, and the bare writes of it, as lines of a shell.
    fn floors(&self) -> [String; 2] {
        let bare = format!("{} floor start {} {TYPE} {}", self.own, self.parent, self.count);
        [format!("{bare} {}", self.folder), bare]
    }

    fn contest(&self, floors: [[&str; 2]; 2], ours: [&str; 2], mdevctls: [&str; 2]) -> Result<Held> {
        // Each way, the floors too, ends only when all are there.
        let until_all =
            |[name, way]: [&str; 2]| shell(name, &format!("{way} && [ $(ls {LIVE} | wc -l) = {COUNT} ]"));
        let [floor, bare] = floors;
        Contest::of(RUNS)
            .at_most(changes::FLOORS)
            .floor(until_all(floor)?)
            .floor(until_all(bare)?)
            .ours(until_all(ours)?)
            .peer_of("mdevctl", until_all(mdevctls)?)
            .held(empty)
    }
}

/// mdevctl where its udev rule looks for it, for as long as this lives: Debian 13 installs it elsewhere, and starts none at boot.
struct Linked(Option<&'static str>);

impl Linked {
    fn where_the_rule_looks() -> Result<Self> {
        const LOOKED_FOR: &str = "/usr/sbin/mdevctl";
        if Path::new(LOOKED_FOR).exists() || !is_installed("mdevctl") {
            return Ok(Self(None));
        }
        std::os::unix::fs::symlink("/usr/bin/mdevctl", LOOKED_FOR).context("link mdevctl")?;
        Ok(Self(Some(LOOKED_FOR)))
    }

    fn note(&self) -> String {
        let note = |at| {
            format!(
                " As packaged, mdevctl's rule runs `{at}`, which is not there, and restores none: a link was put there."
            )
        };
        self.0.map(note).unwrap_or_default()
    }
}

impl Drop for Linked {
    fn drop(&mut self) {
        // A lab's own link: that it stays is no harm.
        let _ = self.0.map(std::fs::remove_file);
    }
}

/// What a start costs with nothing to restore.
fn nothing_to_do() -> Result<Vec<sample::Samples>> {
    empty()?;
    must("systemctl", &["start", "gpuvirtd"])?;
    let start = [shell("`systemctl start gpuvirtd` where all 64 are there", "systemctl start gpuvirtd")?];
    sample::rounds(RUNS, &start, stop)
}

/// Starts a daemon as systemd would, waits until it says that it is ready, and leaves it.
pub fn ready(daemon: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).context("make the socket for its word")?;
    socket.set_read_timeout(Some(READY))?;
    let mut process = Process::new(daemon);
    process.env("NOTIFY_SOCKET", &path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    process.spawn().with_context(|| format!("start {daemon}"))?;
    let mut word = [0; 64];
    loop {
        let length = socket.recv(&mut word).context("wait until it is ready")?;
        if word.get(..length) == Some(b"READY=1") {
            return Ok(());
        }
    }
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
    stop()?;
    end_of_ready()?;
    for device in live()? {
        floor::write(&format!("{LIVE}/{device}/remove"), "1")?;
    }
    udev::settle()?;
    let start = Instant::now();
    while !live()?.is_empty() {
        ensure!(start.elapsed() < GONE, "removed devices are still there");
        std::thread::yield_now();
    }
    Ok(())
}

/// Stops the service, and has its starts forgotten: systemd starts none more than five times in ten seconds.
fn stop() -> Result<()> {
    // Fails where it is stopped already and nobody wants it, so that systemd knows nothing of it.
    let _ = must("systemctl", &["reset-failed", "gpuvirtd"]);
    must("systemctl", &["stop", "gpuvirtd"]).map(drop)
}

/// The daemon that [`ready`] left, if it did.
fn end_of_ready() -> Result<()> {
    for pid in named("gpuvirtd")? {
        let _ = kill(Pid::from_raw(i32::try_from(pid)?), Signal::SIGTERM);
    }
    let start = Instant::now();
    while !named("gpuvirtd")?.is_empty() {
        ensure!(start.elapsed() < READY, "gpuvirtd does not end");
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
