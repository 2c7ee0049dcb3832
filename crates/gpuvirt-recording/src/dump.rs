//! Reads a umockdev dump into an index of its devices.
//!
//! The format: blocks separated by empty lines, each begun by `P: /devices/...`, then one line for each fact with
//! its kind in the first letter. One pass with a bounded buffer; whatever makes no sense becomes a note, and the
//! rest is used. Only a text that does not begin as a dump is an error. It decodes no values.

use std::io::{self, BufRead, BufReader};

use memchr::memchr;

use crate::bytes::{Bytes, Span};
use crate::devices::{Devices, KEPT_VALUE, Kind, Value};
use crate::error::RecordingError;
use crate::notes::Notes;

/// Of a line, this much is kept while it is read: enough for the longest key and a value that is kept.
const KEPT_LINE: usize = 4096 + KEPT_VALUE;

/// Properties that udev adds: the kernel's `uevent` file, which is rebuilt from the rest, never has them.
const UDEV_PROPERTIES: [&str; 9] = [
    "ID_",
    "DEVLINKS",
    "DEVPATH",
    "TAGS",
    "CURRENT_TAGS",
    "USEC_INITIALIZED",
    "UDEV_LOG",
    "SYSTEMD_",
    "__DEVCONTEXT",
];

/// The two of udev's properties that are kept: names from its hardware database.
pub(crate) const NAMES: [&str; 2] = ["ID_VENDOR_FROM_DATABASE", "ID_MODEL_FROM_DATABASE"];

/// Indexes a dump.
///
/// # Errors
/// [`RecordingError::Empty`], [`RecordingError::NotADump`] with the line, or the recording's read error.
pub fn index(bytes: &Bytes, notes: &mut Notes) -> Result<Devices, RecordingError> {
    let room = usize::try_from(bytes.len()).unwrap_or(usize::MAX);
    let mut reader = Reader { devices: Devices::with_room(room), notes, number: 0, state: State::Start };
    let mut input = BufReader::with_capacity(128 * 1024, bytes.reader());
    let mut buffer = Vec::with_capacity(KEPT_LINE);
    let mut start = 0;
    let mut ended = true;
    while let Some(line) = next_line(&mut input, &mut buffer).map_err(RecordingError::Read)? {
        reader.number += 1;
        reader.line(&buffer, Span { start, len: line.len })?;
        start += line.len + u64::from(line.ended);
        ended = line.ended;
    }
    if matches!(reader.state, State::Start) {
        return Err(RecordingError::Empty);
    }
    let number = reader.number;
    if !ended {
        reader.notes.add(|| format!("line {number} has no end: the dump may be cut short"));
    }
    let mut devices = reader.devices;
    for path in devices.finish() {
        notes.add(|| format!("{path} is recorded twice; the first is used"));
    }
    Ok(devices)
}

struct RawLine {
    len: u64,
    ended: bool,
}

/// The next line's first [`KEPT_LINE`] bytes in `buffer`, and how long it is without its end.
fn next_line(input: &mut impl BufRead, buffer: &mut Vec<u8>) -> io::Result<Option<RawLine>> {
    buffer.clear();
    let mut line = RawLine { len: 0, ended: false };
    let mut any = false;
    loop {
        let chunk = input.fill_buf()?;
        if chunk.is_empty() {
            return Ok(any.then_some(line));
        }
        any = true;
        let end = memchr(b'\n', chunk);
        let part = chunk.get(..end.unwrap_or(chunk.len())).unwrap_or_default();
        let room = KEPT_LINE.saturating_sub(buffer.len());
        buffer.extend_from_slice(part.get(..room.min(part.len())).unwrap_or_default());
        line.len += part.len() as u64;
        line.ended = end.is_some();
        let used = part.len() + usize::from(line.ended);
        input.consume(used);
        if line.ended {
            return Ok(Some(line));
        }
    }
}

/// Where in a dump we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing but empty lines so far.
    Start,
    /// Between two blocks.
    Between,
    /// In a device's block.
    Device,
    /// In a block that does not begin as a device: its lines belong to nobody.
    Lost,
}

struct Reader<'a> {
    devices: Devices,
    notes: &'a mut Notes,
    number: u64,
    state: State,
}

