//! Fenced blocks of a document, with what a reader does not see: why a block is not run.
//!
//! ```text
//! <!-- not run: the reason -->
//! ```sh
//! ```

/// A fenced block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The line of its fence, from 1.
    pub line: usize,
    /// The nearest heading above, without `#`.
    pub heading: String,
    /// What stands behind the fence: `sh` for what is to be typed, `console` for commands with their output.
    pub language: String,
    /// Why the end-to-end tests don't run it: a comment `<!-- not run: REASON -->` in the line above.
    pub not_run: Option<String>,
    /// What is in it.
    pub lines: Vec<String>,
}

impl Block {
    /// What a reader types, one line each, as it stands there. Only of blocks in `sh`.
    pub fn typed(&self) -> impl Iterator<Item = &str> {
        let shell = self.language == "sh";
        self.lines.iter().map(String::as_str).filter(move |line| shell && !line.trim().is_empty())
    }
}

/// All fenced blocks of a text.
pub fn blocks(text: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut heading = String::new();
    let mut above = "";
    let mut lines = text.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        if let Some(language) = fence(line) {
            found.push(Block {
                line: at + 1,
                heading: heading.clone(),
                language: language.to_owned(),
                not_run: reason(above),
                lines: lines
                    .by_ref()
                    .map(|(_, line)| line)
                    .take_while(|line| fence(line).is_none())
                    .map(str::to_owned)
                    .collect(),
            });
        } else if line.starts_with('#') {
            heading = line.trim_start_matches('#').trim().to_owned();
        }
        above = line;
    }
    found
}

/// What stands behind a fence, which may be in a list's item.
pub(crate) fn fence(line: &str) -> Option<&str> {
    let item = line.trim_start().trim_start_matches(|c: char| c.is_ascii_digit());
    item.strip_prefix(". ").unwrap_or(item).trim_start().strip_prefix("```").map(str::trim)
}

fn reason(line: &str) -> Option<String> {
    let comment = line.trim().strip_prefix("<!-- not run: ")?.strip_suffix("-->")?;
    Some(comment.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# One

text
<!-- not run: needs a person -->
```sh
reboot

again
```

## Two
3. ```console
   # gpuvirt status
   ok
   ```
<!-- not run: of another block -->

```
output
```
";

    #[test]
    fn blocks_have_their_heading_their_language_and_their_reason() {
        let found = blocks(TEXT);
        let short: Vec<(usize, &str, &str, Option<&str>)> =
            found.iter().map(|b| (b.line, &*b.heading, &*b.language, b.not_run.as_deref())).collect();
        assert_eq!(
            short,
            [(5, "One", "sh", Some("needs a person")), (12, "Two", "console", None), (18, "Two", "", None)]
        );
        let typed: Vec<Vec<&str>> = found.iter().map(|block| block.typed().collect()).collect();
        assert_eq!(typed, [vec!["reboot", "again"], vec![], vec![]]);
    }
}
