//! The seam to the kernel: its file trees `/sys`, `/proc` and `/dev` under one root.
//!
//! Paths are absolute, as the kernel's documents write them (`/sys/bus/pci/devices/0000:41:00.0/driver`), in plain
//! text without `.` or `..`; an implementation puts its root in front. Whoever builds a path from outside text
//! checks that text first ([`gpuvirt_model::PciAddress`], [`gpuvirt_model::DriverName`], `Uuid`).

use std::io;
use std::time::Duration;

pub use crate::open::{LongFile, OpenFolder};
use crate::vendor::{ProgramCall, ProgramEnd, ProgramError};

/// Longer than any attribute of sysfs, which ends at a page.
pub(crate) const ATTRIBUTE: usize = 4096;

/// A character device's major and minor number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceNumber {
    /// Major number.
    pub major: u64,
    /// Minor number.
    pub minor: u64,
}

/// Waits for a read that was begun.
pub type BegunRead<'a> = Box<dyn FnOnce() -> Result<Vec<u8>, ReadError> + 'a>;

/// The kernel's files. Errors carry the kernel's own errno.
pub trait Sysfs: Send + Sync {
    /// The whole content of a file. At most `limit` bytes are returned, so that an absurd file costs no memory.
    ///
    /// # Errors
    /// The errno of open or read: `ENOENT`, `EACCES`, or what the attribute's driver answers.
    fn read(&self, path: &str, limit: usize) -> io::Result<Vec<u8>>;

    /// The same, of an attribute for which the kernel takes the device's lock: while a write to the device waits,
    /// reading it waits too (`driver_override_show` before the override moved into struct device); or of a function's config
    /// space, which is read by whoever has the right to all of it. The deadline ends our waiting, never the read.
    ///
    /// Without another implementation it is a plain read, for whatever is no live kernel.
    ///
    /// # Errors
    /// [`ReadError`].
    fn read_that_may_block(
        &self,
        path: &str,
        limit: usize,
        deadline: Duration,
    ) -> Result<Vec<u8>, ReadError> {
        let _ = deadline;
        self.read(path, limit).map_err(ReadError::Errno)
    }

