//! Processes, and whether they have a program: most of an idle host's are the kernel's own threads, which have no memory of
//! their own, and so no mappings and no writer's work.

use std::io;

use crate::files::Files;
use crate::parse::pci;
use crate::paths;

/// A process of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    /// Whether it may have memory of its own.
    pub(crate) may_map: bool,
}

/// All processes.
///
/// `/proc/PID/exe` leads nowhere where there is no memory (fs/proc/base.c, `proc_exe_link`): of a kernel thread, and of a
/// process that is ending. The latter has its descriptors for as long as its memory takes to be freed
/// (kernel/exit.c, `exit_mm` before `exit_files`), so that this tells nothing about them. Where not even process 1
/// shows its program, to somebody who may not look or in a recording, it tells nothing at all.
///
/// # Errors
/// When processes can't be listed.
pub(crate) fn processes(files: Files<'_>) -> io::Result<Vec<Process>> {
    let program = |pid: u32| files.sysfs.read_link(&paths::process_file(pid, "exe"));
    let tells = program(1).is_ok();
    let has_none = |pid| program(pid).is_err_and(|e| e.kind() == io::ErrorKind::NotFound);
    let pids: Vec<u32> = files.sysfs.list(paths::PROC)?.iter().filter_map(|name| pci::count(name)).collect();
    Ok(pids.into_iter().map(|pid| Process { pid, may_map: !(tells && has_none(pid)) }).collect())
}
