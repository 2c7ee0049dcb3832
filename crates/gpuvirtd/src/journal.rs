//! The log as systemd's journal takes it: each line with its fields, so that `journalctl GPUVIRT_GPU=0000:41:00.0` finds all
//! that happened to a card (systemd.journal-fields(7), "Journal Native Protocol" of systemd's documentation).
//!
//! Only where systemd connected our standard error with the journal; anywhere else the log is text on standard error. A
//! line that the journal does not take goes there too.

use std::fmt::{self, Write as _};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use nix::sys::stat::fstat;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// Where the journal listens.
const SOCKET: &str = "/run/systemd/journal/socket";
/// The longest value that is sent; a datagram has to hold all of them.
const LONGEST: usize = 16 << 10;
/// The field that holds the names of refusals, with commas between them.
const CODES: &str = "code";
/// The target of the spans that say which GPU and VM a request is about.
pub const OBJECT: &str = "gpuvirt::object";

/// The journal's end of the log.
#[derive(Debug)]
pub struct Journal {
    socket: UnixDatagram,
}

impl Journal {
    /// The journal, where systemd connected our standard error with it: `$JOURNAL_STREAM` names its device and inode
    /// (systemd.exec(5)).
    pub fn of_this_service() -> Option<Self> {
        let named = std::env::var("JOURNAL_STREAM").ok()?;
        let stderr = fstat(io::stderr().as_fd()).ok()?;
        if named != format!("{}:{}", stderr.st_dev, stderr.st_ino) {
            return None;
        }
        Self::at(Path::new(SOCKET)).ok()
    }

    fn at(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(path)?;
        Ok(Self { socket })
    }
}

/// What a line or a span says besides its text.
#[derive(Debug, Default, Clone)]
struct Fields {
    message: String,
    others: Vec<(&'static str, String)>,
}

impl Fields {
    fn add(&mut self, field: &Field, value: String) {
        match field.name() {
            "message" => self.message = value,
            name => self.others.push((name, value)),
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format!("{value:?}"));
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Journal {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            if let Some(fields) = span.extensions_mut().get_mut::<Fields>() {
                values.record(fields);
            }
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let text = text(&fields);
        for span in context.event_scope(event).into_iter().flatten() {
            let about = span.extensions().get::<Fields>().map(|about| about.others.clone());
            // What the line itself says counts.
            let new = |(name, _): &(&str, String)| fields.others.iter().all(|(known, _)| known != name);
            let more: Vec<_> = about.unwrap_or_default().into_iter().filter(new).collect();
            fields.others.extend(more);
        }
        let datagram = datagram(*event.metadata().level(), &text, &fields.others);
        if self.socket.send(&datagram).is_err() {
            eprintln!("{text}");
        }
    }
}

/// The line for people: the message, then each field.
fn text(fields: &Fields) -> String {
    let mut text = fields.message.clone();
    for (name, value) in fields.others.iter().filter(|(_, value)| !value.is_empty()) {
        // Writing to a string can't fail.
        let _ = if value.contains(|c: char| c == ' ' || c == '"' || c.is_control()) {
            write!(text, " {name}={value:?}")
        } else {
            write!(text, " {name}={value}")
        };
    }
    text
}

fn datagram(level: Level, text: &str, fields: &[(&'static str, String)]) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, "PRIORITY", priority(level));
    put(&mut out, "SYSLOG_IDENTIFIER", "gpuvirtd");
    put(&mut out, "MESSAGE", text);
    for (name, value) in fields {
        let journals = format!("GPUVIRT_{}", name.to_uppercase());
        // A field may be there more than once: each code is found by itself.
        let several = *name == CODES;
        let values = value.split(|c| several && c == ',').filter(|value| !value.is_empty());
        values.for_each(|value| put(&mut out, &journals, value));
    }
    out
}

/// A field with its length, so that a value may hold any byte.
fn put(out: &mut Vec<u8>, name: &str, value: &str) {
    let end = value.char_indices().map(|(at, _)| at).take_while(|at| *at <= LONGEST).last().unwrap_or(0);
    let value = if value.len() > LONGEST { value.get(..end).unwrap_or_default() } else { value };
    out.extend_from_slice(name.as_bytes());
    out.push(b'\n');
    out.extend_from_slice(&(value.len() as u64).to_le_bytes());
    out.extend_from_slice(value.as_bytes());
    out.push(b'\n');
}

/// syslog's priorities.
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "3",
        Level::WARN => "4",
        Level::INFO => "6",
        _ => "7",
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// The fields of a datagram.
    fn read(mut bytes: &[u8]) -> Vec<(String, String)> {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let end = bytes.iter().position(|b| *b == b'\n').unwrap();
            let name = std::str::from_utf8(&bytes[..end]).unwrap().to_owned();
            let length = u64::from_le_bytes(bytes[end + 1..end + 9].try_into().unwrap()) as usize;
            let value = std::str::from_utf8(&bytes[end + 9..end + 9 + length]).unwrap().to_owned();
            assert_eq!(bytes[end + 9 + length], b'\n');
            fields.push((name, value));
            bytes = &bytes[end + 10 + length..];
        }
        fields
    }

    /// What the journal is sent for these lines.
    fn sent(lines: impl FnOnce()) -> Vec<Vec<(String, String)>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let journal = UnixDatagram::bind(&path).unwrap();
        journal.set_nonblocking(true).unwrap();
        let log = tracing_subscriber::registry().with(Journal::at(&path).unwrap());
        tracing::subscriber::with_default(log, lines);
        let mut all = Vec::new();
        let mut buffer = vec![0; 256 << 10];
        while let Ok(length) = journal.recv(&mut buffer) {
            all.push(read(&buffer[..length]));
        }
        all
    }

