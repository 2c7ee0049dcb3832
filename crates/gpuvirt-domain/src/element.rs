//! Writing elements in the hand of the document that they go into.

use std::fmt::Write as _;

/// How a document is laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Style {
    /// What ends a line and indents an element of the outermost level that is written; empty when the document
    /// is on one line.
    pub(crate) line: String,
    /// One more level of indentation.
    pub(crate) unit: String,
    /// Around attribute values.
    pub(crate) quote: char,
}

impl Style {
    /// libvirt's own, starting at the margin.
    pub(crate) fn libvirt() -> Self {
        Self { line: "\n".to_owned(), unit: "  ".to_owned(), quote: '\'' }
    }
}

/// An element to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Element {
    name: &'static str,
    attributes: Vec<(&'static str, String)>,
    children: Vec<Element>,
}

impl Element {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, attributes: Vec::new(), children: Vec::new() }
    }

    pub(crate) fn attribute(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.attributes.push((name, value.into()));
        self
    }

    pub(crate) fn child(mut self, child: Self) -> Self {
        self.children.push(child);
        self
    }

    /// The element's text, without white space before or after it.
    pub(crate) fn render(&self, style: &Style) -> String {
        let mut out = String::new();
        self.write(&mut out, style, &style.line);
        out
    }

    fn write(&self, out: &mut String, style: &Style, line: &str) {
        out.push('<');
        out.push_str(self.name);
        for (name, value) in &self.attributes {
            let _infallible = write!(out, " {name}={q}{}{q}", escape(value), q = style.quote);
        }
        if self.children.is_empty() {
            out.push_str("/>");
            return;
        }
        out.push('>');
        let inner = if line.is_empty() { String::new() } else { format!("{line}{}", style.unit) };
        for child in &self.children {
            out.push_str(&inner);
            child.write(out, style, &inner);
        }
        out.push_str(line);
        let _infallible = write!(out, "</{}>", self.name);
    }
}

/// Attribute values of ours are addresses, uuids and names made of them; escaping does not rely on that.
fn escape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\t' | '\n' | '\r' => {
                let _infallible = write!(out, "&#{};", u32::from(c));
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_a_parser() {
        for value in ["plain", "a'b\"c<d>e&f", "line\nbreak\ttab\rreturn", "--]]>", "ü"] {
            for quote in ['\'', '"'] {
                let style = Style { quote, ..Style::libvirt() };
                let xml = Element::new("a").attribute("v", value).render(&style);
                assert_eq!(
                    roxmltree::Document::parse(&xml).unwrap().root_element().attribute("v"),
                    Some(value)
                );
            }
        }
    }

    #[test]
    fn layout_follows_the_style() {
        let element = Element::new("a").child(Element::new("b").child(Element::new("c")));
        assert_eq!(element.render(&Style::libvirt()), "<a>\n  <b>\n    <c/>\n  </b>\n</a>");
        let flat = Style { line: String::new(), ..Style::libvirt() };
        assert_eq!(element.render(&flat), "<a><b><c/></b></a>");
        let windows = Style { line: "\r\n\t".to_owned(), unit: "\t".to_owned(), quote: '"' };
        assert_eq!(element.render(&windows), "<a>\r\n\t\t<b>\r\n\t\t\t<c/>\r\n\t\t</b>\r\n\t</a>");
    }
}
