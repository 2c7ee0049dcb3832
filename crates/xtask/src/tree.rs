//! The working tree: its root, its files, its workspace as cargo sees it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::program;

/// The working tree that xtask was built from.
pub struct Tree {
    root: PathBuf,
}

impl Tree {
    /// The tree that holds the folder we are in.
    pub fn find() -> Result<Self> {
        let here = std::env::current_dir().context("find the current folder")?;
        let root = here
            .ancestors()
            .find(|folder| folder.join("crates/xtask/Cargo.toml").is_file())
            .with_context(|| format!("{} is not inside the project", here.display()))?;
        Ok(Self { root: root.to_owned() })
    }

    /// Its root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The text of a file, named from the root.
    pub fn read(&self, path: &str) -> Result<String> {
        std::fs::read_to_string(self.root.join(path)).with_context(|| format!("read {path}"))
    }

    /// Whether a file or folder is there.
    pub fn has(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }

    /// Files that git has or would take (not ignored ones), with this ending, sorted, named from the root.
    pub fn files(&self, ending: &str) -> Result<Vec<String>> {
        let git = program::program(
            self.root(),
            "git",
            &["ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        );
        let listing = program::output(git)?;
        let mut files: Vec<String> = listing
            .split('\0')
            .filter(|path| !path.is_empty() && path.ends_with(ending) && self.has(path))
            .map(str::to_owned)
            .collect();
        files.sort();
        files.dedup();
        Ok(files)
    }

    /// The workspace's own packages, without what they depend on from outside.
    pub fn packages(&self) -> Result<Vec<Package>> {
        let cargo =
            program::cargo(self.root(), &["metadata", "--no-deps", "--format-version", "1", "--locked"]);
        let metadata: Value =
            serde_json::from_str(&program::output(cargo)?).context("read cargo's metadata")?;
        let packages =
            metadata.get("packages").and_then(Value::as_array).context("cargo's metadata has no packages")?;
        Ok(packages.iter().map(Package::from_metadata).collect())
    }
}

/// A package of the workspace.
pub struct Package {
    /// Its name.
    pub name: String,
    /// What it declares.
    pub dependencies: Vec<Dependency>,
}

/// One declared dependency.
pub struct Dependency {
    /// The package it names.
    pub name: String,
    /// Only for tests, examples and benchmarks.
    pub dev: bool,
}

impl Package {
    fn from_metadata(package: &Value) -> Self {
        let text =
            |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let declared = package.get("dependencies").and_then(Value::as_array);
        let dependencies = declared
            .into_iter()
            .flatten()
            .map(|d| Dependency { name: text(d, "name"), dev: text(d, "kind") == "dev" })
            .collect();
        Self { name: text(package, "name"), dependencies }
    }
}
