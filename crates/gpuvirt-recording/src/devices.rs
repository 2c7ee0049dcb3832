//! The devices of a dump: their lines, found by path and by key without a copy of either.
//!
//! The text of short lines is kept once; a device is a range of lines in it, a line is a dozen bytes. Values
//! longer than [`KEPT_VALUE`] stay where the recording is and are read when somebody asks.

use std::io;
use std::ops::Range;

use crate::bytes::{Bytes, Span};
use crate::escape;

/// Longer values are left in the recording.
pub const KEPT_VALUE: usize = 1024;

/// What a line of a dump says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `E:` property of the kernel's `uevent` file.
    Property,
    /// `A:` attribute in text.
    Text,
    /// `H:` attribute in hexadecimal.
    Hex,
    /// `L:` symbolic link.
    Link,
    /// `N:` node below /dev.
    Node,
    /// `S:` link below /dev to that node.
    NodeLink,
}

impl Kind {
    /// Attributes and links share one name space; properties and nodes have their own.
    fn space(self) -> u8 {
        match self {
            Self::Property => 0,
            Self::Text | Self::Hex | Self::Link => 1,
            Self::Node | Self::NodeLink => 2,
        }
    }
}

/// A line of a dump. The texts are in [`Devices`].
#[derive(Debug, Clone, Copy)]
pub struct Line {
    kind: Kind,
    outside: bool,
    key_len: u16,
    at: u32,
    value_len: u32,
}

/// A device's number in [`Devices`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeviceId(u32);

#[derive(Debug)]
struct Device {
    path: Range<u32>,
    lines: Range<u32>,
    /// Where attributes and nodes begin among the sorted lines.
    attributes: u32,
    nodes: u32,
}

/// All devices of a dump, in the order of their paths.
#[derive(Debug, Default)]
pub struct Devices {
    text: Vec<u8>,
    lines: Vec<Line>,
    devices: Vec<Device>,
}

/// The value of a line as it comes from the reader.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    /// Short: kept.
    Kept(&'a [u8]),
    /// Long: left in the recording.
    Outside(Span),
}

impl Devices {
    /// Nothing yet, with room for `bytes` of text; room that is not used costs no memory.
    pub fn with_room(bytes: usize) -> Self {
        Self { text: Vec::with_capacity(bytes), ..Self::default() }
    }

    /// Begins a device; the lines that follow are its own.
    pub fn begin(&mut self, path: &str) {
        let path = self.keep(path.as_bytes());
        let end = small(self.lines.len());
        self.devices.push(Device { path, lines: end..end, attributes: end, nodes: end });
    }

    /// Adds a line to the device begun last.
    pub fn add(&mut self, kind: Kind, key: &str, value: Value<'_>) {
        let Ok(key_len) = u16::try_from(key.len()) else { return };
        let at = self.keep(key.as_bytes()).start;
        let (outside, value_len) = match value {
            Value::Kept(bytes) => (false, self.keep(bytes).len()),
            Value::Outside(span) => {
                self.keep(&span.start.to_le_bytes());
                (true, usize::try_from(span.len).unwrap_or(usize::MAX))
            }
        };
        self.lines.push(Line { kind, outside, key_len, at, value_len: small(value_len) });
        if let Some(device) = self.devices.last_mut() {
            device.lines.end = small(self.lines.len());
        }
    }

    fn keep(&mut self, bytes: &[u8]) -> Range<u32> {
        let start = small(self.text.len());
        self.text.extend_from_slice(bytes);
        start..small(self.text.len())
    }

    /// Sorts, so that lookups work. Of devices with the same path and lines with the same key the first stays;
    /// the paths of those dropped are returned.
    pub fn finish(&mut self) -> Vec<String> {
        let mut devices = std::mem::take(&mut self.devices);
        let mut lines = std::mem::take(&mut self.lines);
        for device in &mut devices {
            let Some(own) = lines.get_mut(index(&device.lines)) else { continue };
            let order = |line: &Line| (line.kind.space(), self.key_bytes(line));
            // umockdev-record writes them in this order already.
            if !own.is_sorted_by_key(order) {
                own.sort_by(|a, b| order(a).cmp(&order(b)));
            }
            let before = |space| small(own.partition_point(|line| line.kind.space() < space));
            device.attributes = device.lines.start + before(1);
            device.nodes = device.lines.start + before(2);
        }
        devices.sort_by(|a, b| self.slice(&a.path).cmp(self.slice(&b.path)));
        let mut dropped = Vec::new();
        devices.dedup_by(|later, first| {
            let same = self.slice(&later.path) == self.slice(&first.path);
            if same {
                dropped.push(String::from_utf8_lossy(self.slice(&later.path)).into_owned());
            }
            same
        });
        self.lines = lines;
        self.devices = devices;
        dropped
    }

    fn slice(&self, range: &Range<u32>) -> &[u8] {
        self.text.get(index(range)).unwrap_or_default()
    }

    fn text(&self, range: &Range<u32>) -> &str {
        std::str::from_utf8(self.slice(range)).unwrap_or_default()
    }

    /// All devices.
    pub fn ids(&self) -> impl Iterator<Item = DeviceId> + use<> {
        (0..small(self.devices.len())).map(DeviceId)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.devices.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.devices.is_empty()
    }