    fn values<'a>(line: &'a [(String, String)], name: &str) -> Vec<&'a str> {
        line.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    }

    #[test]
    fn a_line_has_its_fields_and_those_of_what_it_is_about() {
        let lines = sent(|| {
            let span =
                tracing::info_span!(target: OBJECT, "object", gpu = tracing::field::Empty, vm = "win 11");
            span.in_scope(|| {
                span.record("gpu", "0000:41:00.0");
                tracing::warn!(
                    uid = 1000,
                    code = "gpu-in-use,boot-display",
                    why = "a\nb",
                    what = "one, two",
                    "not done"
                );
            });
            tracing::info!(gpu = "none", "afterwards");
        });
        assert_eq!(lines.len(), 2);
        let line = &lines[0];
        assert_eq!(values(line, "PRIORITY"), ["4"]);
        assert_eq!(values(line, "SYSLOG_IDENTIFIER"), ["gpuvirtd"]);
        assert_eq!(values(line, "GPUVIRT_GPU"), ["0000:41:00.0"]);
        assert_eq!(values(line, "GPUVIRT_VM"), ["win 11"]);
        assert_eq!(values(line, "GPUVIRT_CODE"), ["gpu-in-use", "boot-display"]);
        assert_eq!(values(line, "GPUVIRT_UID"), ["1000"]);
        assert_eq!(values(line, "GPUVIRT_WHAT"), ["one, two"]);
        assert_eq!(values(line, "GPUVIRT_WHY"), ["a\nb"], "no value becomes a field of its own");
        assert_eq!(
            values(line, "MESSAGE"),
            ["not done uid=1000 code=gpu-in-use,boot-display why=\"a\\nb\" what=\"one, two\""]
        );
        assert_eq!(values(&lines[1], "GPUVIRT_VM"), [""; 0]);
    }

    #[test]
    fn a_very_long_value_is_cut_between_characters() {
        let lines = sent(|| tracing::info!(what = "ü".repeat(LONGEST), "asked"));
        let value = values(&lines[0], "GPUVIRT_WHAT")[0];
        assert!(value.len() <= LONGEST && value.len() > LONGEST - 4, "{}", value.len());
    }

    #[test]
    fn where_standard_error_is_no_journal_there_is_none() {
        assert!(Journal::of_this_service().is_none());
        assert!(Journal::at(Path::new("/nonexistent/journal")).is_err());
    }
}