impl Reader<'_> {
    /// Takes one line: `kept` is its beginning, `span` all of it in the recording.
    fn line(&mut self, kept: &[u8], span: Span) -> Result<(), RecordingError> {
        let kept = kept.strip_suffix(b"\r").unwrap_or(kept);
        if kept.is_empty() {
            if self.state != State::Start {
                self.state = State::Between;
            }
            return Ok(());
        }
        let split = kept.split_at_checked(3).filter(|(tag, _)| tag.ends_with(b": "));
        let tag = split.and_then(|(tag, _)| tag.first().copied());
        let rest = split.map_or(kept, |(_, rest)| rest);
        match (self.state, tag) {
            (_, Some(b'P')) => self.begin(rest),
            (State::Start, _) => self.no_dump(kept),
            (State::Between, _) => {
                let number = self.number;
                self.notes
                    .add(|| format!("line {number}: a block without a \"P: /devices/...\" line; ignored"));
                self.state = State::Lost;
                Ok(())
            }
            (State::Lost, _) => Ok(()),
            (State::Device, Some(tag)) => {
                self.fact(tag, rest, span);
                Ok(())
            }
            (State::Device, None) => {
                self.strange("is not understood; ignored");
                Ok(())
            }
        }
    }

    fn strange(&mut self, what: &str) {
        let number = self.number;
        self.notes.add(|| format!("line {number} {what}"));
    }

    fn no_dump(&self, found: &[u8]) -> Result<(), RecordingError> {
        let found = String::from_utf8_lossy(found).chars().take(40).collect();
        Err(RecordingError::NotADump { line: self.number, found })
    }

    fn begin(&mut self, path: &[u8]) -> Result<(), RecordingError> {
        let sound = std::str::from_utf8(path).ok().filter(|path| {
            let below = path.strip_prefix("/devices/");
            path.len() <= 4096 && below.is_some_and(is_plain_path)
        });
        match sound {
            Some(path) => {
                self.devices.begin(path);
                self.state = State::Device;
            }
            None if self.state == State::Start => {
                return self.no_dump(&[b"P: ", path].concat());
            }
            None => {
                self.strange("begins a device with a path that is none; ignored");
                self.state = State::Lost;
            }
        }
        Ok(())
    }

    fn fact(&mut self, tag: u8, rest: &[u8], span: Span) {
        let kind = match tag {
            b'E' => Kind::Property,
            b'A' => Kind::Text,
            b'H' => Kind::Hex,
            b'L' => Kind::Link,
            b'N' => Kind::Node,
            b'S' => Kind::NodeLink,
            _ => return self.strange("has a kind that is not known; ignored"),
        };
        let equals = memchr(b'=', rest).filter(|_| kind != Kind::NodeLink);
        let (key, value) = match equals.and_then(|at| rest.split_at_checked(at)) {
            Some((key, value)) => (key, value.get(1..).unwrap_or_default()),
            None if matches!(kind, Kind::Node | Kind::NodeLink) => (rest, &b""[..]),
            None => return self.strange("has no \"=\"; ignored"),
        };
        let sound = |key: &&str| kind == Kind::Property || is_plain_path(key);
        let Some(key) = std::str::from_utf8(key).ok().filter(sound).filter(|key| key.len() <= 4000) else {
            return self.strange("has a name that is none; ignored");
        };
        let udev = UDEV_PROPERTIES.iter().any(|skip| key.starts_with(skip));
        if kind == Kind::Property && udev && !NAMES.contains(&key) {
            return;
        }
        // "T: key=" stands before the value.
        let before = 3 + key.len() as u64 + u64::from(equals.is_some());
        let len = span.len.saturating_sub(before);
        let value = if len <= KEPT_VALUE as u64 {
            Value::Kept(value)
        } else {
            Value::Outside(Span { start: span.start + before, len })
        };
        self.devices.add(kind, key, value);
    }
}

