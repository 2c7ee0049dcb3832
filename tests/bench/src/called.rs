//! Which functions of a program a run calls, in the order of their first calls.
//!
//! The first byte of each is made a breakpoint and put back when it is met, so that a run meets each once and is hardly slower.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Command as Process, Stdio};

use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use nix::libc::PTRACE_EVENT_EXEC;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::order;

/// int3
const BREAKPOINT: u8 = 0xcc;
/// It stops before it becomes the program, so that it is traced from the first instruction on.
const STOPPED: &str = "kill -STOP $$; exec \"$0\" \"$@\"";

/// Runs a program and writes which functions it and its threads call to `list`, as a linker's script names them.
pub fn trace(list: &Path, program: &Path, args: &[&str]) -> Result<()> {
    let program = program.canonicalize().with_context(|| format!("find {}", program.display()))?;
    let functions = order::patterns(functions(&program)?);
    let mut shell = Process::new("/bin/sh");
    let child = shell.args(["-c", STOPPED]).arg(&program).args(args).spawn().context("start /bin/sh")?;
    let child = Pid::from_raw(i32::try_from(child.id())?);
    waitpid(child, Some(WaitPidFlag::WUNTRACED)).context("wait for /bin/sh")?;
    let with_threads = Options::PTRACE_O_TRACECLONE | Options::PTRACE_O_TRACEEXEC;
    let with_children = Options::PTRACE_O_TRACEFORK | Options::PTRACE_O_TRACEVFORK;
    ptrace::seize(child, with_threads | with_children | Options::PTRACE_O_EXITKILL)
        .context("trace a process of ours")?;
    kill(child, Signal::SIGCONT).context("let it go on")?;
    let called = Tracer { child, program, functions, places: BTreeMap::new(), called: Vec::new() }.run()?;
    let mut list = File::create(list).with_context(|| format!("make {}", list.display()))?;
    called.iter().try_for_each(|name| writeln!(list, "{name}")).context("write the list")
}

/// Names by address in the file. Only what has a section of its own can be moved: Rust's functions, and those of the C library
/// where it is linked in.
fn functions(program: &Path) -> Result<BTreeMap<u64, String>> {
    let out = Process::new("nm").arg(program).stderr(Stdio::inherit()).output().context("start nm")?;
    ensure!(out.status.success(), "nm {}: {}", program.display(), out.status);
    let all = String::from_utf8_lossy(&out.stdout);
    // Of two names for one the later stays: that which the archive shows to others.
    let (own, shown): (Vec<&str>, Vec<&str>) = all.lines().partition(|line| line.contains(" t "));
    let found: BTreeMap<u64, String> = [own, shown].concat().into_iter().filter_map(function).collect();
    ensure!(!found.is_empty(), "{} has no names of functions", program.display());
    Ok(found)
}

fn function(line: &str) -> Option<(u64, String)> {
    let mut words = line.split_whitespace();
    let (address, kind, name) = (words.next()?, words.next()?, words.next()?);
    let of_rust = name.starts_with("_ZN") || name.starts_with("_R");
    let name = if of_rust { name.to_owned() } else { format!("{}{name}", order::OF_C) };
    Some((u64::from_str_radix(address, 16).ok()?, name)).filter(|_| order::is_function(kind))
}

struct Tracer {
    child: Pid,
    program: std::path::PathBuf,
    functions: BTreeMap<u64, String>,
    /// By address in memory: the byte that a breakpoint is in the place of, and the function that is not called yet.
    places: BTreeMap<u64, (u8, Option<String>)>,
    called: Vec<String>,
}

