//! A recorded host behind the seam: read-only, answered from one file.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

use gpuvirt_host::{DeviceNumber, Sysfs, WriteError};
use gpuvirt_model::{Domain, Testimony};
use nix::libc;

use crate::archive::{self, Contents};
use crate::bytes::Bytes;
use crate::devices::{Devices, Kind};
use crate::dump;
use crate::error::RecordingError;
use crate::kernel_text;
use crate::manifest::Manifest;
use crate::notes::Notes;
use crate::resolve::{Found, resolve};
use crate::tree::{Node, Tree};

/// More than any host's recording; the index counts in 32 bits.
const MAX_SIZE: u64 = 1 << 30;

/// A recorded host. Writes fail with `EROFS`, and what the recording does not hold is `ENOENT`.
#[derive(Debug)]
pub struct RecordedHost {
    recording: Bytes,
    dump: Bytes,
    devices: Devices,
    tree: Tree,
    notes: Notes,
    manifest: Option<Manifest>,
    testimony: Option<Testimony>,
}

impl RecordedHost {
    /// Opens a umockdev dump or a snapshot; which of the two it is, its content says.
    ///
    /// # Errors
    /// [`RecordingError`].
    pub fn open(path: &Path) -> Result<Self, RecordingError> {
        let file = File::open(path).map_err(RecordingError::Read)?;
        let meta = file.metadata().map_err(RecordingError::Read)?;
        if meta.is_dir() {
            return Err(RecordingError::Read(io::ErrorKind::IsADirectory.into()));
        }
        if !meta.is_file() {
            return Self::from_bytes(read_stream(file)?);
        }
        check_size(meta.len())?;
        Self::of(Bytes::of_file(file, meta.len()))
    }

    /// A recording in memory.
    ///
    /// # Errors
    /// [`RecordingError`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, RecordingError> {
        check_size(bytes.len() as u64)?;
        Self::of(Bytes::of_memory(bytes))
    }

    fn of(recording: Bytes) -> Result<Self, RecordingError> {
        let mut notes = Notes::default();
        let mut head = [0; 512];
        let count = recording.read_at(&mut head, 0).map_err(RecordingError::Read)?;
        let head = head.get(..count).unwrap_or_default();
        refuse_compressed(head)?;
        if !archive::is_tar(head) {
            let devices = dump::index(&recording, &mut notes)?;
            let tree = Tree::of(&devices, &mut notes);
            tree.complete()?;
            let dump = recording.clone();
            return Ok(Self { recording, dump, devices, tree, notes, manifest: None, testimony: None });
        }
        let contents = archive::read(&recording, &mut notes)?;
        let dump = recording.clone().narrowed(contents.dump);
        let devices = dump::index(&dump, &mut notes)?;
        let mut tree = Tree::of(&devices, &mut notes);
        add_files(&mut tree, &devices, &contents)?;
        let (manifest, testimony) = (Some(contents.manifest), contents.testimony);
        Ok(Self { recording, dump, devices, tree, notes, manifest, testimony })
    }

    /// What is missing or strange in it, for people.
    pub fn notes(&self) -> Vec<String> {
        self.notes.lines()
    }

    /// A snapshot's manifest; a bare dump has none.
    pub fn manifest(&self) -> Option<&Manifest> {
        self.manifest.as_ref()
    }

    /// The domains that were recorded with the host; none where they were not.
    pub fn domains(&self) -> Option<&[Domain]> {
        self.testimony.as_ref()?.domains.known().map(Vec::as_slice)
    }

    /// What no file of its kernel's shows; none where it was not recorded.
    pub fn testimony(&self) -> Option<&Testimony> {
        self.testimony.as_ref()
    }

    fn find(&self, path: &str, follow: bool) -> io::Result<(String, Found<'_>)> {
        resolve(&self.devices, &self.tree, path, follow)
    }
}

