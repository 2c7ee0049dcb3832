//! JSON's own events written as YAML blocks.
//!
//! Every string is quoted, but for names that are plain words. That is the point: readers of YAML 1.1, Ansible's among them, take a bare `0000:02:00.0`
//! for a number of base 60, and libraries that follow YAML 1.2 leave it bare.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter, Serializer};

/// A value as YAML, with the same maps, names and order as in JSON. Names must be strings.
///
/// # Errors
/// As serde_json: a map with keys that are no strings.
pub fn to_string<T: Serialize>(value: &T) -> Result<String, serde_json::Error> {
    let mut out = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut out, Blocks::default()))?;
    let text = String::from_utf8_lossy(&out);
    // A name is followed by a space, and by nothing else where a block follows. No string spans lines.
    Ok(text.lines().map(|line| line.trim_end().to_owned() + "\n").collect())
}

/// Where in the document we are.
#[derive(Default)]
struct Blocks {
    /// For each open map or sequence, whether it has anything in it.
    levels: Vec<bool>,
    /// The next entry goes on the line that is begun: it stands behind a dash.
    inline: bool,
    /// The name that is being written, with JSON's escapes.
    name: Option<Vec<u8>>,
    /// Something is written already.
    begun: bool,
}

impl Blocks {
    fn entry<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        if let Some(used) = self.levels.last_mut() {
            *used = true;
        }
        let first = !std::mem::replace(&mut self.begun, true);
        if std::mem::take(&mut self.inline) || first {
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
        self.name = Some(Vec::new());
        self.entry(writer)
    }

    fn end_object_key<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        let name = self.name.take().unwrap_or_default();
        if is_plain_word(&name) {
            return writer.write_all(&name);
        }
        [b"\"", name.as_slice(), b"\""].iter().try_for_each(|part| writer.write_all(part))
    }

    fn begin_string<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        if self.name.is_some() { Ok(()) } else { writer.write_all(b"\"") }
    }

    fn end_string<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.begin_string(writer)
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, text: &str) -> io::Result<()> {
        match &mut self.name {
            Some(name) => name.write_all(text.as_bytes()),
            None => writer.write_all(text.as_bytes()),
        }
    }

    fn write_char_escape<W: ?Sized + Write>(&mut self, writer: &mut W, escape: CharEscape) -> io::Result<()> {
        match &mut self.name {
            Some(name) => CompactFormatter.write_char_escape(name, escape),
            None => CompactFormatter.write_char_escape(writer, escape),
        }
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

/// A name that no reader takes for anything else: our own camelCase, not a word that YAML 1.1 has a meaning for.
fn is_plain_word(name: &[u8]) -> bool {
    const MEANT: [&[u8]; 9] = [b"y", b"n", b"yes", b"no", b"on", b"off", b"true", b"false", b"null"];
    let letters = name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-');
    letters && name.first().is_some_and(u8::is_ascii_lowercase) && !MEANT.contains(&name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

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
        let want = "address: \"0000:02:00.0\"\nnone: null\nlist:\n  - - 1\n    - 2\n  - []\nempty: []\n";
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
            json!({"no": 1, "Yes": 2, "a\n: b": 3, "1": 4, "-": [], "a\u{1b}": {"x-y": null}}),
        ] {
            let text = to_string(&value).unwrap();
            let back: serde_json::Value = serde_yaml_ng::from_str(&text).unwrap();
            assert_eq!(back, value, "{text}");
        }
    }

    fn values() -> impl Strategy<Value = Value> {
        let text = "[a-z]{0,6}|(?s).{0,12}";
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            text.prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((text, inner), 0..4).prop_map(|pairs| pairs.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_value_reads_back(value in values()) {
            let text = crate::render::plain::plain_json(to_string(&value).unwrap());
            let back: Result<Value, _> = serde_yaml_ng::from_str(&text);
            prop_assert_eq!(back.unwrap(), value, "{}", text);
        }
    }
}
