//! The snapshot's container, a tar: found by content, read in place, never unpacked.
//!
//! A snapshot may come from anybody. Names that leave the archive, links and special files are ignored with a
//! note; sizes beyond the file, and two entries of one name, are refused.

use std::collections::BTreeSet;
use std::io;

use gpuvirt_model::{Domain, Reading, Testimony};
use serde::Deserialize;
use tar::{Archive, Entry};

use crate::bytes::{Bytes, BytesReader, Span};
use crate::dump::is_plain_path;
use crate::error::RecordingError;
use crate::manifest::{Manifest, SNAPSHOT_VERSION};
use crate::notes::Notes;

/// The dump's name in a snapshot.
pub const DUMP: &str = "host.umockdev";
/// The manifest's name.
pub const MANIFEST: &str = "manifest.json";
/// The name of what no file shows.
pub const TESTIMONY: &str = "testimony.json";
/// The domains' name in snapshots of before there was a testimony.
const DOMAINS: &str = "domains.json";
/// The folder of files that a dump can't hold, by their absolute paths.
pub const FILES: &str = "files";

/// A manifest or a testimony is small.
const MAX_JSON: u64 = 16 << 20;
/// More entries than any snapshot has.
const MAX_ENTRIES: usize = 100_000;
/// Longer and deeper than any path of a host: the kernel takes 4096 bytes (`PATH_MAX`), and sysfs is not half as deep.
const MAX_NAME: usize = 4096;
const MAX_DEPTH: usize = 64;
/// How much of a name that is too long is shown.
const SHOWN: usize = 60;

/// Where a snapshot's parts are.
#[derive(Debug)]
pub struct Contents {
    /// The manifest.
    pub manifest: Manifest,
    /// The dump.
    pub dump: Span,
    /// Files by absolute path.
    pub files: Vec<(String, Span)>,
    /// Folders by absolute path, which may be empty.
    pub folders: Vec<String>,
    /// What no file shows.
    pub testimony: Option<Testimony>,
}

/// Whether the first 512 bytes are a tar header.
pub fn is_tar(head: &[u8]) -> bool {
    head.get(257..262) == Some(b"ustar")
}

/// Finds a snapshot's parts.
///
/// # Errors
/// [`RecordingError::NotASnapshot`], [`RecordingError::Version`], or the recording's read error.
pub fn read(recording: &Bytes, notes: &mut Notes) -> Result<Contents, RecordingError> {
    let mut parts = Parts::default();
    let mut archive = Archive::new(recording.reader());
    let entries = archive.entries_with_seek().map_err(damaged)?;
    for (count, entry) in entries.enumerate() {
        if count >= MAX_ENTRIES {
            return Err(RecordingError::NotASnapshot(format!("more than {MAX_ENTRIES} entries")));
        }
        parts.take(&entry.map_err(damaged)?, recording.len(), notes)?;
    }
    let manifest = parts.manifest.ok_or_else(|| lacks(MANIFEST))?;
    let dump = parts.dump.ok_or_else(|| lacks(DUMP))?;
    let manifest = read_manifest(recording, manifest)?;
    let domains = parts.domains.map(|span| read_json::<Vec<Domain>>(recording, span, DOMAINS)).transpose()?;
    let alone = |domains| Testimony { domains: Reading::Known(domains), ..Testimony::default() };
    let testimony = parts.testimony.map(|span| read_json(recording, span, TESTIMONY)).transpose()?;
    let testimony = testimony.or_else(|| domains.map(alone));
    Ok(Contents { manifest, dump, files: parts.files, folders: parts.folders, testimony })
}

#[derive(Default)]
struct Parts {
    seen: BTreeSet<String>,
    manifest: Option<Span>,
    dump: Option<Span>,
    domains: Option<Span>,
    testimony: Option<Span>,
    files: Vec<(String, Span)>,
    folders: Vec<String>,
}

