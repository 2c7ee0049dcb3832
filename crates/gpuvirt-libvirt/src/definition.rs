//! A domain's stored definition, secrets included.
//!
//! It has to be read with its secrets, because libvirt takes a definition without a password for one whose
//! password was removed. So it travels in a type that does not show itself.

use std::fmt;

/// The XML of a stored definition as libvirt gave it, passwords and all. It belongs in no log, journal or error.
#[derive(Clone, PartialEq, Eq)]
pub struct Definition(String);

impl Definition {
    pub(crate) fn new(xml: String) -> Self {
        Self(xml)
    }

    /// The XML.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The XML, for callers whose own types carry on. What was said about logs goes on to hold.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Debug for Definition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Definition({} bytes, not shown)", self.0.len())
    }
}

/// The passwords in a document: what libvirt leaves out of XML unless asked for it with `VIR_DOMAIN_XML_SECURE`
/// (`passwd=` of displays). Found in the text, not by parsing: the document may be the one that can't be parsed.
pub(crate) fn secrets(xml: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, name) in xml.match_indices("passwd") {
        let value = xml.get(at + name.len()..).unwrap_or_default().trim_start();
        let Some(value) = value.strip_prefix('=').map(str::trim_start) else { continue };
        let Some(quote) = value.chars().next().filter(|c| matches!(c, '\'' | '"')) else { continue };
        let Some((raw, _)) = value.get(1..).and_then(|value| value.split_once(quote)) else { continue };
        if !raw.is_empty() {
            found.push(unescaped(raw));
            found.push(raw.to_owned());
        }
    }
    // Longest first: one password may be part of another.
    found.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    found.dedup();
    found
}

fn unescaped(raw: &str) -> String {
    let pairs = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    pairs.iter().fold(raw.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_do_not_show_themselves() {
        let definition = Definition::new("<domain><graphics passwd='hunter2'/></domain>".to_owned());
        assert_eq!(format!("{definition:?}"), "Definition(45 bytes, not shown)");
    }

    #[test]
    fn passwords_are_found_as_written_and_as_meant() {
        for (xml, want) in [
            ("<graphics passwd='hunter2' passwdValidTo='x'/>", &["hunter2"][..]),
            ("<graphics passwd = \"a'b&lt;\"/>", &["a'b&lt;", "a'b<"]),
            ("<graphics passwd='' />", &[]),
            ("passwd", &[]),
            ("passwd='open", &[]),
            ("passwd='long1'passwd='longer'", &["longer", "long1"]),
        ] {
            assert_eq!(secrets(xml), want, "{xml}");
        }
    }
}
