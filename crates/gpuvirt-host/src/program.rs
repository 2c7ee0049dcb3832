//! Processes, and whether they have a program: most of an idle host's are the kernel's own threads, which have no memory of
//! their own, and so no mappings and no writer's work.

use std::io;

use crate::files::Files;
use crate::parse::pci;
use crate::paths;

/// The processes of a host.
pub(crate) struct Processes<'a> {
    files: Files<'a>,
    pids: Vec<u32>,
    /// Whether a process that shows no program has none.
    tells: bool,
}

impl<'a> Processes<'a> {
    /// Lists them.
    ///
    /// # Errors
    /// When processes can't be listed.
    pub(crate) fn list(files: Files<'a>) -> io::Result<Self> {
        let pids = files.sysfs.list(paths::PROC)?.iter().filter_map(|name| pci::count(name)).collect();
        Ok(Self { files, pids, tells: program(files, 1).is_ok() })
    }

    /// Their numbers.
    pub(crate) fn pids(&self) -> &[u32] {
        &self.pids
    }

    /// Whether a process may have memory of its own.
    ///
    /// `/proc/PID/exe` leads nowhere where there is no memory (fs/proc/base.c, `proc_exe_link`): of a kernel thread, and of a
    /// process that is ending. The latter has its descriptors for as long as its memory takes to be freed
    /// (kernel/exit.c, `exit_mm` before `exit_files`), so that this tells nothing about them. Where not even process 1
    /// shows its program, to somebody who may not look or in a recording, it tells nothing at all.
    pub(crate) fn may_map(&self, pid: u32) -> bool {
        !(self.tells && program(self.files, pid).is_err_and(|e| e.kind() == io::ErrorKind::NotFound))
    }
}

fn program(files: Files<'_>, pid: u32) -> io::Result<String> {
    files.sysfs.read_link(&paths::process_file(pid, "exe"))
}
