//! What a command asks of the kernel, by strace: how many calls, which files, how many processes.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command as Process, Stdio};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::command::{Command, text};
use crate::floor;

/// What a command asked for, from the first file below [`ROOTS`] on: what comes before is the loader's.
#[derive(Debug, Default)]
pub struct Trace {
    /// Calls.
    pub calls: usize,
    /// Each file and folder that it opened or tried to open, in order; a folder is marked.
    pub files: Vec<String>,
    /// Symbolic links that it read, marked.
    pub links: Vec<String>,
    /// Processes that it started.
    pub processes: usize,
    counts: BTreeMap<String, usize>,
}

const ROOTS: &[&str] = &["/sys/", "/proc/", "/usr/share/"];
/// The dynamic loader and the allocator look at these before the program's own work begins.
const LOADER: &[&str] = &["/proc/self/maps", "/proc/sys/vm/overcommit_memory", "/sys/fs/cgroup"];

impl Trace {
    /// Runs the command under strace.
    pub fn of(command: &Command, file: &Path) -> Result<Self> {
        let mut strace = Process::new("strace");
        strace.args(["-f", "-y", "-s", "4096", "-o", &text(file)?]).args(&command.line);
        let status = strace.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        let status = status.context("start strace")?;
        ensure!(status.success(), "{} under strace: {status}", command.name);
        Ok(Self::read(&std::fs::read_to_string(file).context("read the trace")?))
    }

    /// What running processes and all that they start do while `work` runs.
    pub fn of_processes(pids: &[u32], file: &Path, work: impl FnOnce() -> Result<()>) -> Result<Self> {
        let mut strace = Process::new("strace");
        strace.args(["-f", "-s", "256", "-o", &text(file)?]);
        strace.args(pids.iter().flat_map(|pid| ["-p".to_owned(), pid.to_string()]));
        let mut strace =
            strace.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().context("start strace")?;
        let mut said = BufReader::new(strace.stderr.take().context("strace has no stderr")?);
        for _ in pids {
            let mut line = String::new();
            said.read_line(&mut line).context("wait for strace")?;
            ensure!(line.contains("attached"), "strace: {line}");
        }
        let done = work();
        let own = i32::try_from(strace.id()).context("strace's pid")?;
        kill(Pid::from_raw(own), Signal::SIGINT).context("end strace")?;
        strace.wait().context("wait for strace's end")?;
        done?;
        Ok(Self::read(&std::fs::read_to_string(file).context("read the trace")?))
    }

    /// Reads lines of the form `PID call(arguments) = result`.
    fn read(text: &str) -> Self {
        let mut trace = Self::default();
        for line in text.lines() {
            let Some((_, call)) = line.split_once(' ') else { continue };
            let Some((name, rest)) = call.trim_start().split_once('(') else { continue };
            if name.is_empty()
                || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            {
                continue;
            }
            trace.add(name, rest);
        }
        trace
    }

    fn add(&mut self, name: &str, rest: &str) {
        let path = &path(rest);
        let ours = ROOTS.iter().any(|root| path.starts_with(root))
            && !LOADER.iter().any(|own| path.starts_with(own));
        if matches!(name, "clone" | "clone3" | "fork" | "vfork") && !rest.contains("CLONE_THREAD") {
            self.processes += 1;
        }
        if self.files.is_empty() && !(ours && name.starts_with("open")) {
            return;
        }
        if ours && name.starts_with("open") {
            let mark = if rest.contains("O_DIRECTORY") { floor::FOLDER } else { "" };
            self.files.push(format!("{mark}{path}"));
        }
        if ours && name.starts_with("readlink") {
            self.links.push(format!("{}{path}", floor::LINK));
        }
        self.calls += 1;
        *self.counts.entry(name.to_owned()).or_default() += 1;
    }

    /// How often a call was made.
    pub fn times(&self, call: &str) -> usize {
        self.counts.get(call).copied().unwrap_or_default()
    }

    /// The calls that make up nearly all.
    pub fn most(&self) -> Vec<(&str, usize)> {
        let mut counts: Vec<(&str, usize)> =
            self.counts.iter().map(|(name, times)| (name.as_str(), *times)).collect();
        counts.sort_by_key(|(name, times)| (std::cmp::Reverse(*times), *name));
        counts.truncate(8);
        counts
    }
}

/// The path that a call names: below the folder that it is told to begin at, which strace shows behind the descriptor.
fn path(arguments: &str) -> String {
    let path = arguments.split('"').nth(1).unwrap_or_default();
    let at = arguments.split('"').next().and_then(|first| first.split_once('<')?.1.split_once('>'));
    match at {
        Some((folder, _)) if !path.is_empty() && !path.starts_with('/') => format!("{folder}/{path}"),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_count_from_the_first_file_on() {
        let trace = Trace::read(
            "7 execve(\"/x\", [\"x\"], 0x1) = 0\n\
             7 openat(AT_FDCWD, \"/etc/ld.so.cache\", O_RDONLY) = 3\n\
             7 openat(AT_FDCWD, \"/proc/self/maps\", O_RDONLY) = 3\n\
             7 openat(AT_FDCWD, \"/sys/bus/pci/devices\", O_RDONLY|O_DIRECTORY) = 3\n\
             7 getdents64(3, 0x2, 32768) = 40\n\
             7 close(3) = 0\n\
             7 readlinkat(4</proc/1/fd>, \"0\", \"/dev/null\", 9) = 9\n\
             7 readlink(\"/sys/bus/pci/devices/0000:00:00.0/driver\", \"x\", 9) = 1\n\
             7 openat(AT_FDCWD, \"/sys/bus/pci/devices/0000:00:00.0/numa\", O_RDONLY) = -1 ENOENT (No such file)\n\
             7 +++ exited with 0 +++\n",
        );
        assert_eq!((trace.calls, trace.processes), (6, 0));
        assert_eq!(trace.files, ["d/sys/bus/pci/devices", "/sys/bus/pci/devices/0000:00:00.0/numa"]);
        assert_eq!(trace.links, ["l/proc/1/fd/0", "l/sys/bus/pci/devices/0000:00:00.0/driver"]);
        assert_eq!(trace.most().first(), Some(&("openat", 2)));
    }

    #[test]
    fn processes_are_counted_and_threads_are_not() {
        let trace =
            Trace::read("7 clone(child_stack=NULL, flags=SIGCHLD) = 8\n7 clone3({flags=CLONE_THREAD}) = 9\n");
        assert_eq!(trace.processes, 1);
    }
}
