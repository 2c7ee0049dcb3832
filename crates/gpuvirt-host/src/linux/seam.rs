//! The real kernel behind the seam: files below a root, `/` for this machine and a folder for tests.
//!
//! No decision is made here.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::BorrowedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use super::read::{self, NO_WAIT};
use super::root::{self, Last};
use crate::modprobe;
use crate::paths;
use crate::sysfs::{BegunRead, DeviceNumber, LongFile, OpenFolder, ReadError, Sysfs, WriteError};
use crate::vendor::{ProgramCall, ProgramEnd, ProgramError};
use crate::writer::{self, BlockingRead, BlockingWrite, ModuleName, Others, WriterOrigin, Writers};

/// Longest wait for a write that the kernel answers at once, on a machine however busy.
const ANSWERED_AT_ONCE: Duration = Duration::from_secs(30);

/// Longest wait for a module: longer than the writer's own for modprobe.
const LOAD_DEADLINE: Duration = modprobe::LOAD_DEADLINE.saturating_add(Duration::from_secs(5));

/// The kernel's file trees below one root.
#[derive(Debug)]
pub struct LinuxSysfs {
    /// Put in front of every path; empty for this machine.
    root: String,
    /// Links lead nowhere but below the root.
    confined: bool,
    /// Carries out every write, and the reads that can block; none in a program that only reads, which then waits itself.
    writers: Option<Writers>,
    /// Those that an earlier program started.
    others: Others,
    /// Whether the size of `/proc/PID/fd` is the number of open files.
    fd_size_counts: OnceLock<bool>,
}

impl LinuxSysfs {
    /// This machine, for reading and for writes that the kernel answers at once.
    pub fn this_machine() -> Self {
        Self {
            root: String::new(),
            confined: false,
            writers: None,
            others: Others::new(),
            fd_size_counts: OnceLock::new(),
        }
    }

    /// A tree of plain files below `root`, for tests. Its links may lead to this machine's files.
    pub fn below(root: &str) -> Self {
        Self { root: root.trim_end_matches('/').to_owned(), ..Self::this_machine() }
    }

    /// A copy of another machine's files below `root`, or this machine's where that is `/`. Links of a copy lead to its own files.
    pub fn copied_to(root: &str) -> Self {
        Self { confined: true, ..Self::below(root) }
    }

    /// The same files, with writers that carry out every write and load modules.
    #[must_use]
    pub fn with_writer(self, writers: impl Into<WriterOrigin>) -> Self {
        Self { writers: Some(Writers::new(writers.into())), ..self }
    }

    /// Who writes, and what, where it is among the writes that writers make.
    fn to_write(&self, path: &str, data: &[u8]) -> Result<(&Writers, BlockingWrite), WriteError> {
        let write = BlockingWrite::parse(path, data).map_err(|e| WriteError::Writer(io::Error::other(e)))?;
        let writers = self.writers.as_ref().ok_or_else(|| {
            WriteError::Writer(io::Error::new(
                io::ErrorKind::Unsupported,
                "this program has no writer process for writes that can block",
            ))
        })?;
        Ok((writers, write))
    }

    /// The file behind a path of the kernel.
    fn file(&self, path: &str) -> io::Result<PathBuf> {
        self.found(path, Last::Followed)
    }

    /// The same, or the link that is there.
    fn entry(&self, path: &str) -> io::Result<PathBuf> {
        self.found(path, Last::Itself)
    }

    fn found(&self, path: &str, last: Last) -> io::Result<PathBuf> {
        if !is_plain(path) {
            let what = format!("{path:?} is no plain absolute path");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        if self.confined && !self.root.is_empty() {
            return root::inside(&self.root, path, last);
        }
        Ok(PathBuf::from([self.root.as_str(), path].concat()))
    }

    fn open(&self, path: &str) -> io::Result<File> {
        OpenOptions::new().read(true).custom_flags(NO_WAIT).open(self.file(path)?)
    }
}

impl Sysfs for LinuxSysfs {
    fn read(&self, path: &str, limit: usize) -> io::Result<Vec<u8>> {
        read::whole(self.open(path)?, path, limit)
    }

    fn each_line(
        &self,
        path: &str,
        limit: usize,
        line: &mut dyn FnMut(&str) -> io::Result<()>,
    ) -> io::Result<()> {
        read::each_line(self.open(path)?, limit, line)
    }

    fn long_file(&self, path: &str, limit: usize) -> io::Result<Box<dyn LongFile>> {
        Ok(Box::new(read::OnDisk::new(self.open(path)?, limit)?))
    }

    fn read_that_may_block(
        &self,
        path: &str,
        limit: usize,
        deadline: Duration,
    ) -> Result<Vec<u8>, ReadError> {
        self.begin_read_that_may_block(path, limit, deadline)()
    }

    fn begin_read_that_may_block(&self, path: &str, limit: usize, deadline: Duration) -> BegunRead<'_> {
        let Some(writers) = &self.writers else {
            let read = self.read(path, limit).map_err(ReadError::Errno);
            return Box::new(|| read);
        };
        let begun = BlockingRead::parse(path)
            .map_err(|e| ReadError::Reader(io::Error::other(e)))
            .and_then(|read| writers.begin_read(&read, deadline));
        Box::new(move || {
            let mut content = begun?.content()?;
            content.truncate(limit);
            Ok(content)
        })
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let (_, names) = read::folder(&self.file(path)?)?;
        Ok(names)
    }

    fn read_link(&self, path: &str) -> io::Result<String> {
        read::link_target(std::fs::read_link(self.entry(path)?)?.into_os_string())
    }

