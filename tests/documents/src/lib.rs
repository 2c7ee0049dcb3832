//! What the project's documents tell people to type.
//!
//! Tests of this package hold it against the command's grammar and the names of refusals; the end-to-end tests run it in
//! the lab. It reads Markdown and shell lines as this project writes them, and no more.

mod block;
mod line;
mod span;
mod transcript;
mod tree;

pub use block::{Block, blocks};
pub use line::{commands, without_comment};
pub use span::{Span, spans};
pub use transcript::{PROMPT, Transcript, commands_of, stands_for};
pub use tree::{Document, documents, read};
