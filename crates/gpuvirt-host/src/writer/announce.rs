//! What a writer is writing, for others to see.
//!
//! A daemon that starts while an earlier one's write still waits in the kernel must keep its hands off that device.
//! The writer can't tell it: it is stuck. So it writes its request into a memory file before, and holds that open
//! meanwhile; the file shows among its descriptors and ends with the write, whatever ends it.

use std::fs::File;
use std::io::{self, Write};

use nix::sys::memfd::{MFdFlags, memfd_create};

use gpuvirt_model::PciAddress;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::request::LINE_LIMIT;
use super::write::BlockingWrite;
use crate::files::Files;
use crate::paths;
use crate::program::Processes;
use crate::sysfs::Sysfs;
use crate::vendor::ProgramCall;

/// The process's name (the kernel keeps 15 bytes) and the memory file's, and what the file's link shows.
pub(super) const NAME: &str = "gpuvirt-writer";
pub(crate) const LINK: &str = "/memfd:gpuvirt-writer (deleted)";

/// Longer than the limit of a request's line, so that a request can't be cut.
#[allow(clippy::cast_possible_truncation)] // 4096
const LIMIT: usize = LINE_LIMIT as usize;

/// What a writer is at: a write, or a program that it waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum BlockingAct {
    /// A write.
    Write(BlockingWrite),
    /// A program.
    Run(ProgramCall),
}

impl BlockingAct {
    /// The function whose lock it may hold; for a mediated device its parent, where the path names it.
    pub fn function(&self) -> Option<PciAddress> {
        match self {
            Self::Write(write) => write.function(),
            Self::Run(call) => call.function(),
        }
    }

    /// The mediated device that it makes or removes.
    pub fn mdev(&self) -> Option<Uuid> {
        match self {
            Self::Write(write) => write.mdev(),
            Self::Run(_) => None,
        }
    }

    /// The kernel file, or the program.
    pub fn path(&self) -> &str {
        match self {
            Self::Write(write) => write.path(),
            Self::Run(call) => call.program().as_str(),
        }
    }
}

/// Shows `request` for as long as the result lives.
pub(super) fn announce(request: &BlockingAct) -> io::Result<File> {
    let mut file = File::from(memfd_create(NAME, MFdFlags::MFD_CLOEXEC)?);
    file.write_all(&serde_json::to_vec(request)?)?;
    Ok(file)
}

/// A writer that is at work, or waits in the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingWriter {
    /// Its process; it must not be killed.
    pub pid: u32,
    /// What it is at.
    pub write: BlockingAct,
}

/// The writers that are at work on this host, whichever daemon started them.
///
/// The daemon can look into every process (CAP_SYS_PTRACE), an earlier daemon's writers among them, however privileged
/// they are: a process that it can't look into is no writer. Nor is one of another name: a writer that can't take its
/// name takes no request.
///
/// # Errors
/// When processes can't be listed.
pub fn waiting_writers(sysfs: &dyn Sysfs) -> io::Result<Vec<WaitingWriter>> {
    let files = Files::new(sysfs);
    let announced = |pid: u32| {
        // Only those that are named like one are looked into: descriptors of a whole host are many, and this is asked
        // again and again. Anybody may name a process and a memory file like this; only root's and our own are believed.
        let named = is_named(files, pid).unwrap_or(false);
        let write = named.then(|| announced(files, pid)).flatten()?;
        Some(WaitingWriter { pid, write })
    };
    // One that is in a write has its memory, killed or not: it ends when the kernel lets go of it.
    Ok(Processes::list(files)?.started().filter_map(announced).collect())
}

/// Whether no writer is at work on this host, as far as one can be there.
pub(crate) fn nobody_writes(sysfs: &dyn Sysfs) -> bool {
    match sysfs.other_writers() {
        Some(others) => nobody_among(others, Files::new(sysfs)),
        None => waiting_writers(sysfs).is_ok_and(|writers| writers.is_empty()),
    }
}

fn nobody_among(processes: &[u32], files: Files<'_>) -> bool {
    processes.iter().all(|pid| announced(files, *pid).is_none())
}

/// The processes that are named like a writer, at work or not.
///
/// # Errors
/// When processes can't be listed.
pub(crate) fn named(sysfs: &dyn Sysfs) -> io::Result<Vec<u32>> {
    let files = Files::new(sysfs);
    let mut named = Vec::new();
    for pid in Processes::list(files)?.started() {
        if is_named(files, pid)? && is_trusted(files, pid)? {
            named.push(pid);
        }
    }
    Ok(named)
}

/// Whether a process is named like a writer: each one names itself before it takes a request.
fn is_named(files: Files<'_>, pid: u32) -> io::Result<bool> {
    Ok(text(files, pid, "comm")?.trim_end() == NAME)
}

/// Whether it is root's or our own.
fn is_trusted(files: Files<'_>, pid: u32) -> io::Result<bool> {
    let own = nix::unistd::geteuid().as_raw();
    let status = text(files, pid, "status")?;
    let uids = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap_or_default();
    let trusted = |uid: &str| uid.parse().is_ok_and(|uid: u32| uid == 0 || uid == own);
    Ok(!uids.is_empty() && uids.split_whitespace().all(trusted))
}

/// What a file of a process says; nothing where there is no such process any more.
fn text(files: Files<'_>, pid: u32, name: &str) -> io::Result<String> {
    match files.text(&paths::process_file(pid, name)) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(e) if e.raw_os_error() == Some(nix::errno::Errno::ESRCH as i32) => Ok(String::new()),
        read => read,
    }
}

/// What a process announces, if it is to be believed. One that has ended meanwhile announces nothing.
fn announced(files: Files<'_>, pid: u32) -> Option<BlockingAct> {
    let links = files.sysfs.links(&paths::process_file(pid, "fd")).ok()?;
    links.iter().find_map(|(name, target)| {
        let is_ours = target.as_ref().is_ok_and(|target| target == LINK);
        is_ours.then(|| announced_in(files, pid, name)).flatten()
    })
}

/// What is announced in one descriptor, whose link is [`LINK`]. Anybody may name a memory file like this; only
/// root's and our own are believed.
pub(crate) fn announced_in(files: Files<'_>, pid: u32, fd: &str) -> Option<BlockingAct> {
    // First: what somebody else has there may be a file that never answers.
    if !is_trusted(files, pid).unwrap_or(false) {
        return None;
    }
    let request = files.sysfs.read(&paths::process_file(pid, &format!("fd/{fd}")), LIMIT).ok()?;
    serde_json::from_slice(&request).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::LinuxSysfs;

    #[test]
    fn of_those_that_are_known_one_that_announces_something_is_at_work() {
        let here = LinuxSysfs::this_machine();
        let (files, own) = (Files::new(&here), std::process::id());
        let unbind = "/sys/bus/pci/devices/0000:41:00.0/driver/unbind";
        let write = BlockingWrite::parse(unbind, b"0000:41:00.0").unwrap();
        let announcement = announce(&BlockingAct::Write(write)).unwrap();
        assert!(!nobody_among(&[own], files));
        assert!(nobody_among(&[], files));
        drop(announcement);
        // Another test of this process may announce something too, for a moment.
        while !nobody_among(&[own], files) {
            std::thread::yield_now();
        }
        assert!(nobody_among(&[u32::MAX], files), "it has ended");
    }
}
