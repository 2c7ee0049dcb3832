//! What a writer may be asked for, and how it is asked: a line of JSON each way.

use std::io;

use serde::{Deserialize, Serialize};

use super::module::ModuleName;
use super::read::BlockingRead;
use super::write::BlockingWrite;
use crate::vendor::{ProgramCall, ProgramEnd};

/// The longest line of the protocol; a path and its data are far shorter.
pub(crate) const LINE_LIMIT: u64 = 4096;

/// The longest answer: a program's two outputs, escaped.
pub(super) const ANSWER_LIMIT: u64 = 2 << 20;
/// What is asked of a writer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Request {
    /// A write.
    Write(BlockingWrite),
    /// A file that shows what was set, one of those that writers read, is set, unless it shows it already; what it shows then
    /// is the answer.
    Set {
        /// How it is set.
        write: BlockingWrite,
        /// What it shows when it is so: kernels differ.
        shown: Vec<String>,
    },
    /// A read.
    Read(BlockingRead),
    /// A program to be run.
    Run(ProgramCall),
    /// A kernel module to be loaded.
    Load(ModuleName),
    /// Who it is.
    Introduce,
}

/// Rises with each change of these lines that the other side would not understand.
pub(super) const PROTOCOL: u32 = 2;
/// A writer's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Answer {
    /// The kernel took the write.
    Done,
    /// What was read.
    Content(Vec<u8>),
    /// How a program ended.
    Ended(ProgramEnd),
    /// Who it is: its process, and how it speaks.
    Introduced {
        /// Its process.
        pid: u32,
        /// [`PROTOCOL`].
        protocol: u32,
    },
    /// The kernel's errno.
    Errno(i32),
    /// The request was not understood or not allowed; nothing was written.
    Rejected(String),
}

impl Answer {
    /// Why an answer is none to what was asked.
    pub(crate) fn unexpected(self) -> io::Error {
        match self {
            Self::Rejected(why) => io::Error::other(why),
            Self::Done | Self::Content(_) | Self::Ended(_) | Self::Introduced { .. } | Self::Errno(_) => {
                io::Error::other("it answered another question")
            }
        }
    }
}
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_asks_for_something_else_does_not_become_a_request() {
        let line = r#"{"path":"/etc/shadow","data":"1"}"#;
        assert!(serde_json::from_str::<BlockingWrite>(line).is_err());
        for line in [r#"{"write":{"path":"/etc/shadow","data":"1"}}"#, r#"{"read":"/etc/shadow"}"#] {
            assert!(serde_json::from_str::<Request>(line).is_err());
        }
    }
}
