//! Paths in a tree that is the copy of another machine's, such as a backup.

use std::io;
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags, ResolveFlags, open, openat2};
use rustix::io::Errno;

/// What becomes of a link at a path's end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Last {
    /// It is followed.
    Followed,
    /// It is what is asked for.
    Itself,
}

/// Where a path leads when `root` is `/`: a link in the copy that begins with `/`, or leads up too far, means a file of the copy and
/// none of this machine's (openat2(2), `RESOLVE_IN_ROOT`, since Linux 5.6).
///
/// # Errors
/// What the kernel says of the way there.
pub(super) fn inside(root: &str, path: &str, last: Last) -> io::Result<PathBuf> {
    let folder = open(root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let flags = if last == Last::Itself { OFlags::NOFOLLOW } else { OFlags::empty() };
    let flags = flags | OFlags::PATH | OFlags::CLOEXEC;
    match openat2(&folder, path, flags, Mode::empty(), ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS) {
        Ok(found) => std::fs::read_link(format!("/proc/self/fd/{}", found.as_raw_fd())),
        // An older kernel follows links as they are.
        Err(Errno::NOSYS) => Ok(PathBuf::from([root, path].concat())),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::LinuxSysfs;
    use crate::plain_tree::PlainTree;
    use crate::sysfs::Sysfs as _;

    #[test]
    fn links_of_a_copy_lead_to_its_own_files() {
        let tree = PlainTree::of(&[("usr/share/x.conf", "the copy's"), ("etc/hostname", "copy\n")]);
        let root = tree.path();
        for (target, link) in [
            ("/usr/share/x.conf", "etc/absolute"),
            ("../../../../../../../../etc/hostname", "etc/up"),
            ("/etc/absolute", "etc/twice"),
            ("/usr/share", "etc/folder"),
            ("/etc/passwd", "etc/none-of-ours"),
            ("/etc/round", "etc/round"),
        ] {
            symlink(target, root.join(link)).unwrap();
        }
        let sysfs = LinuxSysfs::copied_to(root.to_str().unwrap());
        let text = |path: &str| sysfs.read(path, 99).map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(text("/etc/absolute").unwrap(), "the copy's");
        assert_eq!(text("/etc/twice").unwrap(), "the copy's");
        assert_eq!(text("/etc/folder/x.conf").unwrap(), "the copy's");
        assert_eq!(text("/etc/up").unwrap(), "copy\n");
        assert_eq!(text("/etc/none-of-ours").unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(text("/etc/round").is_err());
        assert_eq!(sysfs.list("/etc/folder").unwrap(), ["x.conf"]);
        assert_eq!(sysfs.read_link("/etc/none-of-ours").unwrap(), "/etc/passwd");
        assert!(sysfs.exists("/etc/none-of-ours"), "the link is there");
    }
}