    /// The path below /sys, e.g. `/devices/pci0000:00/0000:00:02.0`.
    pub fn path(&self, id: DeviceId) -> &str {
        self.devices.get(id.0 as usize).map_or("", |device| self.text(&device.path))
    }

    /// The last part of the path.
    pub fn name(&self, id: DeviceId) -> &str {
        self.path(id).rsplit('/').next().unwrap_or_default()
    }

    /// The device with this path below /sys.
    pub fn find(&self, path: &str) -> Option<DeviceId> {
        let found = self.devices.binary_search_by(|device| self.slice(&device.path).cmp(path.as_bytes()));
        found.ok().map(|at| DeviceId(small(at)))
    }

    /// The devices whose paths are below `path`, in order.
    pub fn below<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        let from = self.devices.partition_point(|device| before_folder(self.slice(&device.path), path));
        let devices = self.devices.get(from..).unwrap_or_default();
        devices.iter().map_while(move |device| self.text(&device.path).strip_prefix(path)?.strip_prefix('/'))
    }

    fn lines(&self, id: DeviceId, part: impl Fn(&Device) -> Range<u32>) -> &[Line] {
        let part = self.devices.get(id.0 as usize).map(part);
        part.and_then(|part| self.lines.get(index(&part))).unwrap_or_default()
    }

    /// Its attributes and links, in the order of their names.
    pub fn attributes(&self, id: DeviceId) -> &[Line] {
        self.lines(id, |device| device.attributes..device.nodes)
    }

    /// Its properties.
    pub fn properties(&self, id: DeviceId) -> &[Line] {
        self.lines(id, |device| device.lines.start..device.attributes)
    }

    /// Its node and the links to it.
    pub fn nodes(&self, id: DeviceId) -> &[Line] {
        self.lines(id, |device| device.nodes..device.lines.end)
    }

    /// The attribute or link of this name.
    pub fn attribute(&self, id: DeviceId, name: &str) -> Option<&Line> {
        let lines = self.attributes(id);
        let at = lines.partition_point(|line| self.key_bytes(line) < name.as_bytes());
        lines.get(at).filter(|line| self.key_bytes(line) == name.as_bytes())
    }

    /// The attributes whose names are below the folder `prefix/`, which may be empty for all.
    pub fn attributes_below(&self, id: DeviceId, folder: &str) -> &[Line] {
        let lines = self.attributes(id);
        if folder.is_empty() {
            return lines;
        }
        // In byte order everything that begins with "folder/" is together.
        let under =
            |line: &Line| self.key(line).strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
        let from = lines.partition_point(|line| before_folder(self.key_bytes(line), folder));
        let rest = lines.get(from..).unwrap_or_default();
        rest.get(..rest.iter().take_while(|line| under(line)).count()).unwrap_or_default()
    }

    /// The value of a property.
    pub fn property(&self, id: DeviceId, name: &str) -> Option<&str> {
        let lines = self.properties(id);
        let at = lines.partition_point(|line| self.key_bytes(line) < name.as_bytes());
        lines.get(at).filter(|line| self.key_bytes(line) == name.as_bytes()).map(|line| self.plain(line))
    }

    /// A line's kind.
    pub fn kind(line: &Line) -> Kind {
        line.kind
    }

    fn key_bytes(&self, line: &Line) -> &[u8] {
        self.slice(&(line.at..line.at + u32::from(line.key_len)))
    }

    /// A line's key.
    pub fn key(&self, line: &Line) -> &str {
        self.text(&(line.at..line.at + u32::from(line.key_len)))
    }

    /// A short value as it stands in the dump; empty for a long one.
    pub fn plain(&self, line: &Line) -> &str {
        if line.outside {
            return "";
        }
        let start = line.at + u32::from(line.key_len);
        self.text(&(start..start + line.value_len))
    }

    /// At most `limit` bytes of the content that the line stands for. `recording` is where it was indexed from.
    ///
    /// # Errors
    /// The recording's, when a long value can't be read from it.
    pub fn content(&self, line: &Line, recording: &Bytes, limit: usize) -> io::Result<Vec<u8>> {
        let start = line.at + u32::from(line.key_len);
        let stored;
        let text = if line.outside {
            let raw = self.slice(&(start..start + 8));
            let offset = raw.try_into().map(u64::from_le_bytes).unwrap_or(u64::MAX);
            // An escaped byte takes up to four, a hexadecimal one two.
            let longest = limit.saturating_mul(4);
            stored = recording.part(Span { start: offset, len: u64::from(line.value_len) }, longest)?;
            &stored
        } else {
            self.slice(&(start..start + line.value_len))
        };
        Ok(match line.kind {
            Kind::Hex => escape::unhex(text, limit).0,
            _ => escape::unescape(text, limit),
        })
    }
}

/// Whether `path` sorts before everything in `folder/`.
fn before_folder(path: &[u8], folder: &str) -> bool {
    path.iter().copied().lt(folder.bytes().chain([b'/']))
}

fn index(range: &Range<u32>) -> Range<usize> {
    range.start as usize..range.end as usize
}

/// Counts stay far below 2^32: the size of a recording is limited.
fn small(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
