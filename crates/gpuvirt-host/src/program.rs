//! Processes with a program behind them. Most of an idle host's processes are the kernel's own threads, which have neither
//! descriptors nor mappings: one look at each is enough, where a pass over all would take ten.

use std::io;

use crate::files::Files;
use crate::parse::pci;
use crate::paths;

/// The processes that can hold anything.
///
/// `/proc/PID/exe` leads nowhere for a kernel thread (fs/proc/base.c, `proc_exe_link`: no memory of its own, no file of a
/// program), as for a process that has ended and was not waited for. Where not even process 1 shows its program, to somebody
/// who may not look or in a recording, that tells nothing, and no process is left out.
///
/// # Errors
/// When processes can't be listed.
pub(crate) fn processes(files: Files<'_>) -> io::Result<Vec<u32>> {
    let program = |pid: u32| files.sysfs.read_link(&paths::process_file(pid, "exe"));
    let mut pids: Vec<u32> =
        files.sysfs.list(paths::PROC)?.iter().filter_map(|name| pci::count(name)).collect();
    if program(1).is_ok() {
        pids.retain(|pid| !program(*pid).is_err_and(|e| e.kind() == io::ErrorKind::NotFound));
    }
    Ok(pids)
}
