//! One pass over all processes' descriptors and mappings.
//!
//! What a process has open is noted without knowing what is looked for, so that other threads are at it while the cards are
//! read: each takes about as long as the other.

use std::collections::BTreeMap;
use std::io;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, available_parallelism};

use gpuvirt_model::{PciAddress, Unknown, Via};

use super::mounts::{MountTables, Namespace};
use crate::files::Files;
use crate::parse::maps::{self, Mapping};
use crate::parse::pci;
use crate::paths;
use crate::program::Processes;
use crate::sysfs::DeviceNumber;
use crate::writer::{LINK, announced_in};

/// The largest process maps some ten thousand files.
const MAPS: usize = 32 << 20;

/// Threads that share one pass: each look into a process takes locks of that process alone.
const MOST_THREADS: usize = 4;
/// Fewer processes than this for each are not worth a thread.
const SHARE: usize = 32;

/// What processes have open, and what was hidden.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// By process; of each its descriptors before its mappings.
    pub(super) uses: Vec<Use>,
    pub(super) unseen: Option<Unknown>,
}

/// A process's way to a thing.
#[derive(Debug)]
pub(super) struct Use {
    pub(super) pid: u32,
    pub(super) thing: Thing,
    pub(super) via: Via,
}

/// What a process can have of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thing {
    /// The node with this number.
    Node(DeviceNumber),
    /// A write to this function that is under way: the process is a writer.
    Write(PciAddress),
}

impl Seen {
    /// What two threads found.
    fn with(mut self, other: Self) -> Self {
        self.uses.extend(other.uses);
        Self { unseen: self.unseen.or(other.unseen), ..self }
    }

    /// By process, whoever of the threads came first.
    fn in_order(mut self) -> Self {
        self.uses.sort_by_key(|each| each.pid);
        self
    }
}

/// Looks through every process that we may look into. Threads of their own begin with it while `work` is done on this one, which
/// helps them then.
pub(super) fn seen_while<T>(files: Files<'_>, work: impl FnOnce() -> T) -> (T, Seen) {
    let Ok(processes) = Processes::list(files) else {
        return (work(), Seen { unseen: Some(Unknown::NotRecorded), ..Seen::default() });
    };
    // Process 1 is always there; where it is not shown (hidepid), others are not either.
    let unseen = match processes.pids() {
        [] => Some(Unknown::NotRecorded),
        pids if pids.contains(&1) => None,
        _ => Some(Unknown::NeedsRoot),
    };
    let next = AtomicUsize::new(0);
    let share = || {
        let mut scan = Scan::new(files);
        while let Some(pid) = processes.pids().get(next.fetch_add(1, Ordering::Relaxed)) {
            scan.process(*pid, &processes);
        }
        scan.seen
    };
    let processors = available_parallelism().map_or(1, NonZero::get);
    let threads = processors.min(MOST_THREADS).min(processes.pids().len() / SHARE);
    let (worked, seen) = thread::scope(|scope| {
        let spawn = |_| thread::Builder::new().name("holders".to_owned()).spawn_scoped(scope, share);
        // Without a thread more, this one looks at everything.
        let others: Vec<_> = (1..threads).map_while(|n| spawn(n).ok()).collect();
        let worked = work();
        let joined = |seen: Seen, other: thread::ScopedJoinHandle<'_, Seen>| match other.join() {
            Ok(other) => seen.with(other),
            Err(panic) => std::panic::resume_unwind(panic),
        };
        (worked, others.into_iter().fold(share(), joined))
    });
    (worked, Seen { unseen, ..Seen::default() }.with(seen).in_order())
}

struct Scan<'a> {
    files: Files<'a>,
    mounts: MountTables,
    /// What files are that some process maps, by file system and inode: libraries are asked about once.
    mapped: BTreeMap<(u64, u64), Option<Thing>>,
    seen: Seen,
}

impl<'a> Scan<'a> {
    fn new(files: Files<'a>) -> Self {
        let (mounts, mapped, seen) = (MountTables::default(), BTreeMap::new(), Seen::default());
        Self { files, mounts, mapped, seen }
    }
}

