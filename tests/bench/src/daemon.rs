//! What the daemon costs while nothing happens and while it is asked: on a recorded host, and as the lab's service.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command as Process, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::contest::VERDICT;
use crate::process::{self, Memory, Switches, must};
use crate::recorded;
use crate::request::{self, Look};

/// PCI functions of the recorded host.
const FUNCTIONS: usize = 512;
/// How long an idle daemon is watched.
const IDLE: Duration = Duration::from_secs(60);
/// What a start or a question leaves to be done is begun by then; how often it is looked whether it is done, and how many times.
const BEGUN: Duration = Duration::from_secs(15);
const LOOKS: Duration = Duration::from_secs(1);
const SETTLES: u32 = 120;
/// The runtime's threads for work, which end ten seconds after their last one: while there is any, the daemon is not idle.
/// The kernel keeps 15 bytes of a thread's name.
const WORKER: &str = "tokio-rt-worker";
/// How long the service has not worked when it has seen all that was done; and its thread that answers libvirt's daemon meanwhile.
const QUIET: Duration = Duration::from_millis(700);
const KEEPALIVE: &str = "libvirt-events";
/// Longest wait for a started daemon's first answer.
const UP: Duration = Duration::from_secs(60);
const MILLISECOND: u64 = 1_000_000;
const SOCKET: &str = "/run/gpuvirt/gpuvirt.sock";
/// Debian's libvirt: the service and what wakes it.
const LIBVIRT: &[&str] =
    &["libvirtd.socket", "libvirtd-ro.socket", "libvirtd-admin.socket", "libvirtd.service"];

/// A daemon that ends with this value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Questions to a daemon over a recorded host, and what it holds afterwards.
pub fn recorded(gpuvirtd: &Path, folder: &Path) -> Result<String> {
    let (file, _) = recorded::make(folder, FUNCTIONS)?;
    let socket = folder.join("gpuvirt.sock");
    let mut process = Process::new(gpuvirtd);
    process
        .arg("--host")
        .arg(&file)
        .arg("--state-dir")
        .arg(folder.join("state"))
        .arg("--socket")
        .arg(&socket);
    let mut daemon =
        Running(process.stdin(Stdio::null()).stderr(Stdio::null()).spawn().context("start gpuvirtd")?);
    answers(&socket, &mut daemon.0)?;
    let mut out = format!("`gpuvirtd --host` over a generated host of {FUNCTIONS} PCI functions.\n\n");
    let (asked, slowest) = questions(&socket)?;
    out.push_str(&asked);
    let judged = if slowest < MILLISECOND { "under" } else { "**not under**" };
    writeln!(out, "\n{VERDICT}99 of 100 questions that share a picture are answered in {judged} 1 ms")?;
    let memory = Memory::of(daemon.0.id())?;
    writeln!(
        out,
        "\nAfterwards it holds {} resident, {} of them private; the recorded host itself, which no other daemon has \
         in memory, is in that.",
        mebibytes(memory.rss),
        mebibytes(memory.private)
    )?;
    Ok(out)
}

fn answers(socket: &Path, daemon: &mut Child) -> Result<()> {
    let start = Instant::now();
    loop {
        match request::once(socket, "/v1/status", Look::Shared) {
            Ok(_) => return Ok(()),
            Err(error) if start.elapsed() > UP => return Err(error),
            Err(_) => {}
        }
        if let Some(status) = daemon.try_wait()? {
            bail!("gpuvirtd ended: {status}");
        }
        std::thread::yield_now();
    }
}

/// The table, and the time in nanoseconds that 99 of 100 questions on a shared picture do not exceed.
fn questions(socket: &Path) -> Result<(String, u64)> {
    let (mut out, mut slowest) = (String::from(request::HEAD), 0);
    for (path, look, name) in [
        ("/v1/gpus", Look::Shared, "`GET /v1/gpus`"),
        ("/v1/status", Look::Shared, "`GET /v1/status`"),
        ("/v1/gpus", Look::Fresh, "`GET /v1/gpus`, `Cache-Control: no-cache`"),
    ] {
        let times = request::ask(socket, path, look)?;
        out.push_str(&times.row(name));
        if look == Look::Shared {
            slowest = slowest.max(times.percentile(99));
        }
    }
    Ok((out, slowest))
}

/// The service of this machine: memory and wakeups with libvirt connected and without, questions in between.
pub fn live() -> Result<String> {
    let socket = Path::new(SOCKET);
    let mut out = String::from(
        "### Idle\n\n| process | resident | private | anonymous | threads | woke in 60 s |\n|---|---|---|---|---|---|\n",
    );
    must("systemctl", &[&["start"], LIBVIRT].concat())?;
    must("systemctl", &["restart", "gpuvirtd"])?;
    // Whoever asks for VMs makes it connect.
    request::once(socket, "/v1/vms", Look::Fresh)?;
    out.push_str(&idle("gpuvirtd, libvirt connected")?);
    let (asked, _) = questions(socket)?;
    let daemon = process::daemon()?;
    out.push_str(&row("gpuvirtd, right after the questions below", daemon, "")?);
    let ours = Memory::of(daemon)?;
    let (others, nodedevd) = others()?;
    must("systemctl", &[&["stop"], LIBVIRT].concat())?;
    let alone = must("systemctl", &["restart", "gpuvirtd"]).and_then(|_| idle("gpuvirtd, libvirt stopped"));
    must("systemctl", &[&["start"], LIBVIRT].concat())?;
    out.push_str(&alone?);
    out.push_str(&others);
    write!(
        out,
        "\nResident counts every page that the kernel happens to keep, files' pages that other processes share among \
         them; private is what would be free without the daemon; anonymous is the part of it that no file backs. \
         Wakeups are the voluntary context switches of all threads (`/proc/PID/task/*/status`), from when the last thread \
         that had work has ended, which is ten seconds after it.\n\n{VERDICT}{}\n\n### Questions\n\n{asked}",
        beside(ours, nodedevd)
    )?;
    Ok(out)
}

