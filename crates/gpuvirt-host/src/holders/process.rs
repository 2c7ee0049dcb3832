//! One pass over all processes' descriptors and mappings.

use std::collections::BTreeMap;
use std::io;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, available_parallelism};

use gpuvirt_model::{Holder, Unknown, Via};

use super::mounts::{MountTables, Namespace};
use super::targets::{Target, Targets};
use crate::files::Files;
use crate::parse::container::container;
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

/// What was found, and what was hidden.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) holders: BTreeMap<Target, Vec<Holder>>,
    pub(super) unseen: Option<Unknown>,
}

impl Found {
    /// What two threads found.
    fn with(mut self, other: Self) -> Self {
        for (target, holders) in other.holders {
            self.holders.entry(target).or_default().extend(holders);
        }
        Self { unseen: self.unseen.or(other.unseen), ..self }
    }

    /// Processes by number, whoever of the threads came first.
    fn in_order(mut self) -> Self {
        for holders in self.holders.values_mut() {
            holders.sort_by_key(|holder| if let Holder::Process { pid, .. } = holder { *pid } else { 0 });
        }
        self
    }
}

/// Looks through every process that we may look into.
pub(super) fn scan(files: Files<'_>, targets: &Targets) -> Found {
    if targets.is_empty() {
        return Found::default();
    }
    let Ok(processes) = Processes::list(files) else {
        return Found { unseen: Some(Unknown::NotRecorded), ..Found::default() };
    };
    // Process 1 is always there; where it is not shown (hidepid), others are not either.
    let unseen = match processes.pids() {
        [] => Some(Unknown::NotRecorded),
        pids if pids.contains(&1) => None,
        _ => Some(Unknown::NeedsRoot),
    };
    let next = AtomicUsize::new(0);
    let share = || {
        let mut scan = Scan::new(files, targets);
        while let Some(pid) = processes.pids().get(next.fetch_add(1, Ordering::Relaxed)) {
            scan.process(*pid, &processes);
        }
        scan.found
    };
    let processors = available_parallelism().map_or(1, NonZero::get);
    let threads = processors.min(MOST_THREADS).min(processes.pids().len() / SHARE);
    let found = thread::scope(|scope| {
        let spawn = |_| thread::Builder::new().name("holders".to_owned()).spawn_scoped(scope, share);
        // Without a thread more, this one looks at everything.
        let others: Vec<_> = (1..threads).map_while(|n| spawn(n).ok()).collect();
        let joined = |found: Found, other: thread::ScopedJoinHandle<'_, Found>| match other.join() {
            Ok(other) => found.with(other),
            Err(panic) => std::panic::resume_unwind(panic),
        };
        others.into_iter().fold(share(), joined)
    });
    Found { unseen, ..Found::default() }.with(found).in_order()
}

struct Scan<'a> {
    files: Files<'a>,
    targets: &'a Targets,
    mounts: MountTables,
    /// What files that some process maps belong to, by file system and inode: libraries are asked about once.
    mapped: BTreeMap<(u64, u64), Vec<Target>>,
    found: Found,
}

impl<'a> Scan<'a> {
    fn new(files: Files<'a>, targets: &'a Targets) -> Self {
        let (mounts, mapped, found) = (MountTables::default(), BTreeMap::new(), Found::default());
        Self { files, targets, mounts, mapped, found }
    }
}

/// How one process holds things, one way for each thing and path.
type Ways = BTreeMap<Target, Vec<Via>>;

