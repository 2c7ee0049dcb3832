//! What a running process holds and how often it wakes, as the kernel counts it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command as Process, Stdio};

use anyhow::{Context, Result, ensure};

/// What a process holds, in KiB, of `/proc/PID/smaps_rollup` and `status` (proc(5)).
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory {
    /// All resident pages.
    pub rss: u64,
    /// Pages that nobody else has.
    pub private: u64,
    /// Of those, the ones that no file backs: heap, stacks, relocated data. Only these can't be dropped and read again.
    pub anonymous: u64,
}

/// Voluntary switches of each thread so far: a thread that waits makes one more each time it was woken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Switches(BTreeMap<u32, (String, u64)>);

impl Memory {
    /// Of a process that runs.
    pub fn of(pid: u32) -> Result<Self> {
        let path = format!("/proc/{pid}/smaps_rollup");
        let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        Self::read(&text).with_context(|| format!("{path} lacks a line"))
    }

    fn read(text: &str) -> Option<Self> {
        let field = |name| number(text, name);
        Some(Self {
            rss: field("Rss:")?,
            private: field("Private_Clean:")? + field("Private_Dirty:")?,
            anonymous: field("Anonymous:")?,
        })
    }
}

impl Switches {
    /// Of a process that runs.
    pub fn of(pid: u32) -> Result<Self> {
        let path = format!("/proc/{pid}/task");
        let mut threads = BTreeMap::new();
        for entry in fs::read_dir(&path).with_context(|| format!("list {path}"))? {
            let entry = entry?;
            // A thread may end between the listing and the look.
            let Ok(text) = fs::read_to_string(entry.path().join("status")) else { continue };
            let name = text.lines().find_map(|line| line.strip_prefix("Name:")).unwrap_or_default().trim();
            let switches = number(&text, "voluntary_ctxt_switches:").context("a thread has no switches")?;
            let id = entry.file_name().to_string_lossy().parse().context("a thread has a number")?;
            threads.insert(id, (name.to_owned(), switches));
        }
        ensure!(!threads.is_empty(), "{path} is empty");
        Ok(Self(threads))
    }

    /// How many threads there are.
    pub fn threads(&self) -> usize {
        self.0.len()
    }

    /// Whether a thread has this name.
    pub fn has(&self, name: &str) -> bool {
        self.0.values().any(|(thread, _)| thread == name)
    }

    /// How often threads woke since `earlier`, by their names. A thread that came or went woke, whatever it did.
    pub fn since(&self, earlier: &Self) -> BTreeMap<String, u64> {
        let mut woke: BTreeMap<String, u64> = BTreeMap::new();
        for (id, (name, now)) in &self.0 {
            let more = earlier.0.get(id).map_or(*now + 1, |(_, then)| now.saturating_sub(*then));
            *woke.entry(name.clone()).or_default() += more;
        }
        for (_, (name, _)) in earlier.0.iter().filter(|(id, _)| !self.0.contains_key(id)) {
            *woke.entry(name.clone()).or_default() += 1;
        }
        woke.retain(|_, times| *times > 0);
        woke
    }
}

fn number(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The processes that a process started and that still run.
pub fn children(pid: u32) -> Result<Vec<u32>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/task")).context("list threads")? {
        let path = entry?.path().join("children");
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        all.extend(text.split_whitespace().filter_map(|word| word.parse::<u32>().ok()));
    }
    Ok(all)
}

/// The processes of this name.
pub fn named(name: &str) -> Result<Vec<u32>> {
    let mut all = Vec::new();
    for entry in fs::read_dir("/proc").context("list processes")? {
        let Ok(pid) = entry?.file_name().to_string_lossy().parse::<u32>() else { continue };
        // It may have ended since.
        let found = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        all.extend((found.trim_end() == name).then_some(pid));
    }
    Ok(all)
}

/// The daemon that systemd runs.
pub fn daemon() -> Result<u32> {
    let said = must("systemctl", &["show", "-P", "MainPID", "gpuvirtd"])?;
    let pid = said.trim().parse().context("the daemon's pid")?;
    ensure!(pid != 0 && Path::new(&format!("/proc/{pid}")).exists(), "gpuvirtd does not run");
    Ok(pid)
}

/// Runs a program that must succeed; what it printed.
pub fn must(program: &str, args: &[&str]) -> Result<String> {
    let mut process = Process::new(program);
    let out = process.args(args).stdin(Stdio::null()).output().with_context(|| format!("start {program}"))?;
    ensure!(out.status.success(), "{program} {}: {}", args.join(" "), String::from_utf8_lossy(&out.stderr));
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn switches(threads: &[(u32, &str, u64)]) -> Switches {
        Switches(threads.iter().map(|(id, name, times)| (*id, ((*name).to_owned(), *times))).collect())
    }

    #[test]
    fn memory_is_read_from_the_rollup() {
        let text = "55-7f ---p 00000000 00:00 0 [rollup]\nRss:      900 kB\nPrivate_Clean:   100 kB\n\
                    Private_Dirty:   20 kB\nAnonymous:        15 kB\n";
        let memory = Memory::read(text).unwrap();
        assert_eq!((memory.rss, memory.private, memory.anonymous), (900, 120, 15));
        assert!(Memory::read("Rss: 1 kB\n").is_none());
    }

    #[test]
    fn this_process_has_threads_and_memory() {
        let own = std::process::id();
        assert!(Switches::of(own).unwrap().threads() > 0);
        assert!(Memory::of(own).unwrap().rss > 0);
    }

    #[test]
    fn threads_that_slept_are_left_out_and_those_that_came_or_went_are_not() {
        let before = switches(&[(1, "main", 5), (2, "libvirt", 3), (3, "gone", 9)]);
        let after = switches(&[(1, "main", 5), (2, "libvirt", 15), (4, "new", 0)]);
        let woke: Vec<(String, u64)> = after.since(&before).into_iter().collect();
        let expected = [("gone", 1), ("libvirt", 12), ("new", 1)];
        assert_eq!(woke, expected.map(|(name, times)| (name.to_owned(), times)));
        assert!(after.since(&after).is_empty());
    }
}
