//! A made-up host as a snapshot: a dump with files that no dump can hold.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use gpuvirt_model::Testimony;
use tar::Builder;

use crate::archive::{DUMP, FILES, MANIFEST, TESTIMONY};
use crate::manifest::{Manifest, SNAPSHOT_VERSION};
use crate::snapshot::append;

/// A snapshot under construction; the same bytes for the same content.
#[derive(Debug, Clone)]
pub struct MadeSnapshot {
    dump: String,
    /// By path; no content: a folder.
    files: BTreeMap<String, Option<String>>,
    absent: BTreeSet<String>,
    modes: BTreeMap<String, u32>,
    testimony: Option<Testimony>,
}

impl MadeSnapshot {
    /// A snapshot of a dump alone.
    pub fn new(dump: String) -> Self {
        let (files, absent, modes) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        Self { dump, files, absent, modes, testimony: None }
    }

    /// Adds a file by its absolute path.
    #[must_use]
    pub fn file(mut self, path: &str, text: &str) -> Self {
        self.absent.remove(path);
        self.files.insert(path.to_owned(), Some(text.to_owned()));
        self
    }

    /// Whether it has this file.
    pub fn has(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }

    /// Adds a folder, which may stay empty.
    #[must_use]
    pub fn folder(mut self, path: &str) -> Self {
        self.files.insert(path.to_owned(), None);
        self
    }

    /// Says what may be done with a file.
    #[must_use]
    pub fn mode(mut self, path: &str, mode: u32) -> Self {
        self.modes.insert(path.to_owned(), mode);
        self
    }

    /// Adds what no file shows.
    #[must_use]
    pub fn testimony(self, testimony: Testimony) -> Self {
        Self { testimony: Some(testimony), ..self }
    }

    /// What no file shows, as far as there is something.
    pub fn told(&self) -> Option<&Testimony> {
        self.testimony.as_ref()
    }

    /// The dump.
    pub fn dump(&self) -> &str {
        &self.dump
    }

    /// The files and folders that were added.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// Forgets a path: whether it is there is not recorded.
    #[must_use]
    pub fn forget(mut self, path: &str) -> Self {
        self.files.remove(path);
        self.absent.remove(path);
        self
    }

    /// The same files with another dump.
    #[must_use]
    pub fn with_dump(self, dump: String) -> Self {
        Self { dump, ..self }
    }

    /// Says of a path that it is not there.
    #[must_use]
    pub fn absent(mut self, path: &str) -> Self {
        self.files.remove(path);
        self.absent.insert(path.to_owned());
        self
    }

    /// The tar.
    ///
    /// # Errors
    /// None but those of writing to memory.
    pub fn bytes(&self) -> io::Result<Vec<u8>> {
        let manifest = Manifest {
            version: SNAPSHOT_VERSION,
            date: "2026-01-01T00:00:00Z".to_owned(),
            kernel_release: None,
            extra_gpus: Vec::new(),
            redacted: Vec::new(),
            unreadable: Vec::new(),
            absent: self.absent.iter().cloned().collect(),
            modes: self.modes.clone(),
        };
        let mut tar = Builder::new(Vec::new());
        append(&mut tar, MANIFEST, Some(&serde_json::to_vec_pretty(&manifest)?))?;
        append(&mut tar, DUMP, Some(self.dump.as_bytes()))?;
        if let Some(testimony) = &self.testimony {
            append(&mut tar, TESTIMONY, Some(&serde_json::to_vec_pretty(testimony)?))?;
        }
        for (path, content) in &self.files {
            append(&mut tar, &format!("{FILES}{path}"), content.as_deref().map(str::as_bytes))?;
        }
        tar.into_inner()
    }
}
