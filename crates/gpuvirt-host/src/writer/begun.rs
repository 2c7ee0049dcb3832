//! A request that is under way at a writer.

use std::io;
use std::time::Instant;

use gpuvirt_model::PciAddress;

use super::left::Mark;
use super::process::{AtWork, Writer, Writers};
use super::request::Answer;
use crate::sysfs::ReadError;

/// What came of a request.
pub(super) enum Asked {
    Answered(Answer),
    /// The deadline passed; this process waits on.
    Waits(u32),
}

/// A request that a writer has taken. One whose answer nobody waits for is left to the writer, which ends then.
pub(crate) struct BegunRequest<'a> {
    pub(super) writers: &'a Writers,
    pub(super) writer: Option<Writer>,
    /// At which it may wait.
    pub(super) function: Option<PciAddress>,
    pub(super) end: Instant,
    pub(super) _mark: Option<Mark<'a>>,
    pub(super) _at_work: AtWork<'a>,
}

impl BegunRequest<'_> {
    /// What a read brought.
    pub(crate) fn content(self) -> Result<Vec<u8>, ReadError> {
        match self.answer().map_err(ReadError::Reader)? {
            Asked::Waits(waits) => Err(ReadError::StillWaiting { waits }),
            Asked::Answered(Answer::Content(content)) => Ok(content),
            Asked::Answered(Answer::Errno(errno)) => {
                Err(ReadError::Errno(io::Error::from_raw_os_error(errno)))
            }
            Asked::Answered(other) => Err(ReadError::Reader(other.unexpected())),
        }
    }

    /// Waits for the answer until the deadline.
    pub(super) fn answer(mut self) -> io::Result<Asked> {
        let Some(mut writer) = self.writer.take() else { return Err(io::Error::other("asked twice")) };
        match writer.answer(self.end) {
            Ok(Some(answer)) => {
                self.writers.is_idle(writer);
                Ok(Asked::Answered(answer))
            }
            Ok(None) => {
                let pid = writer.process.id();
                // Its input ends here: when the kernel lets go of the request, the writer ends by itself.
                self.writers.left.add(writer.process, self.function);
                Ok(Asked::Waits(pid))
            }
            Err(e) => {
                self.writers.left.add(writer.process, None);
                Err(e)
            }
        }
    }
}

impl Drop for BegunRequest<'_> {
    fn drop(&mut self) {
        if let Some(writer) = self.writer.take() {
            self.writers.left.add(writer.process, self.function);
        }
    }
}