impl Tracer {
    /// Until the program ends.
    fn run(mut self) -> Result<Vec<String>> {
        loop {
            let stopped = match waitpid(None, Some(WaitPidFlag::__WALL)) {
                Err(Errno::EINTR) => continue,
                other => other.context("wait for the traced program")?,
            };
            match stopped {
                WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..) if pid == self.child => break,
                WaitStatus::PtraceEvent(pid, _, PTRACE_EVENT_EXEC) if pid == self.child => {
                    self.begin()?;
                    gone(ptrace::cont(pid, None))?;
                }
                // Another program that it started is none of ours.
                WaitStatus::PtraceEvent(pid, _, PTRACE_EVENT_EXEC) => gone(ptrace::detach(pid, None))?,
                WaitStatus::PtraceEvent(pid, ..) => gone(ptrace::cont(pid, None))?,
                WaitStatus::Stopped(pid, Signal::SIGTRAP) => {
                    let signal = if self.met(pid)? { None } else { Some(Signal::SIGTRAP) };
                    gone(ptrace::cont(pid, signal))?;
                }
                WaitStatus::Stopped(pid, signal) => gone(ptrace::cont(pid, signal))?,
                _ => {}
            }
        }
        ensure!(!self.called.is_empty(), "{} met no breakpoint", self.program.display());
        Ok(self.called)
    }

    /// The program is loaded: a breakpoint for each function.
    fn begin(&mut self) -> Result<()> {
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", self.child))?;
        let own = maps.lines().find(|line| line.ends_with(&*self.program.to_string_lossy()));
        let base = own.and_then(|line| u64::from_str_radix(line.split('-').next()?, 16).ok());
        let base = base.with_context(|| format!("{} is not mapped", self.program.display()))?;
        let memory = memory(self.child)?;
        for (address, name) in std::mem::take(&mut self.functions) {
            let (at, mut byte) = (base + address, [0]);
            memory.read_exact_at(&mut byte, at).with_context(|| format!("read {name}"))?;
            memory.write_all_at(&[BREAKPOINT], at)?;
            let [byte] = byte;
            self.places.insert(at, (byte, Some(name)));
        }
        Ok(())
    }

    /// Whether a thread has met a breakpoint: the byte is put back, and the thread is to go on with it. Where two meet one at
    /// once, the second finds it gone.
    fn met(&mut self, thread: Pid) -> Result<bool> {
        let mut registers = ptrace::getregs(thread).context("read registers")?;
        let at = registers.rip.wrapping_sub(1);
        let Some((byte, name)) = self.places.get_mut(&at) else { return Ok(false) };
        memory(thread)?.write_all_at(&[*byte], at)?;
        self.called.extend(name.take());
        registers.rip = at;
        gone(ptrace::setregs(thread, registers))?;
        Ok(true)
    }
}

fn memory(pid: Pid) -> Result<File> {
    let path = format!("/proc/{pid}/mem");
    OpenOptions::new().read(true).write(true).open(&path).with_context(|| format!("open {path}"))
}

/// A thread that was killed meanwhile needs no answer.
fn gone(done: nix::Result<()>) -> Result<()> {
    match done {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(errno) => bail!("ptrace: {errno}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_those_that_have_a_section_of_their_own() {
        let named = function;
        assert_eq!(named("0000000000001a30 t _ZN3foo17hE"), Some((0x1a30, "_ZN3foo17hE".to_owned())));
        assert_eq!(named("1a40 T _RNvCs1_3foo3bar"), Some((0x1a40, "_RNvCs1_3foo3bar".to_owned())));
        assert_eq!(named("1a50 t malloc"), Some((0x1a50, "C malloc".to_owned())));
        for other in ["1a60 d _ZN3foo4DATA17hE", "                 U write", ""] {
            assert_eq!(named(other), None, "{other}");
        }
    }

    #[test]
    fn what_a_program_calls_is_told_and_it_runs_as_ever() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("list");
        let own = std::env::current_exe().unwrap();
        let test = "sample::tests::medians_are_of_one_run";
        trace(&list, &own, &["--exact", test]).unwrap();
        let called = std::fs::read_to_string(list).unwrap();
        assert!(called.contains("medians_are_of_one_run"), "{called}");
        assert!(!called.contains("what_a_program_calls_is_told"), "another test's function was not called");
    }
}