impl Scan<'_> {
    /// The kernel's own threads, most of an idle host's processes, have neither descriptors nor memory: two looks tell that.
    fn process(&mut self, pid: u32, processes: &Processes<'_>) {
        let mut namespace = Namespace::of(pid);
        let open = self.files.sysfs.open_files(pid);
        let fds = match open {
            Some(0) => Ok(()),
            Some(_) | None => self.descriptors(pid, &mut namespace),
        };
        let has_files = open.is_some_and(|count| count > 0);
        let mappings = fds.and_then(|()| match has_files || processes.may_map(pid) {
            true => self.mappings(pid, &mut namespace),
            false => Ok(()),
        });
        match mappings {
            Err(e) if matches!(e.kind(), io::ErrorKind::PermissionDenied) => {
                self.seen.unseen = Some(Unknown::NeedsRoot);
            }
            // It ended while we looked.
            Ok(()) | Err(_) => {}
        }
    }

    fn descriptors(&mut self, pid: u32, namespace: &mut Namespace) -> io::Result<()> {
        // A link tells without asking the file what it is; sockets and pipes are no paths.
        for (name, target) in self.files.sysfs.links(&paths::process_file(pid, "fd"))? {
            let Some(fd) = pci::count(&name) else { continue };
            let path = match target {
                Ok(path) => path,
                // Listing the names takes less than looking behind them (ptrace access).
                Err(e) if e.kind() == io::ErrorKind::PermissionDenied => return Err(e),
                Err(_) => continue,
            };
            if path == LINK {
                self.writer(pid, fd);
                continue;
            }
            if !path.starts_with('/') || self.mounts.may_hang(self.files, namespace, &path) {
                continue;
            }
            let file = paths::process_file(pid, &format!("fd/{name}"));
            if let Ok(Some(number)) = self.files.sysfs.device_number(&file) {
                self.note(pid, Thing::Node(number), Via::Fd { fd, path });
            }
        }
        Ok(())
    }

    /// A writer whose write is under way has its device in hand: what sysfs shows of it is not to be trusted.
    fn writer(&mut self, pid: u32, fd: u32) {
        let Some(write) = announced_in(self.files, pid, &fd.to_string()) else { return };
        if let Some(function) = write.function() {
            self.note(pid, Thing::Write(function), Via::Fd { fd, path: write.path().to_owned() });
        }
    }

    /// Mappings of what the process may have no descriptor on any more.
    fn mappings(&mut self, pid: u32, namespace: &mut Namespace) -> io::Result<()> {
        let sysfs = self.files.sysfs;
        let mut known = String::new();
        sysfs.each_line(&paths::process_file(pid, "maps"), MAPS, &mut |line| match maps::line(line) {
            Some(line) if line.file != known => self.mapping(pid, namespace, line, &mut known),
            Some(_) | None => Ok(()),
        })
    }

    /// One of them. `known`: what tells the file that was understood last.
    fn mapping(
        &mut self,
        pid: u32,
        namespace: &mut Namespace,
        line: maps::Line<'_>,
        known: &mut String,
    ) -> io::Result<()> {
        let Some(mapping) = line.mapping() else { return Ok(()) };
        let key = (mapping.file_system, mapping.inode);
        if !self.mapped.contains_key(&key) {
            let Some(thing) = self.mapped_thing(pid, namespace, mapping)? else { return Ok(()) };
            self.mapped.insert(key, thing);
        }
        line.file.clone_into(known);
        if let Some(thing) = self.mapped.get(&key).copied().flatten() {
            self.note(pid, thing, Via::Mapping { path: mapping.path.to_owned() });
        }
        Ok(())
    }

    /// What a mapped file is, none inside for a plain one; none where it can't be told, and another process may tell.
    fn mapped_thing(
        &mut self,
        pid: u32,
        namespace: &mut Namespace,
        mapping: Mapping<'_>,
    ) -> io::Result<Option<Option<Thing>>> {
        if self.mounts.may_hang(self.files, namespace, mapping.path) {
            return Ok(None);
        }
        let file = paths::process_file(pid, &format!("map_files/{}", mapping.range));
        match self.files.sysfs.device_number(&file) {
            Ok(number) => Ok(Some(number.map(Thing::Node))),
            // Following these links takes CAP_CHECKPOINT_RESTORE: without it devices may be missed.
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => Err(e),
            // Unmapped meanwhile: another process may still map the same file.
            Err(_) => Ok(None),
        }
    }

    fn note(&mut self, pid: u32, thing: Thing, via: Via) {
        self.seen.uses.push(Use { pid, thing, via });
    }
}
