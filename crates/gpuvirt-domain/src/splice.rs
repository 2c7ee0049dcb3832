//! Inserting elements into `<devices>` and cutting elements out of it, in the bytes of the document.
//!
//! Only the inserted and the cut bytes change: no other layout, comment, quote, entity or namespace is rewritten.
//! What is inserted is a run of (white space, element), put right after the last thing in `<devices>`; what is
//! cut is an element with the white space before it. So cutting what was inserted gives back the same bytes.

use std::ops::Range;

use roxmltree::Node;

use crate::element::{Element, Style};
use crate::node;

/// The document with `elements` added at the end of `<devices>`. `None` when it has no `<devices>`.
pub(crate) fn insert(xml: &str, root: &Node<'_, '_>, elements: &[Element]) -> Option<String> {
    let devices = node::child(root, DEVICES)?;
    let style = style(xml, &devices);
    let inserted: String =
        elements.iter().map(|element| format!("{}{}", style.line, element.render(&style))).collect();
    let range = devices.range();
    let source = xml.get(range.clone())?;
    if let Some(open) = source.strip_suffix("/>") {
        let close = outer_line(&style);
        replaced(xml, range, &format!("{open}>{inserted}{close}{SELF_CLOSED}"))
    } else {
        let end_tag = range.start + source.rfind("</")?;
        let at = xml.get(..end_tag)?.trim_end_matches(WHITE).len();
        replaced(xml, at..at, &inserted)
    }
}

/// The document without these elements.
pub(crate) fn cut(xml: &str, root: &Node<'_, '_>, elements: &[Node<'_, '_>]) -> Option<String> {
    let mut ranges: Vec<Range<usize>> = elements.iter().map(Node::range).collect();
    ranges.sort_unstable_by_key(|range| std::cmp::Reverse(range.start));
    let devices = node::child(root, DEVICES)?;
    let (start, end) = (devices.first_child()?.range().start, devices.range().end);
    let mut edited = xml.to_owned();
    for range in ranges {
        let white = edited.get(..range.start)?.trim_end_matches(WHITE).len();
        edited.replace_range(white..range.end, "");
    }
    let end = end.checked_sub(xml.len().checked_sub(edited.len())?)?;
    let rest = edited.get(start..end)?.strip_suffix(SELF_CLOSED);
    if rest.is_some_and(|content| content.trim_matches(WHITE).is_empty()) {
        edited.replace_range(start.checked_sub(1)?..end, "/>");
    }
    Some(edited)
}

/// The document with `element` at the end of `<metadata>`, which is made where there is none, after `<name>` and its like.
pub(crate) fn insert_metadata(xml: &str, root: &Node<'_, '_>, element: Element) -> Option<String> {
    let Some(metadata) = node::child(root, METADATA) else {
        let before = root.children().rfind(|node| HEAD.iter().any(|name| node::is(node, name)))?;
        let style = style_of_child(xml, root, &before);
        let made = Element::new(METADATA).child(element);
        let at = before.range().end;
        return replaced(xml, at..at, &format!("{}{}", style.line, made.render(&style)));
    };
    let (style, range) = (style_within(xml, &metadata), metadata.range());
    let inserted = format!("{}{}", style.line, element.render(&style));
    let source = xml.get(range.clone())?;
    if let Some(open) = source.strip_suffix("/>") {
        let close = outer_line(&style);
        return replaced(
            xml,
            range,
            &format!("{}>{inserted}{close}</{METADATA}>", open.trim_end_matches(WHITE)),
        );
    }
    let end_tag = range.start + source.rfind("</")?;
    let at = xml.get(..end_tag)?.trim_end_matches(WHITE).len();
    let close =
        if metadata.has_children() && xml.get(at..end_tag)?.contains('\n') { "" } else { outer_line(&style) };
    replaced(xml, at..at, &format!("{inserted}{close}"))
}

