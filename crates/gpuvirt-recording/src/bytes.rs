//! A recording's bytes: a file that is read where it is needed, or memory.
//!
//! A dump of several hundred functions has megabytes of config space in hexadecimal that nobody asks for, so long
//! values stay in the file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Bytes with random access.
#[derive(Debug, Clone)]
pub struct Bytes {
    from: From,
    base: u64,
    len: u64,
}

#[derive(Debug, Clone)]
enum From {
    File(Arc<File>),
    Memory(Arc<Vec<u8>>),
}

/// A part of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: u64,
    /// Number of bytes.
    pub len: u64,
}

impl Bytes {
    /// The bytes of a regular file of this length.
    pub fn of_file(file: File, len: u64) -> Self {
        Self { from: From::File(Arc::new(file)), base: 0, len }
    }

    /// Bytes in memory.
    pub fn of_memory(memory: Vec<u8>) -> Self {
        let len = memory.len() as u64;
        Self { from: From::Memory(Arc::new(memory)), base: 0, len }
    }

    /// How many bytes there are.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Narrows to a part, which must lie inside; offsets count from its start afterwards.
    #[must_use]
    pub fn narrowed(self, span: Span) -> Self {
        let start = span.start.min(self.len);
        Self { base: self.base + start, len: span.len.min(self.len - start), ..self }
    }

    /// Fills `buffer` from `offset` on as far as there are bytes.
    ///
    /// # Errors
    /// The file's.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let left = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let want = buffer.len().min(left);
        let buffer = buffer.get_mut(..want).unwrap_or_default();
        let at = self.base + offset;
        match &self.from {
            From::Memory(memory) => {
                let from = usize::try_from(at).unwrap_or(usize::MAX).min(memory.len());
                let source = memory.get(from..).unwrap_or_default();
                let count = buffer.len().min(source.len());
                if let (Some(to), Some(bytes)) = (buffer.get_mut(..count), source.get(..count)) {
                    to.copy_from_slice(bytes);
                }
                Ok(count)
            }
            From::File(file) => {
                let mut done = 0;
                while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
                    match file.read_at(rest, at + done as u64) {
                        Ok(0) => break,
                        Ok(count) => done += count,
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(error) => return Err(error),
                    }
                }
                Ok(done)
            }
        }
    }

    /// At most `limit` bytes of a part.
    ///
    /// # Errors
    /// The file's; `UnexpectedEof` when it has become shorter.
    pub fn part(&self, span: Span, limit: usize) -> io::Result<Vec<u8>> {
        let want = usize::try_from(span.len).unwrap_or(usize::MAX).min(limit);
        let mut buffer = vec![0; want];
        if self.read_at(&mut buffer, span.start)? < want {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(buffer)
    }

    /// Reads on from the start.
    pub fn reader(&self) -> BytesReader<'_> {
        BytesReader { bytes: self, offset: 0 }
    }
}

/// A reader over [`Bytes`].
#[derive(Debug, Clone)]
pub struct BytesReader<'a> {
    bytes: &'a Bytes,
    offset: u64,
}

impl io::Read for BytesReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.bytes.read_at(buffer, self.offset)?;
        self.offset += count as u64;
        Ok(count)
    }
}

impl io::Seek for BytesReader<'_> {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        let target = match to {
            io::SeekFrom::Start(offset) => Some(offset),
            io::SeekFrom::End(by) => self.bytes.len.checked_add_signed(by),
            io::SeekFrom::Current(by) => self.offset.checked_add_signed(by),
        };
        self.offset = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.offset)
    }
}
