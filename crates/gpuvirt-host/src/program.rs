//! Processes, and whether they have a program: most of an idle host's are the kernel's own threads, which have no memory of
//! their own, and so no mappings and no writer's work.

use std::collections::BTreeSet;
use std::io;

use crate::files::Files;
use crate::parse::pci;
use crate::paths;

/// The first of the kernel's own threads, which all others are children of (init/main.c, `rest_init`).
const KTHREADD: u32 = 2;

/// More than the numbers of all threads that a kernel has, some for each processor.
const CHILDREN: usize = 1 << 20;

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

    /// Those that may have been started by a process: all but the kernel's threads and what the kernel starts. Where it does not
    /// tell which those are, they are known by having no memory of their own.
    pub(crate) fn started(&self) -> impl Iterator<Item = u32> {
        let of_kernel = self.of_kernel();
        let told = !of_kernel.is_empty();
        let may_be = move |pid: u32| if told { !of_kernel.contains(&pid) } else { self.may_map(pid) };
        self.pids.iter().copied().filter(move |pid| may_be(*pid))
    }

    /// The kernel's threads and the programs that it starts (kernel/umh.c): a large host has thousands, and one file names them
    /// (Documentation/filesystems/proc.rst, `children`). None of them where it is not there (CONFIG_PROC_CHILDREN), or where process 2
    /// is somebody's, as in a namespace of processes.
    ///
    /// It is read after the list: whoever got a number since that was of one listed is no process that was listed.
    fn of_kernel(&self) -> BTreeSet<u32> {
        if !self.tells || self.may_map(KTHREADD) {
            return BTreeSet::new();
        }
        let path = paths::process_file(KTHREADD, "task/2/children");
        let children = self.files.long_text(&path, CHILDREN).unwrap_or_default();
        // A space follows each (fs/proc/array.c, `children_seq_show`): what has none was cut, and would be somebody else's number.
        let mut of_kernel: BTreeSet<u32> = children
            .split_inclusive(' ')
            .filter_map(|number| pci::count(number.strip_suffix(' ')?))
            .collect();
        if !of_kernel.is_empty() {
            of_kernel.insert(KTHREADD);
        }
        of_kernel
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::linux::LinuxSysfs;

    /// What is found where these processes show a program, and 2 has these children.
    fn started(with: &[u32], children: &str) -> Vec<u32> {
        let dir = tempfile::tempdir().unwrap();
        let proc = dir.path().join("proc");
        for pid in [1, 2, 3, 7, 8, 9] {
            fs::create_dir_all(proc.join(format!("{pid}/task/{pid}"))).unwrap();
        }
        fs::File::create(proc.join("2/task/2/children")).unwrap().write_all(children.as_bytes()).unwrap();
        for pid in with {
            symlink("/usr/sbin/x", proc.join(format!("{pid}/exe"))).unwrap();
        }
        let sysfs = LinuxSysfs::below(dir.path().to_str().unwrap());
        Processes::list(Files::new(&sysfs)).unwrap().started().collect()
    }

    #[test]
    fn the_kernels_own_are_told_by_one_file() {
        let of_kernel = "8 is a program that the kernel started, 7 one that is ending";
        assert_eq!(started(&[1, 8, 9], "3 8 "), [1, 7, 9], "{of_kernel}");
    }

    #[test]
    fn of_many_pages_all_are_read_and_a_number_that_was_cut_is_nobodys() {
        let many = format!("3 {}8 ", "100000 ".repeat(2000));
        assert_eq!(started(&[1, 8, 9], &many), [1, 7, 9]);
        assert_eq!(started(&[1, 8, 9], "3 8"), [1, 7, 8, 9], "it may have been 80");
    }

    #[test]
    fn process_2_of_a_namespace_is_no_kernel_thread_and_its_children_are_looked_at() {
        assert_eq!(started(&[1, 2, 8, 9], "3 8 "), [1, 2, 8, 9]);
    }

    #[test]
    fn where_programs_are_not_shown_everything_may_be_one() {
        assert_eq!(started(&[], "3 8 "), [1, 2, 3, 7, 8, 9]);
    }
}
