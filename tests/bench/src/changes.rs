//! Changes on a live host, beside bare writes of a minimal program and beside what admins use otherwise: many vGPUs,
//! and one switch to passthrough and back.
//!
//! Made for the lab VM: the parent is a GPU of the test module with room for all, the other GPU has no driver.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};

use crate::command::{Command, text};
use crate::contest::{Contest, Held};
use crate::process::must;
use crate::trace::Trace;
use crate::udev::{WITHOUT_DRIVERCTL, WithoutDriverctl, settle};
use crate::{daemon, floor, live};

/// How many hundredths of the bare writes a change of many writes may take.
pub const FLOORS: u64 = 130;
/// What the ways of a switch do besides.
const SWITCH: &str = "gpuvirt asks libvirt for its domains, asks the kernel whether anybody uses the card's drivers (where \
                      somebody does, it looks at every process for who that is), makes its intent durable before the \
                      first write, reads each write back and verifies with a fresh look, each way; what was asked for \
                      is there again after a boot. driverctl does the last of these alone, virsh none. Before each run gpuvirt does \
                      not manage the card; each way is a line of a shell.";
/// Why driverctl has a table of its own.
const WITH_RULE: &str = "With driverctl's udev rule in force, as on a host that has it installed: the shell script that it starts \
                         for the VFIO device of the way there runs while the way back is on its way, whoever's that is.";
/// And the others.
const WITHOUT_RULE: &str = "With that rule out of force, as on a host without driverctl.";
/// vGPUs made and removed in one run: as many as the slowest peer makes in some seconds of an emulated machine.
const COUNT: u32 = 16;
/// The smallest type of the test module, and its profile.
const TYPE: &str = "gpuvirt_mdev-lab-1q";
const PROFILE: &str = "lab-1q";
/// Runs of each way: times scatter, for each removal waits for the kernel's grace period (RCU), of which it may be any part.
const RUNS: usize = 25;
/// Of the slowest, which takes most of a minute in an emulated machine.
const SELDOM: usize = 2;

/// The lab's GPUs.
pub struct Gpus<'a> {
    /// The parent of mediated devices.
    pub mdev: &'a str,
    /// The one for passthrough.
    pub plain: &'a str,
}

/// Both tables and the counts.
pub fn tables(gpuvirt: &Path, on: &Gpus<'_>, folder: &Path) -> Result<String> {
    let gpuvirt = text(gpuvirt)?;
    must(&gpuvirt, &["gpu", "set", on.mdev, "--type", "shared-direct"])?;
    must(&gpuvirt, &["gpu", "set", on.plain, "--type", "shared"])?;
    // Nobody's way begins with loading it.
    must("modprobe", &["vfio-pci"])?;
    let mut out = format!(
        "### {COUNT} vGPUs made and removed\n\nMedians of {RUNS} interleaved runs ({SELDOM} of virsh, before the others), each a line of a shell, after `udevadm settle` and when gpuvirtd has seen what came of the one before. {WITHOUT_DRIVERCTL}\n\n"
    );
    let without = WithoutDriverctl::begin()?;
    out.push_str(&vgpus(&gpuvirt, on, folder)?.table()?);
    drop(without);
    // What a way that failed has left would take room from what comes.
    must(
        "sh",
        &[
            "-c",
            "for left in /sys/bus/mdev/devices/[ef]2000000-0000-4000-8000-*/remove; do [ ! -e $left ] || echo 1 >$left; done",
        ],
    )?;
    out.push_str(&counts(&gpuvirt, on, folder)?);
    write!(out, "\n### One GPU to passthrough and back\n\n{SWITCH} Medians of {RUNS} interleaved runs.\n\n")?;
    let switch = Switch::of(&gpuvirt, on.plain, folder)?;
    write!(out, "{WITH_RULE}\n\n{}", switch.beside_driverctl()?.table()?)?;
    let without = WithoutDriverctl::begin()?;
    write!(out, "\n{WITHOUT_RULE}\n\n{}", switch.beside_the_others()?.table()?)?;
    drop(without);
    Ok(out)
}

fn vgpus(gpuvirt: &str, on: &Gpus<'_>, folder: &Path) -> Result<Held> {
    let gpu = on.mdev;
    let count = COUNT.to_string();
    let ours = format!(
        "{gpuvirt} vgpu create --gpu {gpu} --profile {PROFILE} --count {COUNT} && {gpuvirt} vgpu remove --gpu {gpu} --all"
    );
    let uuids =
        |of: char| format!("for n in $(seq -f %012.0f 1 $COUNT); do u={of}2000000-0000-4000-8000-$n;");
    let of_mdevctl = uuids('f');
    let mdevctl = format!(
        "COUNT={COUNT}; {of_mdevctl} mdevctl start -u $u -p {gpu} -t {TYPE} || exit 1; done; {of_mdevctl} mdevctl stop -u $u || exit 1; done"
    );
    let xml = folder.join("vgpu.xml");
    // Others than the last one's: libvirt may not have heard yet that those are gone, and makes none anew then.
    let virsh = virsh_script(gpu, &xml, &uuids('e'))?;
    Contest::of(RUNS)
        .at_most(FLOORS)
        .floor(bare("bare writes", &["vgpus", gpu, TYPE, &count])?)
        .ours(shell("`gpuvirt vgpu create --count 16`, `vgpu remove --all`", &ours)?)
        .peer_of("mdevctl", shell("`mdevctl start` and `stop`, 16 times each", &mdevctl)?)
        .peer_of(
            "virsh",
            shell("`virsh nodedev-create` and `-destroy`, 16 times each", &virsh)?.seldom(SELDOM),
        )
        .held(all_seen)
}

