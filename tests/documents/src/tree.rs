//! The project's documents, where they are in the tree.

use std::fs;
use std::path::{Path, PathBuf};

/// A document.
#[derive(Debug)]
pub struct Document {
    /// Its path from the root: `docs/vgpu.md`.
    pub name: String,
    /// What stands in it.
    pub text: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A file of the tree by its path from the root.
///
/// # Panics
/// When it can't be read.
#[track_caller]
pub fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// What people read: the Markdown files at the root, below `docs` and below `tests`.
///
/// # Panics
/// When the tree can't be read.
pub fn documents() -> Vec<Document> {
    let mut names = Vec::new();
    for folder in ["", "docs", "tests"] {
        collect(Path::new(folder), &mut names);
    }
    names.sort();
    names.into_iter().map(|name| Document { text: read(&name), name }).collect()
}

/// At the root only files, elsewhere folders too; never what a build made.
fn collect(folder: &Path, names: &mut Vec<String>) {
    let entries =
        fs::read_dir(root().join(folder)).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries.flatten() {
        let path = folder.join(entry.file_name());
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let Some(name) = path.to_str() else { continue };
        if is_folder && folder != Path::new("") && !name.ends_with("/target") {
            collect(&path, names);
        } else if !is_folder && name.ends_with(".md") {
            names.push(name.to_owned());
        }
    }
}
