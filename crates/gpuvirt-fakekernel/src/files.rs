//! The tree of files: folders, files, links and device nodes by canonical path, as kernfs holds them.
//!
//! It knows no meaning. Whoever changes the tree keeps it as the kernel would have it.

use std::collections::{BTreeMap, BTreeSet};

use gpuvirt_host::DeviceNumber;
use gpuvirt_recording::kernel_text::relative;
use gpuvirt_recording::resolve::{against, normal};
use nix::errno::Errno;

/// As many links as the kernel follows in one path (`MAXSYMLINKS`).
const MAX_LINKS: usize = 40;

/// An entry of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    /// A folder with the names in it.
    Folder(BTreeSet<String>),
    /// A file with its content.
    File(Vec<u8>),
    /// A file that can only be written: sysfs refuses to open it for reading, even for root
    /// (`KERNFS_ROOT_EXTRA_OPEN_PERM_CHECK`).
    WriteOnly,
    /// A link with its text.
    Link(String),
    /// A character device; without a number where a recording has none.
    Device(Option<DeviceNumber>),
    /// An open file of a process: the path that it shows, and the number of the device behind it.
    OpenFile(String, Option<DeviceNumber>),
}

/// All entries.
#[derive(Debug, Default)]
pub(crate) struct Files {
    nodes: BTreeMap<String, Node>,
}

