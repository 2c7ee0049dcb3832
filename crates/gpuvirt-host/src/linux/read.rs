//! How the kernel's files are read: one attribute costs open, read and close.
//!
//! Names in an open folder are looked up from there: the way to a device's folder leads over a link and through every bridge
//! above the device, which the kernel walks anew for each path.

use std::cell::RefCell;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::{OFlag, openat, readlinkat};
use nix::libc;
use nix::sys::stat::Mode;
use rustix::fs::RawDir;

use crate::sysfs::LongFile;

/// Without it a FIFO in the place of an attribute would hold us for good.
pub(super) const NO_WAIT: i32 = libc::O_NONBLOCK;

/// Names of a few hundred PCI functions.
const ROOM_FOR_NAMES: usize = 16 << 10;

/// What one `read(2)` asks for: an attribute of sysfs is at most a page.
const PAGE: usize = 4096;

thread_local! {
    /// Where the kernel puts a page: hundreds are read for one picture, and clearing a new one for each costs more than most
    /// attributes do.
    static ROOM: RefCell<[u8; PAGE]> = const { RefCell::new([0; PAGE]) };
}

/// In sysfs a read that gives less than was asked for is the end of the attribute, and so it is of a process's name, which is one
/// record (fs/proc/base.c, `comm_show`). Everywhere else (`/proc` and debugfs give one record or page at a time) only an
/// empty read is.
fn short_read_is_the_end(path: &str) -> bool {
    let is_attribute = path.starts_with("/sys/") && !path.starts_with("/sys/kernel/debug/");
    is_attribute || (path.starts_with("/proc/") && path.ends_with("/comm"))
}

/// A file on disk, unlike the kernel's own, which give a page a time whatever is asked for.
fn is_plain_file(path: &str) -> bool {
    !path.starts_with("/sys/") && !path.starts_with("/proc/")
}

/// The whole content of an open file, at most `limit` bytes of it. `path` is the kernel's name of it, or of a folder that it is
/// in with a `/` at its end.
pub(super) fn whole(mut file: File, path: &str, limit: usize) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    loop {
        // Never more than asked for: each byte of PCI `config` is a read on the bus.
        let wanted = limit.saturating_sub(content.len()).min(PAGE);
        if wanted == 0 {
            break;
        }
        let count = read_page(&mut file, wanted, &mut content)?;
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

/// One `read(2)` of at most a page, again after a signal; says how much it gave.
fn read_page(file: &mut File, wanted: usize, content: &mut Vec<u8>) -> io::Result<usize> {
    ROOM.with_borrow_mut(|room| {
        let room = room.get_mut(..wanted).unwrap_or_default();
        let count = loop {
            match file.read(room) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        content.extend_from_slice(room.get(..count).unwrap_or_default());
        Ok(count)
    })
}

/// The rest of a file that has turned out to be longer than a page, in one go.
fn read_long(file: &mut File, limit: usize, content: &mut Vec<u8>) -> io::Result<()> {
    let size = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    // One byte more, so that the read that finds the end needs no more room.
    content.reserve(size.saturating_sub(content.len()).min(limit).saturating_add(1));
    file.take(u64::try_from(limit).unwrap_or(u64::MAX)).read_to_end(content)?;
    Ok(())
}

/// The lines of an open file, at most `limit` bytes of it.
pub(super) fn each_line(
    file: File,
    limit: usize,
    line: &mut dyn FnMut(&str) -> io::Result<()>,
) -> io::Result<()> {
    let limit = u64::try_from(limit).unwrap_or(u64::MAX);
    let mut text = BufReader::with_capacity(PAGE, file.take(limit));
    let mut read = Vec::new();
    while text.read_until(b'\n', &mut read)? != 0 {
        line(String::from_utf8_lossy(read.strip_suffix(b"\n").unwrap_or(&read)).as_ref())?;
        read.clear();
    }
    Ok(())
}

/// An open folder, and its names, sorted. Names that are not UTF-8 are left out. One call opens it and one gives a few hundred
/// names: libc's way asks for three more, to know what it has opened.
pub(super) fn folder(path: &Path) -> io::Result<(File, Vec<String>)> {
    let folder = File::options().read(true).custom_flags(libc::O_DIRECTORY).open(path)?;
    let mut names: Vec<String> = Vec::new();
    let mut room = [const { MaybeUninit::uninit() }; ROOM_FOR_NAMES];
    let mut entries = RawDir::new(&folder, &mut room);
    while let Some(entry) = entries.next() {
        let name = entry?.file_name().to_str().map(str::to_owned);
        names.extend(name.ok().filter(|name| name != "." && name != ".."));
    }
    names.sort_unstable();
    Ok((folder, names))
}

/// Opens a file by its name in an open folder.
pub(super) fn open_in(folder: impl AsFd, name: &str) -> io::Result<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::from_bits_retain(NO_WAIT);
    Ok(File::from(openat(folder, name, flags, Mode::empty())?))
}

/// Where a link in an open folder leads.
pub(super) fn link_in(folder: impl AsFd, name: &str) -> io::Result<String> {
    link_target(readlinkat(folder, name)?)
}

/// A link's target as text.
pub(super) fn link_target(target: OsString) -> io::Result<String> {
    target.into_string().map_err(|name| {
        io::Error::new(io::ErrorKind::InvalidData, format!("link target {name:?} is not UTF-8"))
    })
}

/// A file on disk of which parts are read: as long as it was when it was opened.
#[derive(Debug)]
pub(super) struct OnDisk {
    file: File,
    length: u64,
}

impl OnDisk {
    /// An open file, at most `limit` bytes of it.
    pub(super) fn new(file: File, limit: usize) -> io::Result<Self> {
        let found = file.metadata()?;
        if !found.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
        }
        Ok(Self { file, length: found.len().min(limit as u64) })
    }
}

