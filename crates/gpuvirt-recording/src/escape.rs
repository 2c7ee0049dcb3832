//! The texts of a dump: C escapes and hexadecimal.
//!
//! umockdev-record writes attributes with GLib's `g_strescape` and reads them with `g_strcompress`: `\n`, `\t`,
//! `\r`, `\b`, `\f`, `\v`, `\\`, `\"`, and one to three octal digits for every other byte outside ASCII.

use std::fmt::Write as _;

/// The bytes behind an escaped text, at most `limit` of them. A lone backslash at the end stands for nothing.
pub fn unescape(text: &[u8], limit: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len().min(limit));
    let mut rest = text.iter().copied().peekable();
    while bytes.len() < limit {
        let byte = match rest.next() {
            None => break,
            Some(b'\\') => match rest.next() {
                None => break,
                Some(first @ b'0'..=b'7') => {
                    let mut value = u32::from(first - b'0');
                    for _ in 0..2 {
                        let Some(digit) = rest.next_if(|b| (b'0'..=b'7').contains(b)) else { break };
                        value = value * 8 + u32::from(digit - b'0');
                    }
                    (value & 0xff) as u8
                }
                Some(b'n') => b'\n',
                Some(b't') => b'\t',
                Some(b'r') => b'\r',
                Some(b'b') => 0x08,
                Some(b'f') => 0x0c,
                Some(b'v') => 0x0b,
                Some(other) => other,
            },
            Some(plain) => plain,
        };
        bytes.push(byte);
    }
    bytes
}

/// The escaped text of an attribute that is UTF-8 without NUL bytes.
pub fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + 8);
    for &byte in bytes {
        match byte {
            b'\n' => text.push_str("\\n"),
            b'\t' => text.push_str("\\t"),
            b'\r' => text.push_str("\\r"),
            0x08 => text.push_str("\\b"),
            0x0c => text.push_str("\\f"),
            0x0b => text.push_str("\\v"),
            b'\\' => text.push_str("\\\\"),
            b'"' => text.push_str("\\\""),
            0x20..=0x7e => text.push(char::from(byte)),
            // Always three digits, so that a digit after it stays a digit.
            _ => drop(write!(text, "\\{byte:03o}")),
        }
    }
    text
}

/// The bytes behind hexadecimal digits, at most `limit`, and whether all of it was sound. It ends at the first
/// pair that is none.
pub fn unhex(text: &[u8], limit: usize) -> (Vec<u8>, bool) {
    let mut bytes = Vec::with_capacity((text.len() / 2).min(limit));
    for pair in text.chunks(2).take(limit) {
        let value = match *pair {
            [high, low] => digit(high).zip(digit(low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        let Some(value) = value else { return (bytes, false) };
        bytes.push(value);
    }
    (bytes, true)
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// Bytes as upper-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02X}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_read_as_glib_reads_them() {
        for (text, want) in [
            ("0x10de\\n", &b"0x10de\n"[..]),
            ("a\\\\b", b"a\\b"),
            ("\\\"x\\\"", b"\"x\""),
            ("\\302\\265s", "µs".as_bytes()),
            ("\\0", b"\0"),
            ("\\12x", b"\nx"),
            ("\\1234", b"S4"),
            ("\\777", b"\xff"),
            ("\\q", b"q"),
            ("end\\", b"end"),
            ("", b""),
        ] {
            assert_eq!(unescape(text.as_bytes(), 100), want, "{text}");
        }
        assert_eq!(unescape(b"abcdef", 3), b"abc");
    }

    #[test]
    fn hexadecimal_ends_where_it_stops_making_sense() {
        assert_eq!(unhex(b"0081fe0A", 100), (vec![0, 0x81, 0xfe, 0x0a], true));
        assert_eq!(unhex(b"0081f", 100), (vec![0, 0x81], false));
        assert_eq!(unhex(b"00zz11", 100), (vec![0], false));
        assert_eq!(unhex(b"00112233", 2), (vec![0, 0x11], true));
        assert_eq!(hex(&[0, 0xab]), "00AB");
    }

    proptest::proptest! {
        #[test]
        fn what_is_escaped_reads_back(bytes: Vec<u8>) {
            proptest::prop_assert_eq!(unescape(escape(&bytes).as_bytes(), usize::MAX), bytes.clone());
            proptest::prop_assert_eq!(unhex(hex(&bytes).as_bytes(), usize::MAX), (bytes, true));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>, limit in 0usize..40) {
            proptest::prop_assert!(unescape(&bytes, limit).len() <= limit);
            proptest::prop_assert!(unhex(&bytes, limit).0.len() <= limit);
        }
    }
}