impl Files {
    /// The entry at a path without links.
    pub(crate) fn get(&self, path: &str) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// The path with all links followed; the last part's link only when `follow` says so.
    pub(crate) fn resolve(&self, path: &str, follow: bool) -> Result<String, Errno> {
        let mut path = normal(path);
        'again: for _ in 0..MAX_LINKS {
            let mut end = 0;
            while end < path.len() {
                end =
                    path.get(end + 1..).and_then(|rest| rest.find('/')).map_or(path.len(), |at| end + 1 + at);
                let (head, rest) = path.split_at_checked(end).unwrap_or((&path, ""));
                match self.nodes.get(head) {
                    None if head == "/" => {}
                    None => return Err(Errno::ENOENT),
                    Some(Node::Link(target)) if follow || !rest.is_empty() => {
                        path = normal(&format!("{}{rest}", against(head, target)));
                        continue 'again;
                    }
                    Some(Node::Folder(_)) => {}
                    Some(_) if rest.is_empty() => {}
                    Some(_) => return Err(Errno::ENOTDIR),
                }
            }
            return Ok(path);
        }
        Err(Errno::ELOOP)
    }

    /// Puts an entry, with the folders above it. An earlier one at the path is replaced.
    pub(crate) fn put(&mut self, path: &str, node: Node) {
        let mut child = path;
        while let Some((parent, name)) = child.rsplit_once('/') {
            let parent = if parent.is_empty() { "/" } else { parent };
            let known = self.nodes.contains_key(parent);
            let folder = self.nodes.entry(parent.to_owned()).or_insert_with(|| Node::Folder(BTreeSet::new()));
            match folder {
                Node::Folder(names) if !name.is_empty() => _ = names.insert(name.to_owned()),
                _ => {}
            }
            if known || parent == "/" {
                break;
            }
            child = parent;
        }
        self.nodes.insert(path.to_owned(), node);
    }

    /// Puts a text file.
    pub(crate) fn put_text(&mut self, path: &str, text: impl Into<String>) {
        self.put(path, Node::File(text.into().into_bytes()));
    }

    /// Puts a link to an absolute path, in the relative form that the kernel writes.
    pub(crate) fn put_link(&mut self, path: &str, target: &str) {
        self.put(path, Node::Link(relative(path, target)));
    }

    /// Makes a folder where there is none.
    pub(crate) fn put_folder(&mut self, path: &str) {
        if !self.nodes.contains_key(path) {
            self.put(path, Node::Folder(BTreeSet::new()));
        }
    }

    /// Takes an entry away with everything below it, and returns all of it in order.
    pub(crate) fn take(&mut self, path: &str) -> Vec<(String, Node)> {
        let Some(node) = self.nodes.remove(path) else { return Vec::new() };
        if let Some((parent, name)) = path.rsplit_once('/') {
            if let Some(Node::Folder(names)) = self.nodes.get_mut(parent) {
                names.remove(name);
            }
        }
        let below = format!("{path}/");
        let inner: Vec<String> = self
            .nodes
            .range(below.clone()..)
            .take_while(|(path, _)| path.starts_with(&below))
            .map(|(path, _)| path.clone())
            .collect();
        let mut taken = vec![(path.to_owned(), node)];
        taken.extend(inner.into_iter().filter_map(|path| self.nodes.remove_entry(&path)));
        taken
    }

    /// Names in a folder.
    pub(crate) fn names(&self, path: &str) -> Vec<String> {
        match self.nodes.get(path) {
            Some(Node::Folder(names)) => names.iter().cloned().collect(),
            _ => Vec::new(),
        }
    }

    /// The text of a file, without the newline at its end.
    pub(crate) fn text(&self, path: &str) -> Option<String> {
        match self.nodes.get(path) {
            Some(Node::File(bytes)) => Some(String::from_utf8_lossy(bytes).trim_end().to_owned()),
            _ => None,
        }
    }

    /// Where a link leads, as an absolute path.
    pub(crate) fn target(&self, path: &str) -> Option<String> {
        match self.nodes.get(path) {
            Some(Node::Link(target)) => Some(normal(&against(path, target))),
            _ => None,
        }
    }

    /// The last name of a link's target: the driver's, the group's.
    pub(crate) fn target_name(&self, path: &str) -> Option<String> {
        self.target(path).and_then(|target| target.rsplit('/').next().map(str::to_owned))
    }

    /// All links that lead to `target` or below it, by their own paths, below `folder`.
    pub(crate) fn links_into(&self, folder: &str, target: &str) -> Vec<String> {
        let below = format!("{folder}/");
        let inside = format!("{target}/");
        self.nodes
            .range(below.clone()..)
            .take_while(|(path, _)| path.starts_with(&below))
            .filter(|(path, node)| {
                matches!(node, Node::Link(_))
                    && self.target(path).is_some_and(|to| to == target || to.starts_with(&inside))
            })
            .map(|(path, _)| path.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Files {
        let mut files = Files::default();
        files.put_text("/sys/devices/a/class", "0x030000\n");
        files.put_link("/sys/bus/pci/devices/a", "/sys/devices/a");
        files.put_link("/sys/devices/a/loop", "/sys/devices/a/loop");
        files
    }

    #[test]
    fn links_are_followed_as_kernfs_does() {
        let files = tree();
        for (path, follow, want) in [
            ("/sys/bus/pci/devices/a/class", false, Ok("/sys/devices/a/class")),
            ("/sys/bus/pci/devices/a", false, Ok("/sys/bus/pci/devices/a")),
            ("/sys/bus/pci/devices/a", true, Ok("/sys/devices/a")),
            ("/sys/bus/../bus/pci/devices/a/class", true, Ok("/sys/devices/a/class")),
            ("/sys/devices/a/loop", true, Err(Errno::ELOOP)),
            ("/sys/devices/a/class/x", true, Err(Errno::ENOTDIR)),
            ("/sys/nothing", true, Err(Errno::ENOENT)),
        ] {
            assert_eq!(files.resolve(path, follow), want.map(str::to_owned), "{path}");
        }
        assert_eq!(files.get("/sys/bus/pci/devices/a"), Some(&Node::Link("../../../devices/a".to_owned())));
    }

    #[test]
    fn what_is_taken_is_gone_with_everything_below() {
        let mut files = tree();
        assert_eq!(files.links_into("/sys/bus", "/sys/devices/a"), ["/sys/bus/pci/devices/a"]);
        let taken = files.take("/sys/devices/a");
        assert_eq!(taken.len(), 3);
        assert!(files.names("/sys/devices").is_empty());
        assert!(files.take("/sys/devices/a").is_empty());
    }
}