impl LongFile for OnDisk {
    fn length(&self) -> u64 {
        self.length
    }

    fn read_at(&self, room: &mut [u8], from: u64) -> io::Result<usize> {
        let left = usize::try_from(self.length.saturating_sub(from)).unwrap_or(usize::MAX);
        let wanted = room.len().min(left);
        let mut had = 0;
        while let Some(room) = room.get_mut(had..wanted).filter(|room| !room.is_empty()) {
            match self.file.read_at(room, from + had as u64) {
                Ok(0) => break,
                Ok(count) => had += count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(had)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn lines_are_told_as_they_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("maps");
        let long = "x".repeat(3 * PAGE);
        let content = ["first", "", &long, "\u{fffd}", "the last"].join("\n").replace('\u{fffd}', "!");
        let bytes: Vec<u8> = content.bytes().map(|byte| if byte == b'!' { 0xff } else { byte }).collect();
        File::create(&path).unwrap().write_all(&bytes).unwrap();
        let lines = |limit| {
            let mut told = Vec::new();
            each_line(File::open(&path).unwrap(), limit, &mut |line| {
                told.push(line.to_owned());
                Ok(())
            })
            .unwrap();
            told
        };
        assert_eq!(lines(usize::MAX), ["first", "", &long, "\u{fffd}", "the last"]);
        assert_eq!(lines(7), ["first", ""], "no more than the limit");
        assert_eq!(lines(0), [""; 0]);
        let mut told = 0;
        let stopped = each_line(File::open(&path).unwrap(), usize::MAX, &mut |_| {
            told += 1;
            Err(io::ErrorKind::PermissionDenied.into())
        });
        assert_eq!((stopped.unwrap_err().kind(), told), (io::ErrorKind::PermissionDenied, 1));
        assert!(each_line(File::open(dir.path()).unwrap(), 9, &mut |_| Ok(())).is_err(), "a folder");
    }

    #[test]
    fn a_file_on_disk_is_no_longer_than_it_was_and_no_device() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list");
        let mut file = File::create(&path).unwrap();
        file.write_all(b"0123456789").unwrap();
        let list = OnDisk::new(File::open(&path).unwrap(), 8).unwrap();
        file.write_all(b"more").unwrap();
        let mut room = [0; 16];
        for (from, want) in [(0, "01234567"), (6, "67"), (8, ""), (100, ""), (u64::MAX, "")] {
            let count = list.read_at(&mut room, from).unwrap();
            assert_eq!(room[..count], *want.as_bytes(), "{from}");
        }
        for path in ["/dev/zero", dir.path().to_str().unwrap()] {
            assert!(OnDisk::new(File::open(path).unwrap(), 8).is_err(), "{path}");
        }
    }
}