    /// The same, asked now and waited for by calling what is returned: other files are read meanwhile. Without another
    /// implementation it is read then.
    fn begin_read_that_may_block(&self, path: &str, limit: usize, deadline: Duration) -> BegunRead<'_> {
        let path = path.to_owned();
        Box::new(move || self.read_that_may_block(&path, limit, deadline))
    }

    /// A long text line by line, each without its newline and as it is read, so that nobody holds all of it: the mappings of one
    /// process may be megabytes. What is no UTF-8 in a line is replaced. The first error of `line` ends it.
    ///
    /// # Errors
    /// As [`Sysfs::read`], and that of `line`.
    fn each_line(
        &self,
        path: &str,
        limit: usize,
        line: &mut dyn FnMut(&str) -> io::Result<()>,
    ) -> io::Result<()> {
        String::from_utf8_lossy(&self.read(path, limit)?).lines().try_for_each(line)
    }

    /// A file on disk of which little is wanted, to be read in parts. At most `limit` bytes of it are looked at.
    ///
    /// # Errors
    /// The errno of open, or of a read where it is read at once.
    fn long_file(&self, path: &str, limit: usize) -> io::Result<Box<dyn LongFile>> {
        Ok(Box::new(self.read(path, limit)?))
    }

    /// Names in a folder, sorted. Names that are not UTF-8 are left out: no kernel object that we use has one.
    ///
    /// # Errors
    /// The errno of opening the folder.
    fn list(&self, path: &str) -> io::Result<Vec<String>>;

    /// The target of a symbolic link, as stored (usually relative).
    ///
    /// # Errors
    /// `ENOENT`, `EINVAL` when it is no link.
    fn read_link(&self, path: &str) -> io::Result<String>;

    /// The links in a folder of nothing but links, sorted by name, each with its target or why there is none: one that was
    /// taken away meanwhile, or that we may not look behind.
    ///
    /// # Errors
    /// The errno of opening the folder.
    fn links(&self, path: &str) -> io::Result<Vec<(String, io::Result<String>)>> {
        let names = self.list(path)?.into_iter();
        Ok(names
            .map(|name| {
                let target = self.read_link(&format!("{path}/{name}"));
                (name, target)
            })
            .collect())
    }

    /// A folder of which several files will be read, with its names.
    ///
    /// # Errors
    /// The errno of opening the folder.
    fn open_folder(&self, path: &str) -> io::Result<OpenFolder> {
        Ok(OpenFolder::named(path, self.list(path)?))
    }

    /// [`Sysfs::read`] of a file in an open folder, or below one. Where the folder stays open, it is this very folder's, also
    /// after another device has taken its place.
    ///
    /// # Errors
    /// As [`Sysfs::read`]. Where the device has gone since the folder was opened, nothing is found in it (`ENOENT`).
    fn read_in(&self, folder: &OpenFolder, name: &str, limit: usize) -> io::Result<Vec<u8>> {
        self.read(&folder.path(name), limit)
    }

    /// [`Sysfs::read_link`] of a link in an open folder.
    ///
    /// # Errors
    /// As [`Sysfs::read_link`].
    fn read_link_in(&self, folder: &OpenFolder, name: &str) -> io::Result<String> {
        self.read_link(&folder.path(name))
    }

    /// How many files a process has open, where one look tells; none where only listing them does.
    fn open_files(&self, pid: u32) -> Option<u64> {
        let _ = pid;
        None
    }

    /// Whether a file, folder or link is there; links are not followed.
    fn exists(&self, path: &str) -> bool;

    /// The permission bits of a file or folder, links followed.
    ///
    /// Without another implementation they are not known: a recording holds no modes.
    ///
    /// # Errors
    /// The errno of stat.
    fn mode(&self, path: &str) -> io::Result<u32> {
        let _ = path;
        Err(io::Error::new(io::ErrorKind::Unsupported, "this host tells no permissions"))
    }

    /// Whether `ENOENT` for this path means that it is not there, and not only that nobody recorded it.
    fn knows_absence(&self, path: &str) -> bool {
        let _ = path;
        false
    }

    /// The device number behind a path, links followed (`/proc/PID/fd/N` too); `None` when it is no character device.
    ///
    /// # Errors
    /// The errno of stat.
    fn device_number(&self, path: &str) -> io::Result<Option<DeviceNumber>>;

    /// One `write(2)` of `data` that the kernel answers at once.
    ///
    /// # Errors
    /// The errno of open or write.
    fn write(&self, path: &str, data: &[u8]) -> io::Result<()>;

    /// One `write(2)` that the kernel may keep waiting: for as long as somebody holds the device (`unbind`, `remove`,
    /// `sriov_numvfs`), until a driver has initialised it (`drivers_probe`) or made something of it (a mediated
    /// device's `create`), or until another such write has ended (`driver_override`, which takes the device's lock).
    /// It happens outside this process; the deadline ends our waiting, never the write.
    ///
    /// # Errors
    /// [`WriteError`].
    fn write_that_may_block(&self, path: &str, data: &[u8], deadline: Duration) -> Result<(), WriteError>;

    /// Sets an attribute that shows what was set, and for which the kernel takes the device's lock each time: `data` is written
    /// unless one of `shown` is there already. What it shows then.
    ///
    /// # Errors
    /// [`WriteError`], of the reads too.
    fn set(
        &self,
        path: &str,
        data: &[u8],
        shown: &[&str],
        deadline: Duration,
    ) -> Result<Vec<u8>, WriteError> {
        let read = || self.read_that_may_block(path, ATTRIBUTE, deadline);
        let in_time = |error| WriteError::of_a_read(error, deadline);
        let before = read().map_err(in_time)?;
        if shown.iter().any(|shown| before == shown.as_bytes()) {
            return Ok(before);
        }
        self.write_that_may_block(path, data, deadline)?;
        read().map_err(in_time)
    }

    /// Runs a program of the vendor's or the system's to its end. The deadline ends our waiting, never the program.
    ///
    /// Without another implementation there are none.
    ///
    /// # Errors
    /// [`ProgramError`].
    fn run(&self, call: &ProgramCall, deadline: Duration) -> Result<ProgramEnd, ProgramError> {
        let _ = (call, deadline);
        Err(ProgramError::Start(io::Error::new(io::ErrorKind::Unsupported, "this host runs no programs")))
    }

    /// Whether those who write are to be had, as far as it can be told without asking them anything.
    ///
    /// # Errors
    /// Why nothing can be written now.
    fn writers(&self) -> io::Result<()> {
        Ok(())
    }

    /// The only processes that may be at a write, where that is known; none: any process of the host may be.
    fn other_writers(&self) -> Option<&[u32]> {
        None
    }

    /// Loads a kernel module with its soft dependencies, as `modprobe` does.
    ///
    /// # Errors
    /// What `modprobe` said.
    fn load_module(&self, name: &str) -> io::Result<()>;
}

/// Why a read that may block gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The errno of open or read.
    #[error("the kernel refused the read")]
    Errno(#[source] io::Error),
    /// The device is locked: process `waits` waits for the lock or holds it.
    #[error("the device is locked; process {waits} waits in the kernel")]
    StillWaiting {
        /// A process of ours; it must not be killed.
        waits: u32,
    },
    /// The process that reads could not do its work.
    #[error("the reading process failed")]
    Reader(#[source] io::Error),
}

/// How a write that may block ended.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The kernel refused it.
    #[error("the kernel refused the write")]
    Errno(#[source] io::Error),
    /// The deadline passed and the write is still going on in process `writer`.
    #[error("the write has not ended after {waited:?}; process {writer} still waits in the kernel")]
    StillWaiting {
        /// Pid of the writer; it must not be killed, that only makes it unkillable.
        writer: u32,
        /// How long we waited.
        waited: Duration,
    },
    /// The writer itself could not do its work.
    #[error("the writer process failed")]
    Writer(#[source] io::Error),
}

impl WriteError {
    /// The same of a read that belongs to the write.
    fn of_a_read(error: ReadError, waited: Duration) -> Self {
        match error {
            ReadError::Errno(errno) => Self::Errno(errno),
            ReadError::StillWaiting { waits } => Self::StillWaiting { writer: waits, waited },
            ReadError::Reader(failed) => Self::Writer(failed),
        }
    }
}