/// The daemon after questions and libvirt's daemon for devices after a listing.
fn beside(ours: Memory, nodedevd: Memory) -> String {
    let lighter = ours.rss < nodedevd.rss && ours.private < nodedevd.private;
    format!(
        "gpuvirtd after questions, {} resident and {} private, is {} than virtnodedevd after a listing, {} and {}",
        mebibytes(ours.rss),
        mebibytes(ours.private),
        if lighter { "lighter" } else { "**not lighter**" },
        mebibytes(nodedevd.rss),
        mebibytes(nodedevd.private)
    )
}

/// One row: the daemon left alone.
fn idle(name: &str) -> Result<String> {
    let pid = process::daemon()?;
    let before = at_rest(pid)?;
    leave_alone(IDLE);
    let after = Switches::of(pid)?;
    let woke: Vec<String> =
        after.since(&before).iter().map(|(thread, times)| format!("`{thread}` {times}")).collect();
    let woke = if woke.is_empty() { "nobody".to_owned() } else { woke.join(", ") };
    row(name, pid, &woke)
}

/// The daemon's threads once none of them is there for work: the end of one is no wakeup of an idle daemon.
fn at_rest(pid: u32) -> Result<Switches> {
    leave_alone(BEGUN);
    for _ in 0..SETTLES {
        let now = Switches::of(pid)?;
        if !now.has(WORKER) {
            return Ok(now);
        }
        leave_alone(LOOKS);
    }
    bail!("gpuvirtd has a thread for work after {SETTLES} looks: it does not come to rest")
}

/// Waits until the service has looked at what was done beside it, which it does half a second after the last event: its look is
/// nobody's to bear who comes next.
pub fn quiet() -> Result<()> {
    let pid = process::daemon()?;
    for _ in 0..SETTLES {
        let before = Switches::of(pid)?;
        leave_alone(QUIET);
        let mut woke = Switches::of(pid)?.since(&before);
        woke.remove(KEEPALIVE);
        if woke.is_empty() {
            return Ok(());
        }
    }
    bail!("gpuvirtd is at work after {SETTLES} looks, and nobody asks it anything")
}

/// A process and those that it started, as they are now.
fn row(name: &str, pid: u32, woke: &str) -> Result<String> {
    let memory = Memory::of(pid)?;
    let children: Vec<Memory> = process::children(pid)?.into_iter().map(Memory::of).collect::<Result<_>>()?;
    let with_children = |of: fn(&Memory) -> u64| {
        let more = children.iter().map(|child| format!(", and a child {}", mebibytes(of(child))));
        format!("{}{}", mebibytes(of(&memory)), more.collect::<String>())
    };
    Ok(format!(
        "| {name} | {} | {} | {} | {} | {woke} |\n",
        with_children(|memory| memory.rss),
        with_children(|memory| memory.private),
        with_children(|memory| memory.anonymous),
        Switches::of(pid)?.threads()
    ))
}

/// libvirt's daemon for devices, beside the one that runs. Asked directly: by default a client looks for
/// libvirtd alone.
const NODEDEVD: &[&str] = &["virtnodedevd.socket", "virtnodedevd.service"];
const NODEDEVD_URI: &str = "nodedev:///system?mode=direct";

/// libvirt's own daemons, the one for devices after it has listed them as gpuvirtd has, and a client of libvirt's that does
/// nothing but be connected: what no other one can be below.
fn others() -> Result<(String, Memory)> {
    let mut out = String::new();
    must("systemctl", &["start", "virtnodedevd.socket"]).context("scripts/lab modular puts it there")?;
    must("virsh", &["-q", "-c", NODEDEVD_URI, "nodedev-list"])?;
    let nodedevd = *process::named("virtnodedevd")?.first().context("virtnodedevd does not run")?;
    let nodedevd = Memory::of(nodedevd)?;
    for name in ["virtnodedevd", "virtqemud", "libvirtd"] {
        for pid in process::named(name)? {
            out.push_str(&row(name, pid, "")?);
        }
    }
    let mut client = Process::new("virsh");
    client.arg("-q").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut client = Running(client.spawn().context("start virsh")?);
    let mut input = client.0.stdin.take().context("virsh has no input")?;
    input.write_all(b"list\necho connected\n").context("ask virsh")?;
    let said = BufReader::new(client.0.stdout.take().context("virsh has no output")?);
    let connected = said.lines().map_while(Result::ok).any(|line| line.contains("connected"));
    ensure!(connected, "virsh did not connect");
    out.push_str(&row("`virsh`, connected and waiting for a command", client.0.id(), "")?);
    must("systemctl", &[&["stop"], NODEDEVD].concat())?;
    Ok((out, nodedevd))
}

/// Nothing is waited for: that nothing happens in a span of time is what is measured.
#[expect(clippy::disallowed_methods, reason = "a span of time is measured, no condition awaited")]
fn leave_alone(span: Duration) {
    std::thread::sleep(span);
}

fn mebibytes(kibibytes: u64) -> String {
    let tenths = (kibibytes * 10 + 512) / 1024;
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}
