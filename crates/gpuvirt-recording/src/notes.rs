//! What is missing or strange in a recording, in words for people.

/// Notes that are kept; a broken file of a million lines must not make a million notes.
const KEPT: usize = 40;

/// Notes on a recording, capped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    kept: Vec<String>,
    more: usize,
}

impl Notes {
    /// Adds a note; the text is made only when it is kept.
    pub fn add(&mut self, note: impl FnOnce() -> String) {
        if self.kept.len() < KEPT {
            self.kept.push(note());
        } else {
            self.more += 1;
        }
    }

    /// Adds what others found.
    pub fn extend(&mut self, other: Self) {
        self.more += other.more;
        for note in other.kept {
            self.add(|| note);
        }
    }

    /// All notes, with a last line for those that were dropped.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = self.kept.clone();
        if self.more > 0 {
            lines.push(format!("and {} more of these", self.more));
        }
        lines
    }
}