impl Parts {
    fn take(
        &mut self,
        entry: &Entry<'_, BytesReader<'_>>,
        size: u64,
        notes: &mut Notes,
    ) -> Result<(), RecordingError> {
        let Some(name) = name(entry, notes) else { return Ok(()) };
        let name = name.as_str();
        if entry.header().entry_type().is_dir() {
            let path = name.strip_prefix(FILES).filter(|path| path.starts_with('/'));
            self.folders.extend(path.map(|path| path.trim_end_matches('/').to_owned()));
            return Ok(());
        }
        let span = Span { start: entry.raw_file_position(), len: entry.size() };
        if span.start.checked_add(span.len).is_none_or(|end| end > size) {
            let what = format!("{name:?} claims {} bytes, more than the file has", span.len);
            return Err(RecordingError::NotASnapshot(what));
        }
        if !self.seen.insert(name.to_owned()) {
            return Err(RecordingError::NotASnapshot(format!("{name:?} is in it twice")));
        }
        match name {
            MANIFEST => self.manifest = Some(span),
            DUMP => self.dump = Some(span),
            DOMAINS => self.domains = Some(span),
            TESTIMONY => self.testimony = Some(span),
            _ => match name.strip_prefix(FILES).filter(|path| path.starts_with('/')) {
                Some(path) => self.files.push((path.to_owned(), span)),
                None => notes.add(|| format!("snapshot entry {name:?} is not known; ignored")),
            },
        }
        Ok(())
    }
}

/// The name of an entry that can be one of a snapshot's. Any other entry is ignored, with a note.
fn name(entry: &Entry<'_, BytesReader<'_>>, notes: &mut Notes) -> Option<String> {
    let bytes = entry.path_bytes();
    let depth = bytes.split(|byte| *byte == b'/').count();
    if bytes.len() > MAX_NAME || depth > MAX_DEPTH {
        let shown = String::from_utf8_lossy(bytes.get(..SHOWN).unwrap_or(&bytes)).into_owned();
        notes.add(|| format!("snapshot entry {shown:?}... has a name too long or too deep; ignored"));
        return None;
    }
    let Ok(name) = std::str::from_utf8(&bytes) else {
        let shown = String::from_utf8_lossy(&bytes).into_owned();
        notes.add(|| format!("snapshot entry {shown:?} has a name that is no text; ignored"));
        return None;
    };
    let kind = entry.header().entry_type();
    if !kind.is_file() && !kind.is_dir() {
        notes.add(|| format!("snapshot entry {name:?} is no plain file; ignored"));
        return None;
    }
    if !is_plain_path(name.strip_suffix('/').unwrap_or(name)) {
        notes.add(|| format!("snapshot entry {name:?} would leave the snapshot; ignored"));
        return None;
    }
    Some(name.to_owned())
}

fn read_manifest(recording: &Bytes, span: Span) -> Result<Manifest, RecordingError> {
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let version: Version = read_json(recording, span, MANIFEST)?;
    if version.version == 0 || version.version > SNAPSHOT_VERSION {
        return Err(RecordingError::Version { found: version.version, known: SNAPSHOT_VERSION });
    }
    read_json(recording, span, MANIFEST)
}

fn read_json<T: for<'de> Deserialize<'de>>(
    recording: &Bytes,
    span: Span,
    name: &str,
) -> Result<T, RecordingError> {
    if span.len > MAX_JSON {
        return Err(RecordingError::NotASnapshot(format!("{name} has {} bytes", span.len)));
    }
    let bytes = recording.part(span, usize::MAX).map_err(RecordingError::Read)?;
    serde_json::from_slice(&bytes).map_err(|error| RecordingError::NotASnapshot(format!("{name}: {error}")))
}

fn lacks(name: &str) -> RecordingError {
    RecordingError::NotASnapshot(format!("it holds no {name}"))
}

fn damaged(error: io::Error) -> RecordingError {
    RecordingError::NotASnapshot(format!("the tar is damaged: {error}"))
}
