//! Transcripts below `docs/transcripts`: a document's commands as they were typed in the lab, with what they printed.
//!
//! A transcript begins with a table of what stands for what, since the documents name cards and VMs that the lab has not.
//! Each block of the document is a block of the transcript, in `console`; what was typed begins with [`PROMPT`].

use crate::{Block, blocks, without_comment};

/// What stands before each line that was typed.
pub const PROMPT: &str = "root@lab:~# ";

/// A transcript, read.
#[derive(Debug)]
pub struct Transcript {
    /// What stands for what: the document's word, and the lab's.
    pub words: Vec<(String, String)>,
    /// What was typed, in the order of the document, without what the test did between.
    pub typed: Vec<String>,
}

impl Transcript {
    /// Reads one.
    pub fn read(text: &str) -> Self {
        let cells = text
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.strip_suffix("` |")?.split_once("` | `"));
        let consoles = blocks(text).into_iter().filter(|block| block.language == "console");
        let lines = consoles.flat_map(|block| block.lines);
        Self {
            words: cells.map(|(word, here)| (word.to_owned(), here.to_owned())).collect(),
            typed: lines.filter_map(|line| line.strip_prefix(PROMPT).map(str::to_owned)).collect(),
        }
    }
}

/// A line of a document with the words of one who follows it, longer words first.
pub fn stands_for(line: &str, words: &[(String, String)]) -> String {
    let mut ordered: Vec<&(String, String)> = words.iter().collect();
    ordered.sort_by_key(|(word, _)| std::cmp::Reverse(word.len()));
    ordered.iter().fold(line.to_owned(), |line, (word, here)| line.replace(word.as_str(), here))
}

/// What a reader of this document types where it can be run, without what is said beside it.
pub fn commands_of(text: &str) -> Vec<String> {
    let run: Vec<Block> = blocks(text).into_iter().filter(|block| block.not_run.is_none()).collect();
    run.iter().flat_map(Block::typed).map(|line| without_comment(line).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transcript_tells_what_was_typed_and_for_what() {
        let text = "| `41:00.0` | `02:00.0` |\n\n```console\nroot@lab:~# gpuvirt gpu show 02:00.0\n# of the document\n```\n";
        let read = Transcript::read(text);
        assert_eq!(read.words, [("41:00.0".to_owned(), "02:00.0".to_owned())]);
        assert_eq!(read.typed, ["gpuvirt gpu show 02:00.0"]);
        let document =
            "```sh\ngpuvirt gpu show 41:00.0   # all of it\n```\n<!-- not run: no -->\n```sh\nreboot\n```\n";
        let typed: Vec<String> =
            commands_of(document).iter().map(|line| stands_for(line, &read.words)).collect();
        assert_eq!(typed, read.typed);
    }
}
