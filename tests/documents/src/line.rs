//! A shell line, read as far as the documents use the shell: quotes, comments, pipes, redirections.

/// The line without what a reader is told beside it.
pub fn without_comment(line: &str) -> &str {
    let mut quote = None;
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (None, '#') if before.is_whitespace() => return line.get(..at).unwrap_or_default().trim_end(),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            _ => {}
        }
        before = c;
    }
    line.trim_end()
}

/// The simple commands of a line, each as its words: `a | b > file && c` is three, without the file.
pub fn commands(line: &str) -> Vec<Vec<String>> {
    let mut reader = Reader::default();
    for c in without_comment(line).chars() {
        reader.take(c);
    }
    reader.end_command();
    reader.commands
}

#[derive(Default)]
struct Reader {
    commands: Vec<Vec<String>>,
    words: Vec<String>,
    word: Option<String>,
    quote: Option<char>,
    /// The next word is a file.
    redirected: bool,
}

impl Reader {
    fn take(&mut self, c: char) {
        match (self.quote, c) {
            (Some(open), _) if open == c => self.quote = None,
            (Some(_), _) => self.word.get_or_insert_default().push(c),
            (None, '"' | '\'') => {
                self.quote = Some(c);
                self.word.get_or_insert_default();
            }
            (None, '|' | ';' | '&') => self.end_command(),
            (None, '>' | '<') => {
                // A number before it is a descriptor.
                self.word = self.word.take().filter(|word| word.bytes().any(|b| !b.is_ascii_digit()));
                self.end_word();
                self.redirected = true;
            }
            (None, _) if c.is_whitespace() => self.end_word(),
            (None, _) => self.word.get_or_insert_default().push(c),
        }
    }

    fn end_word(&mut self) {
        if let Some(word) = self.word.take() {
            if !std::mem::take(&mut self.redirected) {
                self.words.push(word);
            }
        }
    }

    fn end_command(&mut self) {
        self.end_word();
        self.redirected = false;
        if !self.words.is_empty() {
            self.commands.push(std::mem::take(&mut self.words));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_beside_a_command_is_no_part_of_it() {
        for (line, want) in [
            ("gpuvirt doctor    # what is in the way", "gpuvirt doctor"),
            ("gpuvirt doctor", "gpuvirt doctor"),
            ("# all of it", ""),
            ("echo 'a # b' c#d  # e", "echo 'a # b' c#d"),
        ] {
            assert_eq!(without_comment(line), want, "{line}");
        }
    }

    #[test]
    fn lines_are_split_into_commands_and_words() {
        for (line, want) in [
            ("gpuvirt import > gpus.yaml", &[&["gpuvirt", "import"] as &[&str]] as &[&[&str]]),
            ("gpuvirt gpu list 2>/dev/null | less", &[&["gpuvirt", "gpu", "list"], &["less"]]),
            ("a 'b c' \"\" && d; e &", &[&["a", "b c", ""], &["d"], &["e"]]),
            ("", &[]),
        ] {
            let got = commands(line);
            assert_eq!(got, want.iter().map(|words| words.to_vec()).collect::<Vec<_>>(), "{line}");
        }
    }
}
