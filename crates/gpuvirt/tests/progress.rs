//! What a person at a terminal sees of a command that takes long: a line that says what is waited for, and is gone at the end.
//! Each case has a daemon, or a recording, that lets the command wait.

// Helpers of tests: what is missing here is the test's own mistake.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};

/// How a line is cleared.
const CLEAR: &str = "\r\u{1b}[K";
/// Longer than a person waits without wondering, with room for more lines after the first.
const SLOW: Duration = Duration::from_millis(5400);
/// From then on a wait is shown.
const SHOWN_AFTER: Duration = Duration::from_secs(2);
/// A run that takes longer than this has hung.
const DEADLINE: Duration = Duration::from_secs(30);

/// What a run left.
struct Seen {
    status: ExitStatus,
    stdout: String,
    /// What the terminal was sent.
    stderr: String,
}

impl Seen {
    /// The lines that stood on the terminal one after the other, with what is left at the end.
    fn lines(&self) -> Vec<&str> {
        self.stderr.split(CLEAR).collect()
    }

    /// The command said what it waited for, and nothing of that is left.
    #[track_caller]
    fn waited_for(&self, what: &str) {
        let lines = self.lines();
        assert!(lines.len() >= 3, "shown, and cleared: {:?}", self.stderr);
        assert_eq!(lines[0], "", "nothing before");
        let (shown, left) = (&lines[1..lines.len() - 1], lines[lines.len() - 1]);
        // On a loaded machine a second may pass without a line; none is shown twice, or before two have passed.
        let mut before = 1;
        for line in shown {
            let (second, said) = line.split_once(" s  ").expect("seconds, and what is waited for");
            let second: u64 = second.trim_start().parse().expect("seconds");
            assert!(second > before && said == what, "{lines:?}");
            assert_eq!(*line, format!("{second:>3} s  {what}"), "{lines:?}");
            before = second;
        }
        assert!(!left.contains(what), "it is still there: {lines:?}");
    }
}

/// Runs it with a terminal for its stderr.
fn on_a_terminal(terminal: &str, arguments: &[&str]) -> Seen {
    let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let slave = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(nix::libc::O_NOCTTY)
        .open(ptsname_r(&master).unwrap())
        .unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_gpuvirt"));
    command.args(arguments).env("TERM", terminal).stdin(Stdio::null()).stdout(Stdio::piped());
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."));
    let child = command.stderr(slave).spawn().unwrap();
    // Our own end of the slave has to go, or the master never ends.
    drop(command);
    let mut master = File::from(std::os::fd::OwnedFd::from(master));
    let (send, receive) = channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // EIO is how a terminal ends whose other side is closed.
        let _ = master.read_to_end(&mut bytes);
        let _ = send.send(bytes);
    });
    let output = child.wait_with_output().unwrap();
    let stderr = receive.recv_timeout(DEADLINE).expect("the terminal ends with the command");
    Seen {
        status: output.status,
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
    }
}

/// A daemon whose libvirt lets it wait this long before each answer.
fn slow_daemon(folder: &Path, wait: Duration, body: &'static str) -> String {
    let socket = folder.join("s");
    let listener = UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let end = Instant::now() + wait;
                // A request, whose body may come later than its head; the command closes its end when it waits no longer.
                while let Some(left) =
                    end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
                {
                    stream.set_read_timeout(Some(left)).unwrap();
                    match stream.read(&mut [0; 4096]) {
                        Ok(0) => return,
                        Ok(_) => {}
                        Err(_) => break,
                    }
                }
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
                let _ = stream.write_all(format!("{head}{body}").as_bytes());
            });
        }
    });
    socket.to_str().unwrap().to_owned()
}

const GPUS: &str = r#"{"apiVersion":"gpuvirt/v1","kind":"GpuList","source":"daemon","items":[]}"#;

#[test]
fn each_verb_that_waits_for_the_daemon_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let socket = &*slow_daemon(dir.path(), SLOW, GPUS);
    let snapshot = dir.path().join("host.tar");
    let asked = "gpuvirtd is asked, and has not answered yet";
    let cases: &[(&[&str], &str)] = &[
        (&["gpu", "list"], asked),
        (&["profile", "list"], asked),
        (&["vm", "list"], asked),
        (&["doctor"], asked),
        (&["status"], asked),
        (&["import"], asked),
        (&["snapshot", "--file", snapshot.to_str().unwrap()], asked),
        (&["gpu", "set", "41:00.0", "--type", "direct"], "gpuvirtd is at it"),
    ];
    std::thread::scope(|scope| {
        for (arguments, what) in cases {
            scope.spawn(move || {
                let all = [&["--socket", socket], *arguments].concat();
                on_a_terminal("xterm", &all).waited_for(what);
            });
        }
    });
}

#[test]
fn who_reads_a_document_or_a_pipe_or_has_a_dumb_terminal_sees_no_line() {
    let dir = tempfile::tempdir().unwrap();
    let socket = &*slow_daemon(dir.path(), SLOW, GPUS);
    std::thread::scope(|scope| {
        for (terminal, format) in [("xterm", "json"), ("xterm", "yaml"), ("dumb", "table")] {
            scope.spawn(move || {
                let seen = on_a_terminal(terminal, &["--socket", socket, "gpu", "list", "-o", format]);
                assert_eq!((seen.status.code(), &*seen.stderr), (Some(0), ""), "{terminal} {format}");
                assert!(!seen.stdout.is_empty());
            });
        }
        let mut piped = Command::new(env!("CARGO_BIN_EXE_gpuvirt"));
        let output = piped.args(["--socket", socket, "gpu", "list"]).env("TERM", "xterm").output().unwrap();
        assert_eq!((output.status.code(), &*output.stderr), (Some(0), &b""[..]));
    });
}

#[test]
fn what_is_quick_shows_nothing_and_waits_for_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let socket = &*slow_daemon(dir.path(), Duration::from_millis(1), GPUS);
    let quick = |_: &u32| {
        let begun = Instant::now();
        let seen = on_a_terminal("xterm", &["--socket", socket, "gpu", "list"]);
        assert_eq!(seen.status.code(), Some(0));
        // On a loaded machine it may take as long as what is shown.
        let quick = begun.elapsed() < SHOWN_AFTER;
        assert!(!quick || seen.stderr.is_empty(), "{}", seen.stderr);
        quick
    };
    assert_eq!((0..50).filter(quick).take(5).count(), 5, "each waits for the time of a line");
}

/// A recording that comes slowly stands for a file system that does.
#[test]
fn files_that_come_slowly_are_waited_for_visibly() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("host.umockdev");
    nix::unistd::mkfifo(&file, nix::sys::stat::Mode::S_IRUSR | nix::sys::stat::Mode::S_IWUSR).unwrap();
    let recorded = fs::read("../../tests/hosts/two-gpus.umockdev").unwrap();
    let path = file.to_str().unwrap();
    let (ended, waits) = channel::<()>();
    let seen = std::thread::scope(|scope| {
        let file = &file;
        scope.spawn(move || {
            let mut fifo = OpenOptions::new().write(true).open(file).unwrap();
            let _ = waits.recv_timeout(SLOW);
            fifo.write_all(&recorded).unwrap();
        });
        let seen = on_a_terminal("xterm", &["--host", path, "gpu", "list"]);
        drop(ended);
        seen
    });
    seen.waited_for("the recording is read");
    assert!(seen.stdout.contains("0000:02:00.0"), "{}", seen.stdout);
}