/// The document without an element of `<metadata>`, and without that too where nothing else is in it.
pub(crate) fn cut_metadata(xml: &str, root: &Node<'_, '_>, element: &Node<'_, '_>) -> Option<String> {
    let metadata = node::child(root, METADATA)?;
    let others = metadata.children().filter(|node| node != element);
    let alone = others
        .into_iter()
        .all(|node| node.is_text() && node.text().is_some_and(|text| text.trim_matches(WHITE).is_empty()));
    let range = if alone { metadata.range() } else { element.range() };
    let white = xml.get(..range.start)?.trim_end_matches(WHITE).len();
    replaced(xml, white..range.end, "")
}

/// The hand in which a child of `parent` is written, as its child `like` shows it.
fn style_of_child(xml: &str, parent: &Node<'_, '_>, like: &Node<'_, '_>) -> Style {
    let quoted = parent.document().root_element();
    let quote = quoted.descendants().filter(Node::is_element).find_map(|node| quote(xml, &node));
    let line = line_before(xml, like);
    let unit = if line.is_some() { "  " } else { "" };
    Style { line: line.unwrap_or_default(), unit: unit.to_owned(), quote: quote.unwrap_or('\'') }
}

/// The hand in which the content of `node` is written, or would be.
fn style_within(xml: &str, node: &Node<'_, '_>) -> Style {
    if let Some(last) = node.last_element_child() {
        return style_of_child(xml, node, &last);
    }
    let own = style_of_child(xml, node, node);
    Style { line: format!("{}{}", own.line, own.unit), ..own }
}

const DEVICES: &str = "devices";
const METADATA: &str = "metadata";
/// What stands before `<metadata>` where libvirt writes it.
const HEAD: [&str; 6] = ["name", "uuid", "hwuuid", "genid", "title", "description"];
/// The end tag that insert() gives to an element that had none. Its space tells cut() so.
const SELF_CLOSED: &str = "</devices >";
/// XML's white space.
const WHITE: [char; 4] = [' ', '\t', '\r', '\n'];

fn replaced(xml: &str, range: Range<usize>, with: &str) -> Option<String> {
    Some([xml.get(..range.start)?, with, xml.get(range.end..)?].concat())
}

/// The hand in which `<devices>` is written, taken from its last element, or from itself when it has none.
fn style(xml: &str, devices: &Node<'_, '_>) -> Style {
    let own = line_before(xml, devices);
    let last = devices.last_element_child();
    let quoted = last.into_iter().chain([*devices]).chain(devices.document().root_element().descendants());
    let quote = quoted.filter(Node::is_element).find_map(|node| quote(xml, &node)).unwrap_or('\'');
    let indent = |line: &str| line.trim_start_matches(['\r', '\n']).to_owned();
    match last.map(|last| line_before(xml, &last)) {
        Some(Some(line)) => {
            let unit = own.and_then(|own| indent(&line).strip_prefix(&indent(&own)).map(str::to_owned));
            Style {
                line,
                unit: unit.filter(|unit| !unit.is_empty()).unwrap_or_else(|| "  ".to_owned()),
                quote,
            }
        }
        Some(None) => Style { line: String::new(), unit: String::new(), quote },
        None => {
            // `<devices>` lies one level deep, so its indentation is the unit.
            let unit =
                own.as_deref().map(indent).filter(|unit| !unit.is_empty()).unwrap_or_else(|| "  ".to_owned());
            Style { line: own.map(|own| format!("{own}{unit}")).unwrap_or_default(), unit, quote }
        }
    }
}

/// The line break and indentation before the end tag of `<devices>` itself.
fn outer_line(style: &Style) -> &str {
    style.line.strip_suffix(style.unit.as_str()).unwrap_or_default()
}

/// The last line break before a node with the indentation after it, if only white space lies between.
fn line_before(xml: &str, node: &Node<'_, '_>) -> Option<String> {
    let before = xml.get(..node.range().start)?;
    let white = before.get(before.trim_end_matches(WHITE).len()..)?;
    let feed = white.rfind('\n')?;
    let start = if white.get(..feed).is_some_and(|head| head.ends_with('\r')) { feed - 1 } else { feed };
    white.get(start..).map(str::to_owned)
}

fn quote(xml: &str, node: &Node<'_, '_>) -> Option<char> {
    let end = node.attributes().next()?.range().end;
    xml.get(..end)?.chars().next_back().filter(|c| matches!(c, '\'' | '"'))
}
