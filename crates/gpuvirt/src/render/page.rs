//! A page of text: headings, named values, lines.

use std::fmt::{Display, Write as _};

use super::plain::plain;
use super::table::Table;

/// Column where a value begins, after its name.
const VALUE: usize = 16;

/// Text that grows line by line; every piece of it is made harmless on the way in.
#[derive(Debug, Default)]
pub struct Page {
    out: String,
}

impl Page {
    /// An empty page.
    pub fn new() -> Self {
        Self::default()
    }

    /// One line.
    pub fn line(&mut self, text: impl Display) {
        self.out.push_str(&plain(&text.to_string()));
        self.out.push('\n');
    }

    /// A heading, with an empty line before it.
    pub fn heading(&mut self, text: impl Display) {
        if !self.out.is_empty() {
            self.out.push('\n');
        }
        self.line(text);
    }

    /// A named value below a heading.
    pub fn field(&mut self, name: &str, value: impl Display) {
        // Writing to a string can't fail.
        let _ = writeln!(self.out, "  {name:<VALUE$}{}", plain(&value.to_string()));
    }

    /// A named value, when there is one.
    pub fn field_if(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.field(name, value);
        }
    }

    /// A named list of values, one a line, the name on the first.
    pub fn list(&mut self, name: &str, values: impl IntoIterator<Item = impl Display>) {
        for (index, value) in values.into_iter().enumerate() {
            self.field(if index == 0 { name } else { "" }, value);
        }
    }

    /// A table.
    pub fn table<const N: usize>(&mut self, indent: usize, table: &Table<N>) {
        self.out.push_str(&table.text(indent));
    }

    /// The text.
    pub fn into_text(self) -> String {
        self.out
    }
}

/// The text, when there is any.
pub(super) fn non_empty(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// The text, or the word for no text.
pub(super) fn or_none(text: String) -> String {
    non_empty(text).unwrap_or_else(|| "none".to_owned())
}