impl Sysfs for RecordedHost {
    fn read(&self, path: &str, limit: usize) -> io::Result<Vec<u8>> {
        match self.find(path, true)?.1 {
            Found::Line(line) => {
                let content = self.devices.content(line, &self.dump, limit)?;
                Ok(if self.devices.key(line) == "resource" { lines_of_regions(content) } else { content })
            }
            Found::Made(text) => Ok(cut(text.into_bytes(), limit)),
            Found::Node(Node::Text(text)) => Ok(cut(text.as_bytes().to_vec(), limit)),
            Found::Node(Node::File(span)) => self.recording.part(*span, limit),
            // A node's content is a device's, not the recording's.
            Found::Node(Node::CharDevice(_)) => Err(errno(libc::ENXIO)),
            _ => Err(errno(libc::EISDIR)),
        }
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let (at, found) = self.find(path, true)?;
        let mut names: Vec<String> = match &found {
            Found::Node(Node::Folder(_)) | Found::Above | Found::Folder(..) => Vec::new(),
            _ => return Err(errno(libc::ENOTDIR)),
        };
        if let Some(Node::Folder(listed)) = self.tree.get(&at) {
            names.extend(listed.iter().map(|name| name.to_string()));
        }
        if let Some(below) = at.strip_prefix("/sys") {
            push_distinct(&mut names, self.devices.below(below));
        }
        if let Found::Folder(id, folder) = &found {
            let lines = self.devices.attributes_below(*id, folder).iter();
            let skip = if folder.is_empty() { 0 } else { folder.len() + 1 };
            push_distinct(&mut names, lines.filter_map(|line| self.devices.key(line).get(skip..)));
            if folder.is_empty() {
                names.extend(made_names(&self.devices, *id));
            }
        }
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    fn read_link(&self, path: &str) -> io::Result<String> {
        let (at, found) = self.find(path, false)?;
        match found {
            Found::Line(line) if Devices::kind(line) == Kind::Link => Ok(self.devices.plain(line).to_owned()),
            Found::MadeLink(target) => Ok(target),
            Found::Node(Node::Link(target)) => Ok(target.to_string()),
            Found::Node(Node::Device(id)) => {
                Ok(kernel_text::relative(&at, &format!("/sys{}", self.devices.path(*id))))
            }
            _ => Err(errno(libc::EINVAL)),
        }
    }

    fn exists(&self, path: &str) -> bool {
        self.find(path, false).is_ok()
    }

    fn mode(&self, path: &str) -> io::Result<u32> {
        let recorded = self.manifest.as_ref().and_then(|manifest| manifest.modes.get(path));
        recorded.copied().ok_or_else(|| io::ErrorKind::Unsupported.into())
    }

    fn knows_absence(&self, path: &str) -> bool {
        let Some(manifest) = &self.manifest else { return false };
        // All of a device's attributes are in a snapshot's dump.
        path.starts_with("/sys/bus/pci/devices/") || manifest.absent.iter().any(|absent| absent == path)
    }

    fn device_number(&self, path: &str) -> io::Result<Option<DeviceNumber>> {
        match self.find(path, true)?.1 {
            Found::Node(Node::CharDevice(number)) => Ok(*number),
            _ => Ok(None),
        }
    }

    fn write(&self, _path: &str, _data: &[u8]) -> io::Result<()> {
        Err(errno(libc::EROFS))
    }

    fn write_that_may_block(&self, _: &str, _: &[u8], _: Duration) -> Result<(), WriteError> {
        Err(WriteError::Errno(errno(libc::EROFS)))
    }

    fn load_module(&self, _name: &str) -> io::Result<()> {
        Err(errno(libc::EROFS))
    }
}

/// Adds the folders and files of a snapshot. What the dump says goes first.
fn add_files(tree: &mut Tree, devices: &Devices, contents: &Contents) -> Result<(), RecordingError> {
    for path in contents.folders.iter().filter(|path| path.len() > 1) {
        tree.folder(path);
    }
    for (path, span) in &contents.files {
        tree.complete()?;
        if resolve(devices, tree, path, true).is_err() {
            tree.add(path, Node::File(*span));
        }
    }
    tree.sort();
    tree.complete()
}

/// The first names of these relative paths, each once where equal ones follow each other.
fn push_distinct<'a>(names: &mut Vec<String>, paths: impl Iterator<Item = &'a str>) {
    let mut last = "";
    for path in paths {
        let name = path.split('/').next().unwrap_or_default();
        if name != last {
            names.push(name.to_owned());
            last = name;
        }
    }
}

fn made_names(devices: &Devices, id: crate::devices::DeviceId) -> impl Iterator<Item = String> {
    let subsystem = devices.property(id, "SUBSYSTEM").map(|_| "subsystem".to_owned());
    let driver = kernel_text::driver(devices, id).map(|_| "driver".to_owned());
    let identity = ["vendor", "device", "subsystem_vendor", "subsystem_device", "class", "modalias"]
        .into_iter()
        .filter(move |name| kernel_text::identity_text(devices, id, name).is_some())
        .map(str::to_owned);
    let identity: Vec<String> = identity.collect();
    ["uevent".to_owned()].into_iter().chain(subsystem).chain(driver).chain(identity)
}

/// Some public dumps have lost the newlines between the regions of `resource`; each is as long as the other.
fn lines_of_regions(text: Vec<u8>) -> Vec<u8> {
    /// Three numbers of 64 bits with `0x`, and two spaces.
    const REGION: usize = 3 * 18 + 2;
    if text.len() <= REGION || text.contains(&b'\n') || !text.chunks_exact(REGION).remainder().is_empty() {
        return text;
    }
    text.chunks(REGION).flat_map(|region| [region, b"\n"].concat()).collect()
}

fn cut(mut bytes: Vec<u8>, limit: usize) -> Vec<u8> {
    bytes.truncate(limit);
    bytes
}

fn errno(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}

fn check_size(size: u64) -> Result<(), RecordingError> {
    if size > MAX_SIZE { Err(RecordingError::TooLarge { size, limit: MAX_SIZE }) } else { Ok(()) }
}

fn read_stream(file: File) -> Result<Vec<u8>, RecordingError> {
    let mut bytes = Vec::new();
    let mut limited = io::Read::take(file, MAX_SIZE + 1);
    io::Read::read_to_end(&mut limited, &mut bytes).map_err(RecordingError::Read)?;
    check_size(bytes.len() as u64)?;
    Ok(bytes)
}

fn refuse_compressed(head: &[u8]) -> Result<(), RecordingError> {
    let kinds: [(&[u8], &'static str); 4] = [
        (&[0x1f, 0x8b], "gzip"),
        (b"\xfd7zXZ", "xz"),
        (&[0x28, 0xb5, 0x2f, 0xfd], "zstd"),
        (b"BZh", "bzip2"),
    ];
    match kinds.iter().find(|(magic, _)| head.starts_with(magic)) {
        Some((_, with)) => Err(RecordingError::Compressed { with }),
        None => Ok(()),
    }
}
