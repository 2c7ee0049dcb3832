//! The daemon as a process over a recorded host, and its files.
#![allow(dead_code)] // each test file uses its own part

use std::io::Read;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::http;

/// Longest wait for the daemon to say that it is ready or stopping: a loaded machine takes a second.
const PATIENCE: Duration = Duration::from_secs(30);

/// A folder for one daemon after the other.
pub struct Place {
    dir: tempfile::TempDir,
    /// The recorded host, a file below tests/hosts.
    host: &'static str,
    notices: UnixDatagram,
}

impl Place {
    pub fn new() -> Self {
        Self::of("two-gpus.umockdev")
    }

    pub fn of(host: &'static str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let notices = UnixDatagram::bind(dir.path().join("notify")).unwrap();
        notices.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { dir, host, notices }
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn command(&self) -> Command {
        let hosts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/hosts");
        let mut command = Command::new(env!("CARGO_BIN_EXE_gpuvirtd"));
        command
            .env("NOTIFY_SOCKET", self.at("notify"))
            .arg("--host")
            .arg(hosts.join(self.host))
            .arg("--state-dir")
            .arg(self.at("state"))
            .arg("--socket")
            .arg(self.at("socket"))
            .stderr(Stdio::piped());
        command
    }

    /// A daemon that has said that it is ready.
    pub fn start(&self) -> Daemon {
        self.started(self.command())
    }

    /// The same by a command of the test's own.
    pub fn started(&self, mut command: Command) -> Daemon {
        let daemon = Daemon(command.spawn().unwrap());
        assert_eq!(self.notice(), "READY=1");
        daemon
    }

    pub fn notice(&self) -> String {
        let mut text = [0; 64];
        let length = self.notices.recv(&mut text).unwrap();
        String::from_utf8(text.get(..length).unwrap().to_vec()).unwrap()
    }

    pub fn get(&self, path: &str) -> Value {
        http::get(&self.at("socket"), path).json()
    }
}

/// A daemon that does not outlive its test.
pub struct Daemon(pub Child);

impl Daemon {
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.0.id()).unwrap()), signal).unwrap();
    }

    /// How it ended, and its log.
    pub fn end(mut self) -> (ExitStatus, String) {
        let mut log = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (self.0.wait().unwrap(), log)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
