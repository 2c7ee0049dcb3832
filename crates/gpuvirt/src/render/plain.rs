//! Outside text made harmless for a terminal.
//!
//! Names of processes, containers, domains and labels are anybody's to choose: an escape sequence in one could
//! rewrite the admin's screen, a line break could fake a row, a direction override could turn a name around.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The text with everything that a terminal would obey instead of show written as `\u{..}`, line breaks too.
pub fn plain(text: &str) -> Cow<'_, str> {
    if !text.chars().any(obeyed) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if obeyed(c) {
            // Writing to a string can't fail.
            let _ = write!(out, "{}", c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// The same for a text of many lines, such as XML: line breaks and tabs stay.
pub fn plain_lines(text: &str) -> String {
    let parts = text.split_inclusive(['\n', '\t']);
    parts.fold(String::with_capacity(text.len()), |mut out, part| {
        let end = part.trim_end_matches(['\n', '\t']).len();
        let (body, tail) = part.split_at(end);
        out.push_str(&plain(body));
        out.push_str(tail);
        out
    })
}

/// A JSON text, or YAML with JSON's strings, with the same characters as `\uXXXX`: the same document, but harmless to look at.
///
/// serde_json escapes C0 itself; outside of strings JSON has no other of these characters but line feeds.
pub fn plain_json(json: String) -> String {
    let kept = |c: char| c == '\n' || !obeyed(c);
    if json.chars().all(kept) {
        return json;
    }
    let mut out = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if kept(c) {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out
}

/// A character that terminals obey: controls (C0, DEL, C1), line and paragraph separators, and the marks and
/// overrides of writing direction.
fn obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        for (text, want) in [
            ("Xorg", "Xorg"),
            ("größe 日本", "größe 日本"),
            ("\u{1b}[2Jx", "\\u{1b}[2Jx"),
            ("a\nb\tc\r", "a\\u{a}b\\u{9}c\\u{d}"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("\u{7f}", "\\u{7f}"),
            ("abc\u{202e}fed", "abc\\u{202e}fed"),
            ("\u{feff}", "\\u{feff}"),
        ] {
            assert_eq!(plain(text), want, "{text:?}");
        }
    }

    #[test]
    fn lines_and_tabs_of_a_document_stay() {
        assert_eq!(plain_lines("<a>\n\t<b/>\u{1b}c\n\n</a>"), "<a>\n\t<b/>\\u{1b}c\n\n</a>");
    }

    #[test]
    fn json_stays_the_same_document() {
        let value = serde_json::json!({"name": "\u{9b}x\u{202e}\u{1b}\n"});
        let text = plain_json(serde_json::to_string_pretty(&value).unwrap());
        assert!(!text.chars().any(|c| c != '\n' && obeyed(c)), "{text:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }

    proptest::proptest! {
        #[test]
        fn any_text_becomes_harmless(text in "(?s).{0,60}") {
            proptest::prop_assert!(!plain(&text).chars().any(obeyed));
            let lines = plain_lines(&text);
            proptest::prop_assert!(!lines.chars().any(|c| obeyed(c) && c != '\n' && c != '\t'));
        }
    }
}
