//! JSON's own events written as YAML blocks.
//!
//! Every string is quoted. That is the point: readers of YAML 1.1, Ansible's among them, take a bare `0000:02:00.0`
//! for a number of base 60, and libraries that follow YAML 1.2 leave it bare.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// A value as YAML, with the same maps, names and order as in JSON.
///
/// # Errors
/// As serde_json: a map with keys that are no strings.
pub fn to_string<T: Serialize>(value: &T) -> Result<String, serde_json::Error> {
    let mut out = Vec::new();
    value
        .serialize(&mut Serializer::with_formatter(&mut out, Blocks { levels: Vec::new(), inline: true }))?;
    let text = String::from_utf8_lossy(&out);
    // A name is followed by a space, and by nothing else where a block follows. No string spans lines.
    Ok(text.lines().map(|line| line.trim_end().to_owned() + "\n").collect())
}

/// Where in the document we are.
struct Blocks {
    /// For each open map or sequence, whether it has anything in it.
    levels: Vec<bool>,
    /// The next entry goes on the line that is begun: it is the document's first, or stands behind a dash.
    inline: bool,
}

impl Blocks {
    fn entry<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        if let Some(used) = self.levels.last_mut() {
            *used = true;
        }
        if std::mem::take(&mut self.inline) {
            return Ok(());
        }
        let indent = 2 * self.levels.len().saturating_sub(1);
        write!(writer, "\n{:indent$}", "")
    }

    fn end<W: ?Sized + Write>(&mut self, writer: &mut W, empty: &[u8]) -> io::Result<()> {
        self.inline = false;
        if self.levels.pop() == Some(false) { writer.write_all(empty) } else { Ok(()) }
    }
}

impl Formatter for Blocks {
    fn begin_array<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.levels.push(false);
        Ok(())
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.end(writer, b"[]")
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, _first: bool) -> io::Result<()> {
        self.entry(writer)?;
        self.inline = true;
        writer.write_all(b"- ")
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.inline = false;
        Ok(())
    }

    fn begin_object<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.levels.push(false);
        Ok(())
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.end(writer, b"{}")
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, _first: bool) -> io::Result<()> {
        self.entry(writer)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn blocks_are_nested_by_two_spaces() {
        #[derive(Serialize)]
        struct Sample {
            address: &'static str,
            none: Option<u8>,
            list: Vec<Vec<u8>>,
            empty: Vec<u8>,
        }
        let sample =
            Sample { address: "0000:02:00.0", none: None, list: vec![vec![1, 2], vec![]], empty: vec![] };
        let want = "\"address\": \"0000:02:00.0\"\n\"none\": null\n\"list\":\n  - - 1\n    - 2\n  - []\n\"empty\": []\n";
        assert_eq!(to_string(&sample).unwrap(), want);
    }

    #[test]
    fn any_value_reads_back() {
        for value in [
            json!({"a": {"b": [{"c": 1, "d": [[], {}, [{"e": null}]]}, {"f": "x: y # z\n- \u{1b}\"\\"}]}, "g": {}}),
            json!([]),
            json!("no"),
            json!([[1, [2, {"a": true}]], -1.5]),
            json!({"": {" k ": "trailing  "}}),
        ] {
            let text = to_string(&value).unwrap();
            let back: serde_json::Value = serde_yaml_ng::from_str(&text).unwrap();
            assert_eq!(back, value, "{text}");
        }
    }
}
