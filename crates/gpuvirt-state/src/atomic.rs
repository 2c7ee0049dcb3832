//! Replacing a file as a whole.
//!
//! After a crash at any moment the name leads to the earlier content or to the new one (but for `replace_soon`): the content is on
//! the disk before the rename, and the rename is on the disk before success is reported. The temporary name is fixed, so that
//! what a crash leaves behind is taken over by the next write; whoever calls this holds the folder's lock. The first half can be
//! done before it is known whether there will be a second (`stage`, `unstage`, `discard`).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::StateError;

/// State is public: any local user may see what is configured. Nothing secret is ever stored.
const MODE: u32 = 0o644;

/// Makes `dir/name` hold `content`, durably.
pub(crate) fn replace(dir: &Path, name: &str, content: &[u8]) -> Result<(), StateError> {
    replace_with(dir, name, |file| file.write_all(content))
}

/// The same with a content that `fill` writes; when it fails, the earlier content stands.
pub(crate) fn replace_with(
    dir: &Path,
    name: &str,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<(), StateError> {
    replace_named(dir, name, fill)?;
    sync_dir(dir)
}

/// The same up to the rename, which [`sync_dir`] makes durable: the content is on the disk, under whichever name.
pub(crate) fn replace_named(
    dir: &Path,
    name: &str,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<(), StateError> {
    let filled = |file: &mut File| fill(file).and_then(|()| file.sync_all());
    put(&temporary_path(dir, name), &dir.join(name), filled)
}

/// The same for what can be made again from other files: nobody waits for the disk, which may have a name without its content. [`settle`] makes it durable.
pub(crate) fn replace_soon(dir: &Path, name: &str, content: &[u8]) -> Result<(), StateError> {
    put(&temporary_path(dir, name), &dir.join(name), |file| file.write_all(content))
}

/// Makes `dir/name` durable as it is now.
pub(crate) fn settle(dir: &Path, name: &str) -> Result<(), StateError> {
    sync_file(dir, name)?;
    sync_dir(dir)
}

/// Brings the content of `dir/name` to the disk.
pub(crate) fn sync_file(dir: &Path, name: &str) -> Result<(), StateError> {
    let path = dir.join(name);
    File::open(&path).and_then(|file| file.sync_all()).map_err(StateError::io("syncing", path))
}

/// Brings what `dir/name` may soon hold to the disk, under a name that nobody reads.
pub(crate) fn stage(
    dir: &Path,
    name: &str,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<(), StateError> {
    let path = staged_path(dir, name);
    write_new(&path, |file| fill(file).and_then(|()| file.sync_all())).map_err(|source| {
        let _ = fs::remove_file(&path);
        StateError::Io { doing: "writing", path, source }
    })
}

/// Gives what was staged its name, which [`sync_dir`] makes durable.
pub(crate) fn unstage(dir: &Path, name: &str) -> Result<(), StateError> {
    let path = dir.join(name);
    fs::rename(staged_path(dir, name), &path).map_err(StateError::io("writing", path))
}

/// Removes what was staged.
pub(crate) fn discard(dir: &Path, name: &str) {
    let _ = fs::remove_file(staged_path(dir, name));
}

/// Fills the temporary file and gives it its name.
fn put(
    temporary: &Path,
    target: &Path,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<(), StateError> {
    write_new(temporary, fill).and_then(|()| fs::rename(temporary, target)).map_err(|source| {
        // What is left would only take room; the next write removes it too.
        let _ = fs::remove_file(temporary);
        StateError::Io { doing: "writing", path: target.to_owned(), source }
    })
}

/// Removes `dir/name`, durably; absent is done.
pub(crate) fn remove(dir: &Path, name: &str) -> Result<(), StateError> {
    if remove_named(dir, name)? { sync_dir(dir) } else { Ok(()) }
}

/// Removes `dir/name`, which [`sync_dir`] makes durable; says whether it was there.
pub(crate) fn remove_named(dir: &Path, name: &str) -> Result<bool, StateError> {
    let path = dir.join(name);
    match fs::remove_file(&path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(StateError::io("removing", path)(error)),
    }
}

/// Makes renames and removals in `dir` durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), StateError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(StateError::io("syncing", dir))
}

fn write_new(path: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // create_new follows no link that somebody put there.
    let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)?;
    // The umask may have taken bits away.
    file.set_permissions(fs::Permissions::from_mode(MODE))?;
    fill(&mut file)
}

fn temporary_path(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!(".{name}.new"))
}

/// Where what is staged for `dir/name` is.
pub(crate) fn staged_path(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!(".{name}.staged"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(dir: &Path) -> String {
        fs::read_to_string(dir.join("f")).unwrap()
    }

    #[test]
    fn a_full_disk_leaves_the_earlier_content_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        replace(dir.path(), "f", b"before").unwrap();
        let full = |file: &mut File| {
            file.write_all(b"aft")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        };
        let error = replace_with(dir.path(), "f", full).unwrap_err();
        assert!(matches!(error, StateError::Io { doing: "writing", .. }), "{error}");
        assert_eq!(content(dir.path()), "before");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "the temporary file is gone");
    }

    #[test]
    fn what_a_crash_left_is_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        replace(dir.path(), "f", b"before").unwrap();
        fs::copy(dir.path().join("f"), temporary_path(dir.path(), "f")).unwrap();
        replace(dir.path(), "f", b"after").unwrap();
        assert_eq!(content(dir.path()), "after");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_planted_link_is_replaced_and_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        replace(dir.path(), "victim", b"untouched").unwrap();
        std::os::unix::fs::symlink(dir.path().join("victim"), temporary_path(dir.path(), "f")).unwrap();
        replace(dir.path(), "f", b"after").unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("victim")).unwrap(), "untouched");
        assert!(fs::symlink_metadata(dir.path().join("f")).unwrap().is_file());
    }

    #[test]
    fn a_file_is_readable_by_all_and_writable_by_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        replace(dir.path(), "f", b"x").unwrap();
        let mode = fs::metadata(dir.path().join("f")).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o644);
    }
}
