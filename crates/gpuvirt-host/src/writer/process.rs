//! The asking side: starts writers, asks, waits until the deadline and no longer.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use gpuvirt_model::PciAddress;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::begun::{Asked, BegunRequest};
use super::left::Left;
use super::module::ModuleName;
use super::origin::{Started, WriterOrigin, WriterProcess};
use super::read::BlockingRead;
use super::request::{ANSWER_LIMIT, Answer, PROTOCOL, Request};
use super::write::BlockingWrite;
use crate::sysfs::{ReadError, WriteError};
use crate::vendor::{ProgramCall, ProgramEnd, ProgramError};

/// Longest wait for a writer that its service starts to say that it is there: the host may be busy booting. Nothing was asked of
/// it until then.
const STARTED_WITHIN: Duration = Duration::from_secs(20);
/// How long nobody asks again then: a look at a host asks for each of its functions.
const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// Writers: an idle one waits for the next write, so that a plan of several writes costs one process.
#[derive(Debug)]
pub(crate) struct Writers {
    origin: WriterOrigin,
    idle: Mutex<Option<Writer>>,
    pub(super) left: Left,
    /// How many are at something.
    at_work: AtomicUsize,
    /// When the last one was waited for in vain.
    in_vain: Mutex<Option<Instant>>,
}

/// One is at something until this is dropped.
pub(super) struct AtWork<'a>(&'a AtomicUsize);

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A writer that waits for a request.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) process: WriterProcess,
    input: File,
    output: BufReader<File>,
}

impl Writers {
    pub(crate) fn new(origin: WriterOrigin) -> Self {
        Self {
            origin,
            idle: Mutex::new(None),
            left: Left::default(),
            at_work: AtomicUsize::new(0),
            in_vain: Mutex::new(None),
        }
    }

    /// Whether none of them is at anything, those among them that were left in the kernel.
    pub(super) fn at_rest(&self) -> bool {
        self.at_work.load(Ordering::Acquire) == 0 && self.left.is_empty()
    }

    /// One begins something.
    pub(super) fn at_work(&self) -> AtWork<'_> {
        self.at_work.fetch_add(1, Ordering::AcqRel);
        AtWork(&self.at_work)
    }

    /// The process of the one that waits for a request.
    pub(super) fn idle(&self) -> Option<u32> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|writer| writer.process.id())
    }

    /// Whether writers are to be had. Nobody is asked: to ask is to have one started.
    pub(crate) fn to_be_had(&self) -> io::Result<()> {
        self.origin.is_there()?;
        if self.came_nobody() { Err(nobody_came()) } else { Ok(()) }
    }

    /// Whether one was waited for in vain a moment ago.
    fn came_nobody(&self) -> bool {
        let in_vain = self.in_vain.lock().unwrap_or_else(PoisonError::into_inner);
        in_vain.is_some_and(|when| when.elapsed() < ASKED_AGAIN_AFTER)
    }

    /// Has one write made.
    pub(crate) fn write(&self, write: &BlockingWrite, deadline: Duration) -> Result<(), WriteError> {
        match self.written(&Request::Write(write.clone()), write, deadline)? {
            Answer::Done => Ok(()),
            other => Err(WriteError::Writer(other.unexpected())),
        }
    }

    /// Has a file set that shows what was set, unless it shows that already, or an earlier request still waits at the same
    /// function; what it shows then.
    pub(crate) fn set(
        &self,
        write: &BlockingWrite,
        shown: &[&str],
        deadline: Duration,
    ) -> Result<Vec<u8>, WriteError> {
        if let Some(writer) = write.function().and_then(|function| self.left.at(function)) {
            return Err(WriteError::StillWaiting { writer, waited: deadline });
        }
        let request =
            Request::Set { write: write.clone(), shown: shown.iter().map(ToString::to_string).collect() };
        match self.written(&request, write, deadline)? {
            Answer::Content(content) => Ok(content),
            other => Err(WriteError::Writer(other.unexpected())),
        }
    }

    /// The answer to a write, unless it is the kernel's refusal.
    fn written(
        &self,
        request: &Request,
        write: &BlockingWrite,
        deadline: Duration,
    ) -> Result<Answer, WriteError> {
        // A mediated device has a lock of its own.
        let locks = write.function().filter(|_| write.mdev().is_none());
        match self.ask(request, locks, deadline).map_err(WriteError::Writer)? {
            Asked::Answered(Answer::Errno(errno)) => {
                Err(WriteError::Errno(io::Error::from_raw_os_error(errno)))
            }
            Asked::Answered(answer) => Ok(answer),
            Asked::Waits(writer) => Err(WriteError::StillWaiting { writer, waited: deadline }),
        }
    }

    /// Has a program run to its end.
    pub(crate) fn run(&self, call: &ProgramCall, deadline: Duration) -> Result<ProgramEnd, ProgramError> {
        let request = Request::Run(call.clone());
        match self.ask(&request, call.function(), deadline).map_err(ProgramError::Writer)? {
            Asked::Waits(writer) => Err(ProgramError::StillWaiting { writer, waited: deadline }),
            Asked::Answered(Answer::Ended(end)) => Ok(end),
            Asked::Answered(Answer::Errno(errno)) => {
                Err(ProgramError::Start(io::Error::from_raw_os_error(errno)))
            }
            Asked::Answered(other) => Err(ProgramError::Writer(other.unexpected())),
        }
    }

    /// Begins one read, unless an earlier request still waits at the same function: then the answer is known.
    pub(crate) fn begin_read(
        &self,
        read: &BlockingRead,
        deadline: Duration,
    ) -> Result<BegunRequest<'_>, ReadError> {
        if let Some(waits) = self.left.at(read.function()) {
            return Err(ReadError::StillWaiting { waits });
        }
        let request = Request::Read(read.clone());
        self.begin(&request, Some(read.function()), deadline).map_err(ReadError::Reader)
    }

    /// Has a kernel module loaded.
    pub(crate) fn load(&self, module: &ModuleName, deadline: Duration) -> io::Result<()> {
        let name = module.as_str();
        match self.ask(&Request::Load(module.clone()), None, deadline)? {
            Asked::Answered(Answer::Done) => Ok(()),
            Asked::Answered(other) => Err(other.unexpected()),
            Asked::Waits(writer) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("modprobe {name}: no end after {deadline:?}; process {writer} waits for it"),
            )),
        }
    }

    /// Asks a writer, and waits for its answer.
    fn ask(&self, request: &Request, function: Option<PciAddress>, deadline: Duration) -> io::Result<Asked> {
        self.begin(request, function, deadline)?.answer()
    }

    /// Asks a writer. One that is idle is used; while it is busy, others get one of their own.
    fn begin(
        &self,
        request: &Request,
        function: Option<PciAddress>,
        deadline: Duration,
    ) -> io::Result<BegunRequest<'_>> {
        self.left.reap();
        let at_work = self.at_work();
        let writer = self.writer_that_took(request)?;
        let writes = function.filter(|_| matches!(request, Request::Write(_) | Request::Set { .. }));
        let mark = writes.map(|function| self.left.begins(writer.process.id(), function));
        // From now on: how long a writer takes to start says nothing about the kernel.
        let end = Instant::now() + deadline;
        Ok(BegunRequest {
            writers: self,
            writer: Some(writer),
            function,
            end,
            _mark: mark,
            _at_work: at_work,
        })
    }

    /// A writer that has answered waits for the next request.
    pub(super) fn is_idle(&self, writer: Writer) {
        let before = self.idle.lock().unwrap_or_else(PoisonError::into_inner).replace(writer);
        // One is kept. The other's input ends here, and it does too.
        if let Some(surplus) = before {
            self.left.add(surplus.process, None);
        }
    }

    /// A writer that was just started.
    fn fresh(&self) -> io::Result<Writer> {
        if self.came_nobody() {
            return Err(nobody_came());
        }
        let mut writer = Writer::of(self.origin.start()?);
        match writer.introduced() {
            Ok(()) => Ok(writer),
            Err(e) => {
                self.left.add(writer.process, None);
                if e.kind() == io::ErrorKind::TimedOut {
                    *self.in_vain.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
                }
                Err(e)
            }
        }
    }

    /// A writer with the request on its way. One that died while idle is replaced, once: it took no request.
    fn writer_that_took(&self, request: &Request) -> io::Result<Writer> {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut writer) = idle {
            // One that has died takes nothing: its end of the pipe is closed.
            if writer.input.write_all(&line).is_ok() {
                return Ok(writer);
            }
            self.left.add(writer.process, None);
        }
        let mut writer = self.fresh()?;
        match writer.input.write_all(&line) {
            Ok(()) => Ok(writer),
            Err(e) => {
                self.left.add(writer.process, None);
                Err(e)
            }
        }
    }
}

