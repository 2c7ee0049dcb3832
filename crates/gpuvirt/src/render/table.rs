//! Columns: a header in capitals, two spaces between, no frames, so that `awk` and eyes can both use them.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr as _;

use super::plain::plain;

/// Rows under a header.
#[derive(Debug)]
pub struct Table<const N: usize> {
    header: [&'static str; N],
    rows: Vec<[String; N]>,
    optional: &'static [&'static str],
}

/// What an empty cell shows.
pub const NONE: &str = "-";

impl<const N: usize> Table<N> {
    /// A table with these column heads.
    pub fn new(header: [&'static str; N]) -> Self {
        Self { header, rows: Vec::new(), optional: &[] }
    }

    /// Leaves these columns out when no row has anything in them.
    #[must_use]
    pub fn optional(mut self, columns: &'static [&'static str]) -> Self {
        self.optional = columns;
        self
    }

    /// Adds a row. Cells are outside text: they are made harmless here, and empty ones show `-`.
    pub fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(|cell| match plain(&cell) {
            text if text.is_empty() => NONE.to_owned(),
            text => text.into_owned(),
        }));
    }

    /// The text, each line ended, `indent` spaces in front.
    pub fn text(&self, indent: usize) -> String {
        let used: Vec<usize> = (0..N).filter(|column| self.is_used(*column)).collect();
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.width());
            cells.chain(self.header.get(column).map(|head| head.width())).max().unwrap_or(0)
        };
        let widths: Vec<(usize, usize)> = used.iter().map(|column| (*column, width(*column))).collect();
        let mut out = String::new();
        let mut line = |cells: &dyn Fn(usize) -> Option<String>| {
            let mut text = " ".repeat(indent);
            for (column, width) in &widths {
                let cell = cells(*column).unwrap_or_default();
                let padding = width.saturating_sub(cell.width()) + 2;
                // Writing to a string can't fail.
                let _ = write!(text, "{cell}{:padding$}", "");
            }
            out.push_str(text.trim_end());
            out.push('\n');
        };
        line(&|column| self.header.get(column).map(ToString::to_string));
        for row in &self.rows {
            line(&|column| row.get(column).cloned());
        }
        out
    }

    fn is_used(&self, column: usize) -> bool {
        let optional = self.header.get(column).is_some_and(|head| self.optional.contains(head));
        !optional || self.rows.iter().filter_map(|row| row.get(column)).any(|cell| cell != NONE)
    }
}

/// At most `width` columns of a text, with `…` where something was cut off.
pub fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    for c in text.chars() {
        if out.width() + unicode_width::UnicodeWidthChar::width(c).unwrap_or(0) >= width {
            break;
        }
        out.push(c);
    }
    out.truncate(out.trim_end().len());
    out.push('…');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_unused_ones_go() {
        let mut table = Table::new(["NAME", "LABEL", "N"]).optional(&["LABEL"]);
        table.row(["größe".into(), String::new(), "1".into()]);
        table.row(["日本".into(), String::new(), "\u{1b}".into()]);
        assert_eq!(table.text(0), "NAME   N\ngröße  1\n日本   \\u{1b}\n");
        table.row(["x".into(), "l".into(), String::new()]);
        assert_eq!(table.text(1).lines().last(), Some(" x      l      -"));
    }

    #[test]
    fn long_texts_are_cut_at_a_width() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "ab…");
        assert_eq!(cut("ab cd", 4), "ab…");
        assert_eq!(cut("日本語", 4), "日…");
    }
}