    fn links(&self, path: &str) -> io::Result<Vec<(String, io::Result<String>)>> {
        let (folder, names) = read::folder(&self.file(path)?)?;
        let with_target = |name: String| {
            let target = read::link_in(&folder, &name);
            (name, target)
        };
        Ok(names.into_iter().map(with_target).collect())
    }

    fn open_folder(&self, path: &str) -> io::Result<OpenFolder> {
        let (folder, names) = read::folder(&self.file(path)?)?;
        Ok(OpenFolder::at(path, names, folder))
    }

    fn read_in(&self, folder: &OpenFolder, name: &str, limit: usize) -> io::Result<Vec<u8>> {
        match inside(folder, name) {
            Some(at) => read::whole(read::open_in(at, name)?, folder.prefix(), limit),
            None => self.read(&folder.path(name), limit),
        }
    }

    fn read_link_in(&self, folder: &OpenFolder, name: &str) -> io::Result<String> {
        match inside(folder, name) {
            Some(at) => read::link_in(at, name),
            None => self.read_link(&folder.path(name)),
        }
    }

    /// The size of `/proc/PID/fd` is the number of open files since Linux 6.2 (fs/proc/fd.c, `proc_fd_getattr`), and 0 before:
    /// our own, with this folder open, tells which. Elsewhere than in the kernel's own tree a folder's size is anything.
    fn open_files(&self, pid: u32) -> Option<u64> {
        let counts = || {
            let own = File::open(paths::OWN_FILES).and_then(|folder| folder.metadata());
            self.root.is_empty() && own.is_ok_and(|own| own.len() > 0)
        };
        let counts = *self.fd_size_counts.get_or_init(counts);
        counts.then(|| std::fs::metadata(paths::process_file(pid, "fd")).ok().map(|folder| folder.len()))?
    }

    fn exists(&self, path: &str) -> bool {
        self.entry(path).is_ok_and(|file| file.symlink_metadata().is_ok())
    }

    fn mode(&self, path: &str) -> io::Result<u32> {
        Ok(std::fs::metadata(self.file(path)?)?.mode() & 0o7777)
    }

    fn knows_absence(&self, _path: &str) -> bool {
        true
    }

    fn device_number(&self, path: &str) -> io::Result<Option<DeviceNumber>> {
        let meta = std::fs::metadata(self.file(path)?)?;
        Ok(meta.file_type().is_char_device().then(|| DeviceNumber {
            major: nix::sys::stat::major(meta.rdev()),
            minor: nix::sys::stat::minor(meta.rdev()),
        }))
    }

    fn write(&self, path: &str, data: &[u8]) -> io::Result<()> {
        if self.writers.is_none() {
            return write_once(&self.file(path)?, data);
        }
        self.write_that_may_block(path, data, ANSWERED_AT_ONCE).map_err(|error| match error {
            WriteError::Errno(errno) => errno,
            WriteError::Writer(failed) => failed,
            WriteError::StillWaiting { .. } => io::Error::new(io::ErrorKind::TimedOut, error.to_string()),
        })
    }

    fn write_that_may_block(&self, path: &str, data: &[u8], deadline: Duration) -> Result<(), WriteError> {
        let (writers, write) = self.to_write(path, data)?;
        writers.write(&write, deadline)
    }

    fn set(
        &self,
        path: &str,
        data: &[u8],
        shown: &[&str],
        deadline: Duration,
    ) -> Result<Vec<u8>, WriteError> {
        let (writers, write) = self.to_write(path, data)?;
        writers.set(&write, shown, deadline)
    }

    fn run(&self, call: &ProgramCall, deadline: Duration) -> Result<ProgramEnd, ProgramError> {
        let writers = self.writers.as_ref().ok_or_else(|| {
            ProgramError::Writer(io::Error::new(
                io::ErrorKind::Unsupported,
                "this program has no writer process to run programs in",
            ))
        })?;
        writers.run(call, deadline)
    }

    fn writers(&self) -> io::Result<()> {
        self.writers.as_ref().map_or(Ok(()), Writers::to_be_had)
    }

    fn other_writers(&self) -> Option<&[u32]> {
        self.others.known(self.writers.as_ref()?, || writer::named(self))
    }

    fn load_module(&self, name: &str) -> io::Result<()> {
        if let Some(writers) = &self.writers {
            return writers.load(&ModuleName::parse(name).map_err(io::Error::other)?, LOAD_DEADLINE);
        }
        if self.root.is_empty() {
            return modprobe::load(name);
        }
        Err(io::Error::new(io::ErrorKind::Unsupported, "a folder's tree has no kernel to load modules into"))
    }
}

/// The open folder, where a name leads to nothing but what is in it.
fn inside<'a>(folder: &'a OpenFolder, name: &str) -> Option<BorrowedFd<'a>> {
    folder.descriptor().filter(|_| !name.starts_with('/') && !leads_elsewhere(name))
}

/// An absolute path without anything that leads elsewhere than it says.
fn is_plain(path: &str) -> bool {
    path.starts_with('/') && !leads_elsewhere(path)
}

/// Whether a part of it is no name. Most names have no part that begins with a dot, which is quickly seen.
fn leads_elsewhere(path: &str) -> bool {
    let dotted = path.starts_with('.') || path.contains("/.");
    path.as_bytes().contains(&0) || dotted && path.split('/').any(|part| part == ".." || part == ".")
}

/// Opens for writing and writes once: the kernel takes one `write(2)` as one request.
pub(crate) fn write_once(file: &std::path::Path, data: &[u8]) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).open(file)?;
    let written = file.write(data)?;
    if written == data.len() {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::WriteZero,
        format!("the kernel took {written} of {} bytes", data.len()),
    ))
}
