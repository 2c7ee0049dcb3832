//! The folders, links and files of a recording that are no devices' own, by path.

use std::collections::HashMap;

use gpuvirt_host::DeviceNumber;

use crate::bytes::Span;
use crate::devices::DeviceId;
use crate::error::RecordingError;

/// An entry that no device line stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A folder with the names in it.
    Folder(Vec<Box<str>>),
    /// A link to a device's folder.
    Device(DeviceId),
    /// A link to another path.
    Link(Box<str>),
    /// A character device, with its number where the dump has it.
    CharDevice(Option<DeviceNumber>),
    /// A file of the snapshot.
    File(Span),
    /// A text made from the dump.
    Text(Box<str>),
}

/// All entries by absolute path.
#[derive(Debug, Default)]
pub struct Tree {
    nodes: HashMap<Box<str>, Node>,
    /// What its paths take.
    bytes: usize,
}

/// More than the paths of any host take, each folder of a path counted with all that is above it.
const MAX_BYTES: usize = 128 << 20;

impl Tree {
    /// What is at this path.
    pub fn get(&self, path: &str) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// Adds an entry, with the folders above it; one that is there already stays.
    pub fn add(&mut self, path: &str, node: Node) {
        if self.nodes.contains_key(path) || !self.enter(path, node) {
            return;
        }
        let mut below = path;
        while let Some((parent, name)) = below.rsplit_once('/') {
            let parent = if parent.is_empty() { "/" } else { parent };
            if let Some(above) = self.nodes.get_mut(parent) {
                if let Node::Folder(names) = above {
                    names.push(name.into());
                }
                return;
            }
            if !self.enter(parent, Node::Folder(vec![name.into()])) || parent == "/" {
                return;
            }
            below = parent;
        }
    }

    /// Makes a folder and those above it.
    pub fn folder(&mut self, path: &str) {
        self.add(path, Node::Folder(Vec::new()));
    }

    /// Whether all had room that was added.
    ///
    /// # Errors
    /// [`RecordingError::TooManyPaths`].
    pub fn complete(&self) -> Result<(), RecordingError> {
        if self.bytes > MAX_BYTES { Err(RecordingError::TooManyPaths { limit: MAX_BYTES }) } else { Ok(()) }
    }

    /// Takes an entry in; not, where there is no more room.
    fn enter(&mut self, path: &str, node: Node) -> bool {
        // Once in its own place, once by its name in the folder's.
        self.bytes = self.bytes.saturating_add(2 * path.len());
        let fits = self.bytes <= MAX_BYTES;
        if fits {
            self.nodes.insert(path.into(), node);
        }
        fits
    }

    /// Sorts the names in all folders, once after all were added.
    pub fn sort(&mut self) {
        for nodes in self.nodes.values_mut() {
            if let Node::Folder(names) = nodes {
                names.sort_unstable();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_any_depth_is_added_with_the_folders_above_it() {
        let mut tree = Tree::default();
        let deep = format!("/proc{}", "/a".repeat(6_000));
        tree.add(&deep, Node::Text("x".into()));
        assert_eq!(tree.get(&deep), Some(&Node::Text("x".into())));
        assert_eq!(tree.get("/proc/a"), Some(&Node::Folder(vec!["a".into()])));
        tree.add("/proc/a/b", Node::Text("y".into()));
        tree.add("/proc/a/b", Node::Text("z".into()));
        tree.add("/proc/a/b/c", Node::Text("z".into()));
        assert_eq!(tree.get("/proc/a"), Some(&Node::Folder(vec!["a".into(), "b".into()])));
        assert_eq!(tree.get("/proc/a/b"), Some(&Node::Text("y".into())));
        assert_eq!(tree.get("/"), Some(&Node::Folder(vec!["proc".into()])));
        assert!(tree.complete().is_ok());
        // Each folder's path holds all that is above it: it ends before memory does.
        tree.add(&format!("/sys{}", "/a".repeat(12_000)), Node::Text("x".into()));
        assert!(tree.complete().is_err());
    }
}
