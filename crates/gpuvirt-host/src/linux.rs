//! The real kernel behind the seam: files below a root, `/` for this machine and a folder for tests.
//!
//! One attribute costs open, read and close; nothing is stat'ed besides. No decision is made here.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use nix::dir::Dir;
use nix::fcntl::{OFlag, readlinkat};
use nix::sys::stat::Mode;

use crate::modprobe;
use crate::paths;
use crate::sysfs::{DeviceNumber, ReadError, Sysfs, WriteError};
use crate::vendor::{ProgramCall, ProgramEnd, ProgramError};
use crate::writer::{BlockingRead, BlockingWrite, ModuleName, WriterOrigin, Writers};

/// What one `read(2)` asks for: an attribute of sysfs is at most a page.
const PAGE: usize = 4096;

/// Longest wait for a write that the kernel answers at once, on a machine however busy.
const ANSWERED_AT_ONCE: Duration = Duration::from_secs(30);

/// Longest wait for a module: longer than the writer's own for modprobe.
const LOAD_DEADLINE: Duration = modprobe::LOAD_DEADLINE.saturating_add(Duration::from_secs(5));

/// The kernel's file trees below one root.
#[derive(Debug)]
pub struct LinuxSysfs {
    /// Put in front of every path; empty for this machine.
    root: String,
    /// Carries out every write, and the reads that can block; none in a program that only reads, which then waits itself.
    writers: Option<Writers>,
    /// Whether the size of `/proc/PID/fd` is the number of open files.
    fd_size_counts: OnceLock<bool>,
}

impl LinuxSysfs {
    /// This machine, for reading and for writes that the kernel answers at once.
    pub fn this_machine() -> Self {
        Self { root: String::new(), writers: None, fd_size_counts: OnceLock::new() }
    }

    /// A tree of plain files below `root`, for tests.
    pub fn below(root: &str) -> Self {
        let root = root.trim_end_matches('/').to_owned();
        Self { root, writers: None, fd_size_counts: OnceLock::new() }
    }

    /// The same files, with writers that carry out every write and load modules.
    #[must_use]
    pub fn with_writer(self, writers: impl Into<WriterOrigin>) -> Self {
        Self { writers: Some(Writers::new(writers.into())), ..self }
    }

    /// The file behind a path of the kernel.
    fn file(&self, path: &str) -> io::Result<PathBuf> {
        let plain = path.starts_with('/')
            && !path.contains('\0')
            && path.split('/').all(|part| part != ".." && part != ".");
        if !plain {
            let what = format!("{path:?} is no plain absolute path");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        Ok(PathBuf::from([self.root.as_str(), path].concat()))
    }
}

/// In sysfs a read that gives less than was asked for is the end of the attribute. Everywhere else (`/proc` and
/// debugfs give one record or page at a time) only an empty read is.
fn short_read_is_the_end(path: &str) -> bool {
    path.starts_with("/sys/") && !path.starts_with("/sys/kernel/debug/")
}

/// A file on disk, unlike the kernel's own, which give a page a time whatever is asked for.
fn is_plain_file(path: &str) -> bool {
    !path.starts_with("/sys/") && !path.starts_with("/proc/")
}

/// The rest of a file that has turned out to be longer than a page, in one go.
fn read_long(file: &mut File, limit: usize, content: &mut Vec<u8>) -> io::Result<()> {
    let size = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    // One byte more, so that the read that finds the end needs no more room.
    content.reserve(size.saturating_sub(content.len()).min(limit).saturating_add(1));
    file.take(u64::try_from(limit).unwrap_or(u64::MAX)).read_to_end(content)?;
    Ok(())
}

fn link_target(target: OsString) -> io::Result<String> {
    target.into_string().map_err(|name| {
        io::Error::new(io::ErrorKind::InvalidData, format!("link target {name:?} is not UTF-8"))
    })
}

/// One `read(2)`, again after a signal.
fn read_once(file: &mut File, room: &mut [u8]) -> io::Result<usize> {
    loop {
        match file.read(room) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

impl Sysfs for LinuxSysfs {
    fn read(&self, path: &str, limit: usize) -> io::Result<Vec<u8>> {
        // Without O_NONBLOCK a FIFO in the place of an attribute would hold us for good.
        let mut file =
            OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(self.file(path)?)?;
        let mut content = Vec::new();
        loop {
            let had = content.len();
            // Never more than asked for: each byte of PCI `config` is a read on the bus.
            let wanted = limit.saturating_sub(had).min(PAGE);
            if wanted == 0 {
                break;
            }
            content.resize(had + wanted, 0);
            let count = read_once(&mut file, content.get_mut(had..).unwrap_or_default())?;
            content.truncate(had + count);
            if count == 0 || (count < wanted && short_read_is_the_end(path)) {
                break;
            }
            if count == PAGE && is_plain_file(path) {
                read_long(&mut file, limit.saturating_sub(count), &mut content)?;
                break;
            }
        }
        Ok(content)
    }

    fn read_that_may_block(
        &self,
        path: &str,
        limit: usize,
        deadline: Duration,
    ) -> Result<Vec<u8>, ReadError> {
        let Some(writers) = &self.writers else {
            return self.read(path, limit).map_err(ReadError::Errno);
        };
        let read = BlockingRead::parse(path).map_err(|e| ReadError::Reader(io::Error::other(e)))?;
        let mut content = writers.read(&read, deadline)?;
        content.truncate(limit);
        Ok(content)
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(self.file(path)?)? {
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn read_link(&self, path: &str) -> io::Result<String> {
        link_target(std::fs::read_link(self.file(path)?)?.into_os_string())
    }

    fn links(&self, path: &str) -> io::Result<Vec<(String, io::Result<String>)>> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let mut folder = Dir::open(&self.file(path)?, flags, Mode::empty())?;
        let mut names: Vec<String> = Vec::new();
        for entry in folder.iter() {
            let name = entry?.file_name().to_str().map(str::to_owned);
            names.extend(name.ok().filter(|name| name != "." && name != ".."));
        }
        names.sort_unstable();
        // From the folder that is open: the way to a process's descriptors is long, and each step of it is checked anew.
        let with_target = |name: String| {
            let target = readlinkat(&folder, name.as_str());
            (name, target.map_err(io::Error::from).and_then(link_target))
        };
        Ok(names.into_iter().map(with_target).collect())
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
        self.file(path).is_ok_and(|file| file.symlink_metadata().is_ok())
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
        let write = BlockingWrite::parse(path, data).map_err(|e| WriteError::Writer(io::Error::other(e)))?;
        let writers = self.writers.as_ref().ok_or_else(|| {
            WriteError::Writer(io::Error::new(
                io::ErrorKind::Unsupported,
                "this program has no writer process for writes that can block",
            ))
        })?;
        writers.write(&write, deadline)
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