/// libvirt names a node device after uuid and parent, with `_` for all signs. It lists a new one only when udev has told it,
/// so that taking one away may have to be asked twice.
fn virsh_script(gpu: &str, xml: &Path, uuids: &str) -> Result<String> {
    let node = gpu.replace([':', '.'], "_");
    let xml = text(xml)?;
    let document = format!(
        "<device><parent>pci_{node}</parent><capability type='mdev'><type id='{TYPE}'/><uuid>$u</uuid></capability></device>"
    );
    Ok(format!(
        "COUNT={COUNT}; {uuids} echo \"{document}\" > {xml}; virsh -q nodedev-create {xml} || exit 1; done; \
         {uuids} until virsh -q nodedev-destroy mdev_$(echo $u | tr - _)_{node}; do \
         [ $((tries += 1)) -lt 5000 ] || exit 1; done; done"
    ))
}

/// One switch to passthrough and back.
struct Switch<'a> {
    gpuvirt: &'a str,
    gpu: &'a str,
    folder: &'a Path,
}

impl<'a> Switch<'a> {
    fn of(gpuvirt: &'a str, gpu: &'a str, folder: &'a Path) -> Result<Self> {
        // A socket that nobody listens on: the command reads the host itself.
        let none = text(&folder.join("no.sock"))?;
        let fresh = Command::new("a fresh read", Path::new(gpuvirt), &["--socket", &none, "gpu", "list"])?;
        live::reads(&fresh, &folder.join(floor::READS), folder)?;
        Ok(Self { gpuvirt, gpu, folder })
    }

    fn beside_driverctl(&self) -> Result<Held> {
        let gpu = self.gpu;
        let driverctl = format!("driverctl set-override {gpu} vfio-pci && driverctl unset-override {gpu}");
        let driverctl = shell("`driverctl set-override`, `unset-override`", &driverctl)?;
        self.contest()?.ours(self.ours()?).peer_of("driverctl", driverctl).held(|| self.ready())
    }

    fn beside_the_others(&self) -> Result<Held> {
        let more = "bare writes, and each way a durable write, a process's start and a fresh read";
        let node = format!("pci_{}", self.gpu.replace([':', '.'], "_"));
        let virsh = format!("virsh -q nodedev-detach {node} && virsh -q nodedev-reattach {node}");
        self.contest()?
            .bound(bare(more, &["switch", self.gpu, &text(self.folder)?])?)
            .ours(self.ours()?)
            .peer_of("virsh", shell("`virsh nodedev-detach`, `nodedev-reattach`", &virsh)?)
            .held(|| self.ready())
    }

    fn contest(&self) -> Result<Contest> {
        Ok(Contest::of(RUNS).floor(bare("bare writes", &["switch", self.gpu])?))
    }

    fn ours(&self) -> Result<Command> {
        let set = format!("{} gpu set {} --type", self.gpuvirt, self.gpu);
        shell("`gpuvirt gpu set --type direct`, `--type shared`", &format!("{set} direct && {set} shared"))
    }

    /// A card that gpuvirt manages is led back when others move it: theirs is one that it does not.
    fn ready(&self) -> Result<()> {
        must(self.gpuvirt, &["gpu", "unset", self.gpu])?;
        all_seen()
    }
}

/// What an earlier run left to udev and to the daemon would count for the next one.
fn all_seen() -> Result<()> {
    settle()?;
    daemon::quiet()
}

/// What the daemon and its writer ask of the kernel for all of it.
fn counts(gpuvirt: &str, on: &Gpus<'_>, folder: &Path) -> Result<String> {
    // A fresh daemon has no writer yet: the one that it starts is counted.
    must("systemctl", &["restart", "gpuvirtd"])?;
    // Of the two units the daemon's, and the one that starts its writers.
    let pids = ["gpuvirtd", "gpuvirt-writer"].map(|unit| {
        let shown = must("systemctl", &["show", "-P", "MainPID", unit])?;
        shown.trim().parse::<u32>().with_context(|| format!("the pid of {unit}"))
    });
    let pids = pids.into_iter().collect::<Result<Vec<u32>>>()?;
    let count = COUNT.to_string();
    let trace = Trace::of_processes(&pids, &folder.join("trace"), || {
        must(gpuvirt, &["vgpu", "create", "--gpu", on.mdev, "--profile", PROFILE, "--count", &count])?;
        must(gpuvirt, &["vgpu", "remove", "--gpu", on.mdev, "--all"]).map(drop)
    })?;
    let mut out = format!(
        "\nSystem calls of the daemon and its writer for all of it: {}. Processes started: {}. `fsync`: {}.\n\n",
        trace.calls,
        trace.processes,
        trace.times("fsync")
    );
    out.push_str("| system call | times |\n|---|---|\n");
    for (call, times) in trace.most() {
        writeln!(out, "| `{call}` | {times} |")?;
    }
    Ok(out)
}

/// What must be done and nothing else, as a line of a shell: the ways that are held against it are such lines too.
fn bare(name: &str, what: &[&str]) -> Result<Command> {
    shell(name, &format!("{} floor {}", own()?, what.join(" ")))
}

/// This program.
pub fn own() -> Result<String> {
    text(&std::env::current_exe().context("find this program")?)
}

/// A script of the shell.
pub fn shell(name: &str, script: &str) -> Result<Command> {
    Command::new(name, Path::new("/bin/sh"), &["-c", script])
}