impl Scan<'_> {
    /// The kernel's own threads, most of an idle host's processes, have neither descriptors nor memory: two looks tell that.
    fn process(&mut self, pid: u32, processes: &Processes<'_>) {
        let mut ways = Ways::new();
        let mut namespace = Namespace::of(pid);
        let open = self.files.sysfs.open_files(pid);
        let fds = match open {
            Some(0) => Ok(()),
            Some(_) | None => self.descriptors(pid, &mut namespace, &mut ways),
        };
        let has_files = open.is_some_and(|count| count > 0);
        let mappings = fds.and_then(|()| match has_files || processes.may_map(pid) {
            true => self.mappings(pid, &mut namespace, &mut ways),
            false => Ok(()),
        });
        match mappings {
            Err(e) if matches!(e.kind(), io::ErrorKind::PermissionDenied) => {
                self.found.unseen = Some(Unknown::NeedsRoot);
            }
            // It ended while we looked.
            Ok(()) | Err(_) => {}
        }
        if !ways.is_empty() {
            self.record(pid, ways);
        }
    }

    fn descriptors(&mut self, pid: u32, namespace: &mut Namespace, ways: &mut Ways) -> io::Result<()> {
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
                self.writer(pid, fd, ways);
                continue;
            }
            if !path.starts_with('/') || self.mounts.may_hang(self.files, namespace, &path) {
                continue;
            }
            let file = || paths::process_file(pid, &format!("fd/{name}"));
            let number = || self.files.sysfs.device_number(&file()).ok().flatten();
            for target in held(self.targets, &path, number) {
                let via = ways.entry(target).or_default();
                if !via.iter().any(|known| matches!(known, Via::Fd { path: p, .. } if *p == path)) {
                    via.push(Via::Fd { fd, path: path.clone() });
                }
            }
        }
        Ok(())
    }

    /// A writer whose write is under way has its device in hand: what sysfs shows of it is not to be trusted.
    fn writer(&mut self, pid: u32, fd: u32, ways: &mut Ways) {
        let Some(write) = announced_in(self.files, pid, &fd.to_string()) else { return };
        if let Some(target) = write.function().and_then(|function| self.targets.by_function(function)) {
            ways.entry(target).or_default().push(Via::Fd { fd, path: write.path().to_owned() });
        }
    }

    /// Mappings of what the process has no descriptor on any more.
    fn mappings(&mut self, pid: u32, namespace: &mut Namespace, ways: &mut Ways) -> io::Result<()> {
        let text = self.files.long_text(&paths::process_file(pid, "maps"), MAPS)?;
        let mut known = "";
        for line in maps::lines(&text) {
            if line.file == known {
                continue;
            }
            let Some(mapping) = line.mapping() else { continue };
            let key = (mapping.file_system, mapping.inode);
            if !self.mapped.contains_key(&key) {
                let Some(targets) = self.mapped_targets(pid, namespace, mapping)? else { continue };
                self.mapped.insert(key, targets);
            }
            known = line.file;
            for target in self.mapped.get(&key).into_iter().flatten() {
                ways.entry(*target).or_insert_with(|| vec![Via::Mapping { path: mapping.path.to_owned() }]);
            }
        }
        Ok(())
    }

    /// What a mapped file belongs to; none where it can't be told, and another process may tell.
    fn mapped_targets(
        &mut self,
        pid: u32,
        namespace: &mut Namespace,
        mapping: Mapping<'_>,
    ) -> io::Result<Option<Vec<Target>>> {
        if let Some(target) = self.targets.by_resource(mapping.path) {
            return Ok(Some(vec![target]));
        }
        if self.mounts.may_hang(self.files, namespace, mapping.path) {
            return Ok(None);
        }
        let file = paths::process_file(pid, &format!("map_files/{}", mapping.range));
        match self.files.sysfs.device_number(&file) {
            Ok(number) => {
                Ok(Some(number.into_iter().flat_map(|number| self.targets.by_number(number)).collect()))
            }
            // Following these links takes CAP_CHECKPOINT_RESTORE: without it devices may be missed.
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => Err(e),
            // Unmapped meanwhile: another process may still map the same file.
            Err(_) => Ok(None),
        }
    }

    fn record(&mut self, pid: u32, ways: Ways) {
        let text = |name: &str| self.files.text(&paths::process_file(pid, name)).unwrap_or_default();
        let command = text("comm").trim_end().to_owned();
        let container = container(&text("cgroup"));
        for (target, via) in ways {
            let holder =
                |via| Holder::Process { pid, command: command.clone(), via, container: container.clone() };
            self.found.holders.entry(target).or_default().extend(via.into_iter().map(holder));
        }
    }
}

/// What a file of a process belongs to: by its path below sysfs, or by the device that it is.
fn held(targets: &Targets, path: &str, number: impl FnOnce() -> Option<DeviceNumber>) -> Vec<Target> {
    match targets.by_resource(path) {
        Some(target) => vec![target],
        None => number().into_iter().flat_map(|number| targets.by_number(number)).collect(),
    }
}
