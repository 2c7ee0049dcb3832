//! The daemon as a process, over a recorded host: how it starts, ends, and what keeps it from starting.

#![allow(clippy::unwrap_used)] // a test may panic
#![allow(clippy::disallowed_methods)] // a test writes broken files

#[path = "api/http.rs"]
#[allow(dead_code)] // shared with the tests of the API
mod http;

use std::io::Read;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// Longest wait for the daemon to say that it is ready or stopping: a loaded machine takes a second.
const PATIENCE: Duration = Duration::from_secs(30);

/// A folder for one daemon after the other.
struct Place {
    dir: tempfile::TempDir,
    notices: UnixDatagram,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let notices = UnixDatagram::bind(dir.path().join("notify")).unwrap();
        notices.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { dir, notices }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self) -> Command {
        let hosts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/hosts");
        let mut command = Command::new(env!("CARGO_BIN_EXE_gpuvirtd"));
        command
            .env("NOTIFY_SOCKET", self.at("notify"))
            .arg("--host")
            .arg(hosts.join("two-gpus.umockdev"))
            .arg("--state-dir")
            .arg(self.at("state"))
            .arg("--socket")
            .arg(self.at("socket"))
            .stderr(Stdio::piped());
        command
    }

    /// A daemon that has said that it is ready.
    fn start(&self) -> Daemon {
        let daemon = Daemon(self.command().spawn().unwrap());
        assert_eq!(self.notice(), "READY=1");
        daemon
    }

    fn notice(&self) -> String {
        let mut text = [0; 64];
        let length = self.notices.recv(&mut text).unwrap();
        String::from_utf8(text.get(..length).unwrap().to_vec()).unwrap()
    }

    fn get(&self, path: &str) -> Value {
        http::get(&self.at("socket"), path).json()
    }
}

/// A daemon that does not outlive its test.
struct Daemon(Child);

impl Daemon {
    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.0.id()).unwrap()), signal).unwrap();
    }

    /// How it ended, and its log.
    fn end(mut self) -> (ExitStatus, String) {
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

fn refused(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn it_says_when_it_is_ready_and_ends_on_sigterm() {
    let place = Place::new();
    let daemon = place.start();
    let gpus = place.get("/v1/gpus");
    assert_eq!((gpus["source"].as_str(), gpus["items"].as_array().unwrap().len()), (Some("recording"), 2));
    daemon.signal(Signal::SIGTERM);
    assert_eq!(place.notice(), "STOPPING=1");
    let (status, log) = daemon.end();
    assert!(status.success(), "{log}");
    assert!(!place.at("socket").exists(), "the socket's file goes with the daemon");
}

#[test]
fn a_second_daemon_on_the_same_state_is_refused() {
    let place = Place::new();
    let daemon = place.start();
    let mut second = place.command();
    second.arg("--socket").arg(place.at("other"));
    // clap takes an argument once.
    assert_eq!(second.output().unwrap().status.code(), Some(2));
    let text = refused(place.command());
    assert!(text.contains("another gpuvirtd works on"), "{text}");
    assert_eq!(place.get("/v1/status")["daemon"]["pid"].as_u64(), Some(u64::from(daemon.0.id())));
}

#[test]
fn a_socket_that_answers_is_not_taken() {
    let place = Place::new();
    let daemon = place.start();
    std::fs::rename(place.at("state"), place.at("state-of-the-first")).unwrap();
    let text = refused(place.command());
    assert!(text.contains("another daemon listens on"), "{text}");
    assert_eq!(place.get("/v1/status")["daemon"]["pid"].as_u64(), Some(u64::from(daemon.0.id())));
}

#[test]
fn a_daemon_that_was_killed_is_followed_by_another() {
    let place = Place::new();
    let killed = place.start();
    killed.signal(Signal::SIGKILL);
    let (status, _) = killed.end();
    assert!(!status.success());
    assert!(place.at("socket").exists(), "a killed daemon leaves its socket");
    let next = place.start();
    assert_eq!(place.get("/v1/status")["daemon"]["pid"].as_u64(), Some(u64::from(next.0.id())));
}

#[test]
fn a_corrupt_state_is_no_reason_not_to_start() {
    let place = Place::new();
    drop(place.start());
    let path = place.at("state/state.json");
    std::fs::write(&path, "{\n  \"version\": 1,\n  oops").unwrap();
    let _daemon = place.start();
    let problems = place.get("/v1/status")["problems"].to_string();
    assert!(problems.contains("state.json, line 3"), "{problems}");
    assert!(!place.get("/v1/gpus")["items"].as_array().unwrap().is_empty());
    let answer = http::send(&place.at("socket"), "DELETE", "/v1/gpus/01:00.0/configuration", "");
    assert_eq!(answer.status, 500, "{answer:?}");
    assert_eq!(std::fs::read_to_string(path).unwrap(), "{\n  \"version\": 1,\n  oops");
}

#[test]
fn a_corrupt_journal_is_shown_and_no_reason_not_to_start() {
    let place = Place::new();
    drop(place.start());
    std::fs::write(place.at("state/journal/0000:01:00.0.json"), "{").unwrap();
    let _daemon = place.start();
    let problems = place.get("/v1/status")["problems"].to_string();
    assert!(problems.contains("0000:01:00.0.json, line 1"), "{problems}");
}

#[test]
fn what_keeps_it_from_starting_is_said_with_its_cause() {
    let place = Place::new();
    let config = place.at("gpuvirtd.toml");
    std::fs::write(&config, "socket = \"/x\"\nwrite_grop = \"y\"\n").unwrap();
    let mut with_config = place.command();
    with_config.arg("--config").arg(&config);
    let text = refused(with_config);
    assert!(text.contains("line 2") && text.contains("write_grop"), "{text}");

    let mut absent = place.command();
    absent.arg("--config").arg(place.at("absent.toml"));
    assert!(refused(absent).contains("absent.toml"));

    let mut no_recording = Command::new(env!("CARGO_BIN_EXE_gpuvirtd"));
    no_recording.arg("--host").arg(&config).arg("--state-dir").arg(place.at("state"));
    no_recording.arg("--socket").arg(place.at("socket"));
    let text = refused(no_recording);
    assert!(text.contains("loading") && text.contains("gpuvirtd.toml"), "{text}");

    std::fs::write(place.at("socket"), "a file").unwrap();
    let text = refused(place.command());
    assert!(text.contains("no socket"), "{text}");
    assert_eq!(std::fs::read_to_string(place.at("socket")).unwrap(), "a file");
}