/// A relative path of plain names: nothing that leaves its folder.
pub fn is_plain_path(path: &str) -> bool {
    let is_name = |name: &str| !matches!(name, "" | "." | "..");
    !path.contains('\0') && if path.contains('/') { path.split('/').all(is_name) } else { is_name(path) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Result<Devices, RecordingError>, Vec<String>) {
        let mut notes = Notes::default();
        let devices = index(&Bytes::of_memory(text.into()), &mut notes);
        (devices, notes.lines())
    }

    const CARD: &str = "P: /devices/pci0000:00/0000:00:02.0\nE: DRIVER=bochs-drm\nE: ID_PATH=x\nE: SUBSYSTEM=pci\n\
                        A: class=0x038000\\n\nH: config=34121111\nL: driver=../../../bus/pci/drivers/bochs-drm\n\
                        A: power/control=on\\n\n";

    #[test]
    fn a_block_is_read_by_name() {
        let (devices, notes) = read(CARD);
        let devices = devices.unwrap();
        let id = devices.find("/devices/pci0000:00/0000:00:02.0").unwrap();
        let bytes = Bytes::of_memory(CARD.into());
        let content = |name| devices.content(devices.attribute(id, name).unwrap(), &bytes, 4096).unwrap();
        assert_eq!(content("class"), b"0x038000\n");
        assert_eq!(content("config"), [0x34, 0x12, 0x11, 0x11]);
        assert_eq!(content("power/control"), b"on\n");
        assert_eq!(devices.property(id, "DRIVER"), Some("bochs-drm"));
        assert_eq!(devices.property(id, "ID_PATH"), None, "udev's properties are not the kernel's");
        assert!(devices.attribute(id, "vendor").is_none());
        assert!(notes.is_empty(), "{notes:?}");
    }

    #[test]
    fn long_values_stay_in_the_recording() {
        let text = format!("{CARD}H: vpd={}\n", "41".repeat(5000));
        let (devices, _) = read(&text);
        let devices = devices.unwrap();
        let id = devices.ids().next().unwrap();
        let line = devices.attribute(id, "vpd").unwrap();
        let bytes = Bytes::of_memory(text.into());
        assert_eq!(devices.content(line, &bytes, 8192).unwrap(), vec![b'A'; 5000]);
        assert_eq!(devices.content(line, &bytes, 3).unwrap(), b"AAA");
        assert_eq!(devices.plain(line), "");
    }

    #[test]
    fn what_is_no_dump_is_named_with_its_line() {
        for (text, line) in [
            ("hello\n", 1),
            ("\n\n{\"a\":1}\n", 3),
            ("P: ../../etc/passwd\n", 1),
            ("P: /devices/../x\n", 1),
            ("\u{7f}ELF\u{1}\u{2}\n", 1),
        ] {
            match read(text).0 {
                Err(RecordingError::NotADump { line: at, .. }) => assert_eq!(at, line, "{text:?}"),
                other => panic!("{text:?}: {other:?}"),
            }
        }
        assert!(matches!(read("").0, Err(RecordingError::Empty)));
        assert!(matches!(read("\n\n").0, Err(RecordingError::Empty)));
    }

    #[test]
    fn damage_is_noted_and_the_rest_is_used() {
        for (damage, note) in [
            ("garbage\n", "line 9 is not understood"),
            ("A: ../../etc/passwd=x\n", "line 9 has a name that is none"),
            ("A: noequals\n", "line 9 has no \"=\""),
            ("X: a=b\n", "line 9 has a kind"),
            ("A: cut=0x1", "line 9 has no end"),
            ("\nE: lost=1\n", "line 10: a block without"),
            ("\nP: /devices/pci0000:00/0000:00:02.0\nA: class=other\n", "is recorded twice"),
            ("\nP: relative\nA: class=other\n", "path that is none"),
        ] {
            let text = format!("{CARD}{damage}");
            let (devices, notes) = read(&text);
            let devices = devices.unwrap();
            assert!(notes.iter().any(|n| n.contains(note)), "{damage:?}: {notes:?}");
            let id = devices.find("/devices/pci0000:00/0000:00:02.0").unwrap();
            assert_eq!(devices.plain(devices.attribute(id, "class").unwrap()), "0x038000\\n");
        }
    }

    #[test]
    fn a_million_broken_lines_make_few_notes() {
        let (_, notes) = read(&format!("{CARD}{}", "?\n".repeat(100_000)));
        assert!(notes.len() < 100);
        assert!(notes.last().unwrap().contains("more of these"));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "(P: /devices/a|[PNSEAHL]: |\n|=|/|\\.\\.|[a-z]|\u{0}|é|\\\\){0,60}") {
            let _ = read(&text);
            let _ = read(&format!("{CARD}{text}"));
        }
    }
}
