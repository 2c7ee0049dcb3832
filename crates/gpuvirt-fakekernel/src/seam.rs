//! The fake kernel as a [`Sysfs`].

use std::io;
use std::time::Duration;

use gpuvirt_host::{DeviceNumber, ProgramCall, ProgramEnd, ProgramError, ReadError, Sysfs, WriteError};
use gpuvirt_model::PciAddress;
use nix::errno::Errno;

use crate::files::Node;
use crate::kernel::FakeKernel;
use crate::state::Waiting;
use crate::writes::Stop;

/// Pids of writers that wait: beyond every pid of a test.
const FIRST_WRITER: u32 = 900_000;

/// The end of a write, after which whoever asked for it may die, as a test has it.
struct Death<'a>(&'a FakeKernel);

impl Drop for Death<'_> {
    fn drop(&mut self) {
        let kernel = self.0.lock();
        let due = kernel.dies_after.is_some_and(|count| kernel.log.len() >= count);
        drop(kernel);
        assert!(!due || std::thread::panicking(), "the write is done, and whoever asked for it dies");
    }
}

impl Sysfs for FakeKernel {
    fn read(&self, path: &str, limit: usize) -> io::Result<Vec<u8>> {
        let kernel = self.lock();
        let at = kernel.files.resolve(path, true)?;
        if kernel.lock_holder(path, &at).is_some() {
            let strict = kernel.strict;
            drop(kernel);
            assert!(!strict, "reading {path} waits for ever: it needs read_that_may_block");
            return Err(io::ErrorKind::WouldBlock.into());
        }
        match kernel.files.get(&at) {
            Some(Node::File(bytes)) => Ok(bytes.get(..limit.min(bytes.len())).unwrap_or_default().to_vec()),
            Some(Node::WriteOnly) => Err(Errno::EACCES.into()),
            Some(Node::Device(_) | Node::OpenFile(..)) => Err(Errno::ENXIO.into()),
            Some(Node::Folder(_)) => Err(Errno::EISDIR.into()),
            Some(Node::Link(_)) | None => Err(Errno::ENOENT.into()),
        }
    }

    fn read_that_may_block(&self, path: &str, limit: usize, _: Duration) -> Result<Vec<u8>, ReadError> {
        {
            let kernel = self.lock();
            let at = kernel.files.resolve(path, true).map_err(|errno| ReadError::Errno(errno.into()))?;
            if let Some(waits) = kernel.lock_holder(path, &at) {
                return Err(ReadError::StillWaiting { waits });
            }
        }
        self.read(path, limit).map_err(ReadError::Errno)
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let kernel = self.lock();
        let at = kernel.files.resolve(path, true)?;
        match kernel.files.get(&at) {
            Some(Node::Folder(names)) => Ok(names.iter().cloned().collect()),
            _ => Err(Errno::ENOTDIR.into()),
        }
    }

    fn read_link(&self, path: &str) -> io::Result<String> {
        let kernel = self.lock();
        let at = kernel.files.resolve(path, false)?;
        match kernel.files.get(&at) {
            Some(Node::Link(target)) => Ok(target.clone()),
            Some(Node::OpenFile(shown, _)) => Ok(shown.clone()),
            _ => Err(Errno::EINVAL.into()),
        }
    }

    fn exists(&self, path: &str) -> bool {
        self.lock().files.resolve(path, false).is_ok()
    }

    fn device_number(&self, path: &str) -> io::Result<Option<DeviceNumber>> {
        let kernel = self.lock();
        let at = kernel.files.resolve(path, true)?;
        match kernel.files.get(&at) {
            Some(Node::Device(number) | Node::OpenFile(_, number)) => Ok(*number),
            _ => Ok(None),
        }
    }

    fn write(&self, path: &str, data: &[u8]) -> io::Result<()> {
        let _death = Death(self);
        let mut kernel = self.lock();
        match kernel.write(path, data) {
            Ok(()) => Ok(()),
            Err(Stop::Errno(errno)) => Err(errno.into()),
            Err(Stop::Blocks) => {
                let strict = kernel.strict;
                drop(kernel);
                assert!(!strict, "a write to {path} waits for ever: it needs write_that_may_block");
                Err(io::ErrorKind::WouldBlock.into())
            }
            Err(Stop::Unmodelled | Stop::Silent) => {
                let strict = kernel.strict;
                drop(kernel);
                assert!(!strict, "a write to {path}, which the fake kernel does not model");
                Err(Errno::ENOENT.into())
            }
        }
    }

    fn write_that_may_block(&self, path: &str, data: &[u8], deadline: Duration) -> Result<(), WriteError> {
        let _death = Death(self);
        {
            let mut kernel = self.lock();
            // Before the write: a removal that waits has taken its own file away.
            let mdev = kernel.mdev_of_path(path);
            let named =
                std::str::from_utf8(data).ok().and_then(|text| PciAddress::parse(text.trim_end()).ok());
            // A mediated device is made without its parent's lock (drivers/vfio/mdev/mdev_core.c).
            let unlocked = mdev.is_some() || path.ends_with("/create");
            let function = kernel.function_of_path(path).or(named).filter(|_| !unlocked);
            let answer = kernel.write(path, data);
            if answer == Err(Stop::Blocks) {
                kernel.writers += 1;
                let writer = FIRST_WRITER + kernel.writers;
                let (path, data) = (path.to_owned(), data.to_vec());
                kernel.waiting.push(Waiting { path, data, function, mdev, call: None, writer });
                return Err(WriteError::StillWaiting { writer, waited: deadline });
            }
            if let Ok(()) | Err(Stop::Errno(_)) = answer {
                return answer.map_err(|stop| match stop {
                    Stop::Errno(errno) => WriteError::Errno(errno.into()),
                    _ => WriteError::Errno(Errno::EIO.into()),
                });
            }
        }
        assert!(!self.lock().strict, "a write to {path}, which the fake kernel does not model");
        Err(WriteError::Errno(Errno::ENOENT.into()))
    }

    fn run(&self, call: &ProgramCall, deadline: Duration) -> Result<ProgramEnd, ProgramError> {
        let _death = Death(self);
        let answer = {
            let mut kernel = self.lock();
            let answer = kernel.run(call);
            if answer == Err(Stop::Blocks) {
                kernel.writers += 1;
                let writer = FIRST_WRITER + kernel.writers;
                let (path, data) = (call.program().to_string(), call.args().join(" ").into_bytes());
                let (function, call) = (call.function(), Some(call.clone()));
                kernel.waiting.push(Waiting { path, data, function, mdev: None, call, writer });
                return Err(ProgramError::StillWaiting { writer, waited: deadline });
            }
            answer
        };
        answer.map_err(|stop| match stop {
            Stop::Errno(errno) => ProgramError::Start(errno.into()),
            _ => {
                assert!(!self.lock().strict, "{call}: the fake host has no such program");
                ProgramError::Start(Errno::ENOENT.into())
            }
        })
    }

    fn load_module(&self, name: &str) -> io::Result<()> {
        self.lock().load_module(name)
    }
}
