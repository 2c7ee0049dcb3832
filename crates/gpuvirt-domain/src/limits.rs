//! Bounds on a document before it is parsed.
//!
//! roxmltree refuses DTDs, keeps no stack of its own and so survives any nesting, but compares each attribute
//! with all earlier ones of its element and copies the namespaces in scope to every element that declares one:
//! both are quadratic. One pass over the bytes keeps such documents out. It need not judge well-formedness: what
//! it takes for tags in a broken document is refused by the parser afterwards.

use crate::XmlError;

/// libvirt's own limit on a string in a message of its protocol (`REMOTE_STRING_MAX`).
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// Elements within elements. libvirt's deepest are about ten; `<metadata>` is anybody's.
const MAX_DEPTH: usize = 200;
/// Attributes of one element.
const MAX_ATTRIBUTES: usize = 100;
/// Namespace declarations in the whole document.
const MAX_NAMESPACES: usize = 500;

/// Elements, texts, comments: bounds the memory that the parser takes.
pub(crate) const MAX_NODES: u32 = 200_000;

/// Refuses documents that would be costly to parse.
///
/// # Errors
/// [`XmlError::TooLarge`], [`XmlError::Absurd`].
pub(crate) fn check(xml: &str) -> Result<(), XmlError> {
    if xml.len() > MAX_BYTES {
        return Err(XmlError::TooLarge { bytes: xml.len(), limit: MAX_BYTES });
    }
    let (mut depth, mut namespaces) = (0_usize, 0_usize);
    let mut rest = xml;
    while let Some((_, after)) = rest.split_once('<') {
        if let Some(skipped) = skip_unparsed(after) {
            rest = skipped;
            continue;
        }
        let tag = Tag::scan(after);
        rest = after.get(tag.len..).unwrap_or_default();
        depth = match (after.starts_with('/'), tag.self_closing) {
            (true, _) => depth.saturating_sub(1),
            (false, true) => depth,
            (false, false) => depth + 1,
        };
        namespaces += tag.namespaces;
        for (count, limit, what) in [
            (depth, MAX_DEPTH, "levels of elements"),
            (tag.attributes, MAX_ATTRIBUTES, "attributes in one element"),
            (namespaces, MAX_NAMESPACES, "namespace declarations"),
        ] {
            if count > limit {
                return Err(XmlError::Absurd { what, limit });
            }
        }
    }
    Ok(())
}

/// What follows a comment, a CDATA section or a processing instruction, if one begins here.
fn skip_unparsed(after: &str) -> Option<&str> {
    [("!--", "-->"), ("![CDATA[", "]]>"), ("?", "?>")].into_iter().find_map(|(open, close)| {
        let body = after.strip_prefix(open)?;
        Some(body.split_once(close).map_or("", |(_, rest)| rest))
    })
}

/// What is counted of a tag.
struct Tag {
    len: usize,
    attributes: usize,
    namespaces: usize,
    self_closing: bool,
}

impl Tag {
    /// Reads up to the `>` that is in no quotes.
    fn scan(after: &str) -> Self {
        let (mut quote, mut attributes, mut last, mut len) = (None, 0, b' ', after.len());
        for (at, byte) in after.bytes().enumerate() {
            match (quote, byte) {
                (Some(open), _) if byte == open => quote = None,
                (Some(_), _) => {}
                (None, b'"' | b'\'') => quote = Some(byte),
                (None, b'=') => attributes += 1,
                (None, b'>') => {
                    len = at + 1;
                    break;
                }
                (None, _) => {}
            }
            last = byte;
        }
        let namespaces = after.get(..len).map_or(0, |tag| tag.matches("xmlns").count());
        Self { len, attributes, namespaces, self_closing: last == b'/' }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_costly_to_parse_is_refused() {
        let deep = "<a>".repeat(MAX_DEPTH + 1);
        let attributes: String = (0..=MAX_ATTRIBUTES).map(|n| format!(" a{n}=''")).collect();
        let spaced: String = (0..=MAX_NAMESPACES).map(|n| format!("<a xmlns:n{n}='u'/>")).collect();
        for (xml, what) in [
            (deep, "levels of elements"),
            (format!("<a{attributes}/>"), "attributes in one element"),
            (format!("<r>{spaced}</r>"), "namespace declarations"),
        ] {
            assert!(matches!(check(&xml), Err(XmlError::Absurd { what: w, .. }) if w == what), "{what}");
        }
        assert!(matches!(check(&" ".repeat(MAX_BYTES + 1)), Err(XmlError::TooLarge { .. })));
    }

    #[test]
    fn what_only_looks_costly_is_not() {
        let many = "<a/>".repeat(20_000);
        let unparsed = "<a>".repeat(1000);
        for xml in [
            format!("<r>{many}</r>"),
            format!("<r><!-- {unparsed} --><![CDATA[{unparsed}]]><?x {unparsed}?></r>"),
            format!("<r a='{}'>{}</r>", "=".repeat(9999), "=".repeat(9999)),
            "<r a='>' b=\"/>\">".to_owned() + &"<x></x>".repeat(1000),
            "<".to_owned(),
            "<!--".to_owned(),
            String::new(),
        ] {
            assert_eq!(check(&xml), Ok(()), "{:.60}", xml);
        }
    }
}
