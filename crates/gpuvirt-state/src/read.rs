//! Reading a durable file without trusting it: a regular file of ours, of a sane size.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::OFlag;

use crate::StateError;

/// Larger than any file that we write: a desired entry takes about 300 bytes, a vGPU's record about 150.
pub(crate) const LIMIT: u64 = 4 << 20;

/// Others may write it.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// The text of a file; `None` when there is none.
pub(crate) fn read_trusted(path: &Path) -> Result<Option<String>, StateError> {
    Ok(read_with_metadata(path)?.map(|(text, _)| text))
}

/// The same, and which file it is, as it was before it was read.
pub(crate) fn read_with_metadata(path: &Path) -> Result<Option<(String, Metadata)>, StateError> {
    let Some((bytes, metadata)) = read_bytes(path)? else { return Ok(None) };
    let text = String::from_utf8(bytes).map_err(|error| StateError::Corrupt {
        path: path.to_owned(),
        line: line_of(error.as_bytes(), error.utf8_error().valid_up_to()),
        what: "this is not text".to_owned(),
    })?;
    Ok(Some((text, metadata)))
}

/// The bytes of a file that need not be text as a whole.
pub(crate) fn read_bytes(path: &Path) -> Result<Option<(Vec<u8>, Metadata)>, StateError> {
    let Some((file, metadata)) = open_trusted(path, OpenOptions::new().read(true))? else { return Ok(None) };
    // Room for all at once: without it a small file is read in pieces of some bytes.
    let room = usize::try_from(metadata.len().min(LIMIT)).unwrap_or_default();
    let mut bytes = Vec::with_capacity(room + 1);
    file.take(LIMIT + 1).read_to_end(&mut bytes).map_err(StateError::io("reading", path))?;
    if bytes.len() as u64 > LIMIT {
        return Err(StateError::TooLarge { path: path.to_owned(), limit: LIMIT });
    }
    Ok(Some((bytes, metadata)))
}

/// A regular file of ours, opened in this way; `None` when there is none.
pub(crate) fn open_trusted(
    path: &Path,
    how: &mut OpenOptions,
) -> Result<Option<(File, Metadata)>, StateError> {
    // O_NONBLOCK: a FIFO in the file's place must not hang us. O_NOFOLLOW: a link would be somebody else's file.
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let file = match how.custom_flags(flags.bits()).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.raw_os_error() == Some(nix::errno::Errno::ELOOP as i32) => {
            return Err(untrusted(path, "it is a symbolic link; put the file itself there"));
        }
        Err(error) => return Err(StateError::io("opening", path)(error)),
    };
    let metadata = file.metadata().map_err(StateError::io("looking at", path))?;
    if !metadata.is_file() {
        return Err(untrusted(path, "it is no regular file; move it away"));
    }
    check_owner(path, &metadata)?;
    Ok(Some((file, metadata)))
}

/// The folder exists, is ours and nobody else writes in it.
pub(crate) fn check_dir(path: &Path) -> Result<(), StateError> {
    let metadata = fs::metadata(path).map_err(StateError::io("looking at", path))?;
    if !metadata.is_dir() {
        return Err(untrusted(path, "it is no folder"));
    }
    check_owner(path, &metadata)
}

fn check_owner(path: &Path, metadata: &Metadata) -> Result<(), StateError> {
    let us = nix::unistd::geteuid().as_raw();
    if ![0, us].contains(&metadata.uid()) {
        let why = format!("it belongs to uid {}; `chown root` it after looking inside", metadata.uid());
        return Err(untrusted(path, &why));
    }
    if metadata.mode() & WRITABLE_BY_OTHERS != 0 {
        let why = format!("others may write to it (mode {:o}); `chmod go-w` it", metadata.mode() & 0o7777);
        return Err(untrusted(path, &why));
    }
    Ok(())
}

fn untrusted(path: &Path, why: &str) -> StateError {
    StateError::Untrusted { path: path.to_owned(), why: why.to_owned() }
}

/// The line, from 1, of a byte offset.
fn line_of(bytes: &[u8], offset: usize) -> usize {
    bytes.iter().take(offset).filter(|byte| **byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::atomic;

    #[test]
    fn absent_is_none_and_the_rest_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        assert!(read_trusted(&at("absent")).unwrap().is_none());

        atomic::replace(dir.path(), "good", b"text").unwrap();
        assert_eq!(read_trusted(&at("good")).unwrap().as_deref(), Some("text"));

        std::os::unix::fs::symlink(at("good"), at("link")).unwrap();
        fs::create_dir(at("folder")).unwrap();
        nix::unistd::mkfifo(&at("fifo"), nix::sys::stat::Mode::S_IRUSR).unwrap();
        atomic::replace(dir.path(), "writable", b"text").unwrap();
        fs::set_permissions(at("writable"), Permissions::from_mode(0o664)).unwrap();
        for name in ["link", "folder", "fifo", "writable"] {
            let error = read_trusted(&at(name)).unwrap_err();
            assert!(matches!(error, StateError::Untrusted { .. }), "{name}: {error}");
        }

        atomic::replace(dir.path(), "binary", b"{\n\xff\xfe").unwrap();
        let error = read_trusted(&at("binary")).unwrap_err();
        assert!(matches!(error, StateError::Corrupt { line: 2, .. }), "{error}");

        atomic::replace(dir.path(), "huge", &vec![b' '; LIMIT as usize + 1]).unwrap();
        let error = read_trusted(&at("huge")).unwrap_err();
        assert!(matches!(error, StateError::TooLarge { .. }), "{error}");
    }

    #[test]
    fn a_foreign_owner_is_refused() {
        let metadata = fs::metadata("/proc/self").unwrap();
        assert!(check_owner(Path::new("/proc/self"), &metadata).is_ok(), "our own process is ours");
        if nix::unistd::geteuid().is_root() {
            let dir = tempfile::tempdir().unwrap();
            atomic::replace(dir.path(), "f", b"x").unwrap();
            std::os::unix::fs::chown(dir.path().join("f"), Some(12345), None).unwrap();
            let error = read_trusted(&dir.path().join("f")).unwrap_err();
            assert!(error.to_string().contains("uid 12345"), "{error}");
        }
    }
}
