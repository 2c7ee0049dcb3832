//! `/proc/PID/maps` and `/proc/PID/mountinfo`, as far as holders need them.

use memchr::{memchr, memchr_iter};

/// A mapping of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mapping<'a> {
    /// `start-end`: its name below `map_files`.
    pub range: &'a str,
    /// The file system's device, major and minor number in one.
    pub file_system: u64,
    /// The file's inode number.
    pub inode: u64,
    /// The path as the process sees it.
    pub path: &'a str,
}

/// A line of a mapping of a file, not yet understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    range: &'a str,
    /// What tells the file: the same text is the same file, as in the lines of one program or library, which follow each other.
    pub file: &'a str,
}

/// A line of `/proc/PID/maps`, where it is of a file: `start-end perms offset major:minor inode    path`.
///
/// A busy host has tens of thousands of these lines, most of them of no file: those are left before anything is understood.
pub fn line(line: &str) -> Option<Line<'_>> {
    let bytes = line.as_bytes();
    let path = memchr(b'/', bytes)?;
    let mut spaces = memchr_iter(b' ', bytes.get(..path)?);
    let (range, _permissions, offset) = (spaces.next()?, spaces.next()?, spaces.next()?);
    Some(Line { range: line.get(..range)?, file: line.get(offset + 1..)? })
}

impl<'a> Line<'a> {
    /// What it says; none where that makes no sense.
    pub fn mapping(self) -> Option<Mapping<'a>> {
        let Self { range, file } = self;
        let (file_system, rest) = file.split_once(' ')?;
        let (inode, path) = rest.split_once(' ')?;
        let inode = inode.parse().ok().filter(|inode| *inode != 0)?;
        let path = path.trim_start_matches(' ');
        let plain = range.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        let (major, minor) = file_system.split_once(':')?;
        let number = |text| u32::from_str_radix(text, 16).map(u64::from).ok();
        let file_system = number(major)? << 32 | number(minor)?;
        (plain && path.starts_with('/')).then_some(Mapping { range, file_system, inode, path })
    }
}

/// A mount point, and whether asking about a file below it can wait for another machine or process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Where it is, as the process sees it.
    pub point: String,
    /// A network or user-space file system.
    pub remote: bool,
}

/// The mounts in `/proc/PID/mountinfo`: `id parent major:minor root POINT options [tags] - TYPE source options`.
pub fn mounts(text: &str) -> Vec<Mount> {
    let mount = |line: &str| {
        let (front, back) = line.split_once(" - ")?;
        let point = front.split(' ').nth(4)?;
        let kind = back.split(' ').next()?;
        Some(Mount { point: unescaped(point), remote: is_remote(kind) })
    };
    text.lines().filter_map(mount).collect()
}

/// File systems whose answers come from elsewhere.
fn is_remote(kind: &str) -> bool {
    const KINDS: [&str; 12] = [
        "9p", "afs", "beegfs", "ceph", "cifs", "coda", "gpfs", "lustre", "ncpfs", "orangefs", "smb3",
        "virtiofs",
    ];
    kind.starts_with("nfs") || kind.starts_with("fuse") || kind.starts_with("autofs") || KINDS.contains(&kind)
}

/// The kernel writes space, tab, newline and backslash in mount points as three octal digits.
fn unescaped(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (code, plain)| text.replace(code, plain))
}

/// Whether a path lies on a remote mount: the longest mount point above it decides.
pub fn is_on_remote(mounts: &[Mount], path: &str) -> bool {
    let above = |mount: &&Mount| {
        let rest = path.strip_prefix(mount.point.trim_end_matches('/'));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    // Of two mounts on one point the later hides the earlier; max_by_key takes the later.
    mounts.iter().filter(above).max_by_key(|mount| mount.point.len()).is_some_and(|mount| mount.remote)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mappings_of_files_are_read() {
        let text = "55d0c8a00000-55d0c8a21000 r--p 00000000 fe:00 1043                       /usr/bin/x y\n\
            7f0000000000-7f0000021000 rw-p 00000000 00:00 0 \n\
            7ffc9d1e2000-7ffc9d203000 rw-p 00000000 00:00 0                          [stack]\n\
            7f1200000000-7f1201000000 rw-s f0000000 00:06 512                        /dev/nvidia0\n\
            7f1201000000-7f1202000000 r--s f1000000 00:06 512                        /dev/nvidia0\n\
            zz-zz rw-s 0 00:06 5 /dev/x\n7f-8 rw-s\n";
        let lines = || text.lines().filter_map(line);
        let mappings = lines().filter_map(Line::mapping);
        assert!(lines().nth(1).map(|line| line.file) == lines().nth(2).map(|line| line.file));
        let got: Vec<_> = mappings.map(|m| (m.range, m.file_system, m.inode, m.path)).collect();
        assert_eq!(
            got,
            [
                ("55d0c8a00000-55d0c8a21000", 0xfe << 32, 1043, "/usr/bin/x y"),
                ("7f1200000000-7f1201000000", 6, 512, "/dev/nvidia0"),
                ("7f1201000000-7f1202000000", 6, 512, "/dev/nvidia0"),
            ]
        );
    }

    #[test]
    fn the_nearest_mount_decides() {
        let mounts = mounts(
            "22 1 0:21 / / rw,relatime - fuse.fuse-overlayfs fuse rw\n\
             23 22 0:5 / /dev rw shared:2 master:1 - devtmpfs udev rw\n\
             31 22 0:44 / /srv/vm\\040disks rw - nfs4 nas:/disks rw\n\
             rubbish\n",
        );
        for (path, want) in [
            ("/dev/nvidia0", false),
            ("/device", true),
            ("/srv/vm disks/a.qcow2", true),
            ("/srv", true),
            ("/", true),
        ] {
            assert_eq!(is_on_remote(&mounts, path), want, "{path}");
        }
        assert!(!is_on_remote(&[], "/dev/x"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[0-9a-f:/ \n\\-]{0,120}", path in "\\PC{0,20}") {
            let _ = text.lines().filter_map(line).filter_map(Line::mapping).count();
            let _ = is_on_remote(&mounts(&text), &path);
        }
    }
}
