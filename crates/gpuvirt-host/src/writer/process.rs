//! The asking side: starts writers, asks, waits until the deadline and no longer.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::request::{Answer, BlockingWrite, LINE_LIMIT};
use crate::sysfs::WriteError;

/// How a writer is started: a program that calls [`super::writer_main`] on its standard input and output.
#[derive(Debug, Clone)]
pub struct WriterCommand {
    /// The program; `/proc/self/exe` for ourselves.
    pub program: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
}

/// Writers: an idle one waits for the next write, so that a plan of several writes costs one process.
#[derive(Debug)]
pub(crate) struct Writers {
    command: WriterCommand,
    idle: Mutex<Option<Writer>>,
    /// Writers left in the kernel at a deadline; kept to be reaped.
    left: Mutex<Vec<Child>>,
}

/// A writer that waits for a request.
#[derive(Debug)]
struct Writer {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Writers {
    pub(crate) fn new(command: WriterCommand) -> Self {
        Self { command, idle: Mutex::new(None), left: Mutex::new(Vec::new()) }
    }

    /// Has one write made. A writer that is idle is used; while it is busy, others get one of their own.
    pub(crate) fn write(&self, write: &BlockingWrite, deadline: Duration) -> Result<(), WriteError> {
        self.reap();
        let end = Instant::now() + deadline;
        let mut writer = self.writer_that_took(write).map_err(WriteError::Writer)?;
        match writer.answer(end) {
            Ok(Some(answer)) => {
                *self.idle.lock().unwrap_or_else(PoisonError::into_inner) = Some(writer);
                outcome(answer)
            }
            Ok(None) => {
                let pid = writer.child.id();
                // Its input ends here: when the kernel lets go of the write, the writer ends by itself.
                self.left.lock().unwrap_or_else(PoisonError::into_inner).push(writer.child);
                Err(WriteError::StillWaiting { writer: pid, waited: deadline })
            }
            Err(e) => {
                self.left.lock().unwrap_or_else(PoisonError::into_inner).push(writer.child);
                Err(WriteError::Writer(e))
            }
        }
    }

    /// A writer with the request on its way. One that died while idle is replaced, once: it took no request.
    fn writer_that_took(&self, write: &BlockingWrite) -> io::Result<Writer> {
        let mut line = serde_json::to_vec(write)?;
        line.push(b'\n');
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut writer) = idle {
            if writer.child.try_wait()?.is_none() && writer.input.write_all(&line).is_ok() {
                return Ok(writer);
            }
        }
        let mut writer = Writer::start(&self.command)?;
        writer.input.write_all(&line)?;
        Ok(writer)
    }

    /// Collects writers that have ended since.
    fn reap(&self) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        left.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
    }
}

impl Writer {
    fn start(command: &WriterCommand) -> io::Result<Self> {
        let mut child = Command::new(&command.program)
            .args(&command.args)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("the writer has no standard input or output"));
        };
        Ok(Self { child, input, output: BufReader::new(output) })
    }

    /// Waits for the answer; `None` at the deadline.
    fn answer(&mut self, end: Instant) -> io::Result<Option<Answer>> {
        loop {
            let left = end.saturating_duration_since(Instant::now());
            // Rounded up: a wait of less than a millisecond must not become a busy loop.
            let left = PollTimeout::try_from(left + Duration::from_micros(999)).unwrap_or(PollTimeout::MAX);
            let mut ready = [PollFd::new(self.output.get_ref().as_fd(), PollFlags::POLLIN)];
            match poll(&mut ready, left) {
                Ok(0) if Instant::now() >= end => return Ok(None),
                Ok(0) | Err(nix::errno::Errno::EINTR) => {}
                Ok(_) => break,
                Err(e) => return Err(e.into()),
            }
        }
        let mut line = String::new();
        // The writer answers with one short write(2), which a pipe delivers whole.
        if self.output.by_ref().take(LINE_LIMIT).read_line(&mut line)? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the writer ended without an answer"));
        }
        Ok(Some(serde_json::from_str(&line)?))
    }
}

fn outcome(answer: Answer) -> Result<(), WriteError> {
    match answer {
        Answer::Done => Ok(()),
        Answer::Errno(errno) => Err(WriteError::Errno(io::Error::from_raw_os_error(errno))),
        Answer::Rejected(why) => Err(WriteError::Writer(io::Error::other(why))),
    }
}