impl Writer {
    fn of(started: Started) -> Self {
        let Started { process, input, output } = started;
        Self { process, input, output: BufReader::new(output) }
    }

    /// Asks a writer that is not our child who it is, and whether it speaks as we do: an upgrade replaces the program
    /// below a daemon that runs on.
    fn introduced(&mut self) -> io::Result<()> {
        let WriterProcess::Elsewhere { pid, .. } = &mut self.process else { return Ok(()) };
        let mut line = serde_json::to_vec(&Request::Introduce)?;
        line.push(b'\n');
        self.input.write_all(&line)?;
        let (end, known) = (Instant::now() + STARTED_WITHIN, pid);
        match answer(&mut self.output, end)? {
            Some(Answer::Introduced { pid, protocol: PROTOCOL }) => {
                *known = pid;
                Ok(())
            }
            Some(Answer::Introduced { .. }) => Err(io::Error::other(
                "the writer is of another version; systemctl restart gpuvirt-writer gpuvirtd",
            )),
            Some(other) => Err(other.unexpected()),
            None => Err(nobody_came()),
        }
    }

    /// Waits for the answer; `None` at the deadline.
    pub(super) fn answer(&mut self, end: Instant) -> io::Result<Option<Answer>> {
        answer(&mut self.output, end)
    }
}

fn nobody_came() -> io::Error {
    let text = format!("no writer was started within {STARTED_WITHIN:?}, and nothing was asked of it");
    io::Error::new(io::ErrorKind::TimedOut, text)
}

fn answer(output: &mut BufReader<File>, end: Instant) -> io::Result<Option<Answer>> {
    loop {
        let left = end.saturating_duration_since(Instant::now());
        // Rounded up: a wait of less than a millisecond must not become a busy loop.
        let left = PollTimeout::try_from(left + Duration::from_micros(999)).unwrap_or(PollTimeout::MAX);
        let mut ready = [PollFd::new(output.get_ref().as_fd(), PollFlags::POLLIN)];
        match poll(&mut ready, left) {
            Ok(0) if Instant::now() >= end => return Ok(None),
            Ok(0) | Err(nix::errno::Errno::EINTR) => {}
            Ok(_) => break,
            Err(e) => return Err(e.into()),
        }
    }
    let mut line = String::new();
    // A whole line is on its way: the writer answers once, and waits for nobody while it does.
    if output.by_ref().take(ANSWER_LIMIT).read_line(&mut line)? == 0 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the writer ended without an answer"));
    }
    Ok(Some(serde_json::from_str(&line)?))
}
