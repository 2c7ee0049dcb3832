//! Words in backquotes in a document's running text.

use crate::block::fence;

/// What stands between two backquotes.
#[derive(Debug, PartialEq, Eq)]
pub struct Span {
    /// The line where its paragraph begins, from 1.
    pub line: usize,
    /// Its text, in one line.
    pub text: String,
}

/// All spans outside of fenced blocks. One may go over the end of a line, never over that of a paragraph.
pub fn spans(text: &str) -> Vec<Span> {
    let mut found = Vec::new();
    let (mut paragraph, mut begin, mut fenced) = (String::new(), 1, false);
    for (at, line) in text.lines().enumerate() {
        let is_fence = fence(line).is_some();
        if is_fence || fenced || line.trim().is_empty() || line.starts_with('|') {
            found.extend(of_paragraph(&std::mem::take(&mut paragraph), begin));
            begin = at + 2;
        }
        if line.starts_with('|') && !fenced {
            found.extend(of_paragraph(line, at + 1));
        } else if !is_fence && !fenced {
            paragraph.push_str(line.trim());
            paragraph.push(' ');
        }
        fenced ^= is_fence;
    }
    found.extend(of_paragraph(&paragraph, begin));
    found
}

fn of_paragraph(text: &str, line: usize) -> Vec<Span> {
    let parts: Vec<&str> = text.split('`').collect();
    parts
        .iter()
        .skip(1)
        .step_by(2)
        // What no backquote closes is no span.
        .take(parts.len().saturating_sub(1) / 2)
        .map(|part| Span { line, text: (*part).to_owned() })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_found_outside_of_blocks() {
        let text = "a `b` and `c\nd`\n\n```sh\n`no`\n```\n| `e` | x |\nopen ` alone\n";
        let got: Vec<(usize, String)> = spans(text).into_iter().map(|span| (span.line, span.text)).collect();
        assert_eq!(got, [(1, "b".to_owned()), (1, "c d".to_owned()), (7, "e".to_owned())]);
    }
}
