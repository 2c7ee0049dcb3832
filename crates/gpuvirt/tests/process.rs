//! The process itself: pipes that close, files that can't be written, sockets that may not be used.

#![allow(clippy::unwrap_used)] // a helper of tests

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

fn gpuvirt() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gpuvirt"));
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."));
    command
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut command = gpuvirt();
    // More than a pipe holds, so that writing goes on after the reader has gone.
    command.args(["gpu", "list", "-o", "json", "--host", "tests/hosts/vgpu-host.umockdev"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0; 1]).unwrap();
    drop(stdout);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(!stderr.contains("error") && !stderr.contains("panick"), "{stderr}");
}

#[test]
fn a_question_without_a_daemon_is_answered_from_the_host() {
    let output = gpuvirt().args(["gpu", "list", "--socket", "/nonexistent/s"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let stderr = String::from_utf8(output.stderr).unwrap();
    let notes: Vec<&str> = stderr.lines().filter(|line| line.contains("gpuvirtd")).collect();
    let [note] = notes.as_slice() else { panic!("one line about the daemon, not: {stderr}") };
    assert!(note.starts_with("note: gpuvirtd does not answer on /nonexistent/s: "), "{note}");
    assert!(note.ends_with("this host was read directly, VMs are unknown"), "{note}");
}

#[test]
fn a_question_that_a_daemon_turns_away_is_answered_from_the_host() {
    let body = "{\"apiVersion\":\"gpuvirt/v1\",\"kind\":\"unreachable\",\"message\":\"no place\"}";
    let busy = format!("HTTP/1.1 503 X\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    // One that says that it is busy, and one whose connection breaks.
    for (answer, want) in [(busy.as_str(), "note: no place; "), ("", "note: the connection to gpuvirtd on ")]
    {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("s");
        let listener = UnixListener::bind(&socket).unwrap();
        let output = std::thread::scope(|scope| {
            scope.spawn(|| {
                let (mut stream, _) = listener.accept().unwrap();
                let _ = stream.read(&mut [0; 4096]);
                std::io::Write::write_all(&mut stream, answer.as_bytes()).unwrap();
            });
            gpuvirt().args(["gpu", "list", "--socket"]).arg(&socket).output().unwrap()
        });
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains(want) && stderr.contains("this host was read directly"), "{stderr}");
    }
}

#[test]
fn a_full_disk_is_a_failure() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = gpuvirt().arg("explain").stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.starts_with("error: writing to stdout: "), "{stderr}");
}

#[test]
fn a_socket_that_may_not_be_used_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let open = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    open(dir.path(), 0o755);
    let socket = dir.path().join("s");
    let _listener = UnixListener::bind(&socket).unwrap();
    open(&socket, 0o000);
    // Root may open any socket, and nobody may not reach our build folder: so a copy, and nobody.
    let binary = dir.path().join("gpuvirt");
    fs::copy(env!("CARGO_BIN_EXE_gpuvirt"), &binary).unwrap();
    let mut command = Command::new(&binary);
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        command.uid(65534).gid(65534);
    }
    let output = command.current_dir("/").arg("--socket").arg(&socket).args(["gpu", "unset", "41:00.0"]);
    let output = output.output().unwrap();
    assert_eq!(output.status.code(), Some(5));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.starts_with("error: this user may not open gpuvirtd's socket "), "{stderr}");
    assert!(stderr.contains("run it as root"), "{stderr}");
}

#[test]
fn a_snapshot_loads_again_and_overwrites_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("host.tar");
    let snapshot = |file: &Path| {
        let socket = dir.path().join("none");
        gpuvirt().arg("snapshot").arg("--file").arg(file).arg("--socket").arg(socket).output().unwrap()
    };
    let first = snapshot(&file);
    assert_eq!(first.status.code(), Some(0), "{first:?}");
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600, "it is for whoever took it to give away");
    let listed = gpuvirt().args(["gpu", "list", "--host"]).arg(&file).output().unwrap();
    assert_eq!(listed.status.code(), Some(0), "{listed:?}");
    let before = fs::read(&file).unwrap();
    let second = snapshot(&file);
    assert_eq!(second.status.code(), Some(1), "{second:?}");
    assert_eq!(fs::read(&file).unwrap(), before);
    assert_eq!(snapshot(&dir.path().join("none/x")).status.code(), Some(1));
}

#[test]
fn arguments_that_are_no_text_are_usage_errors() {
    use std::os::unix::ffi::OsStrExt as _;
    let raw = std::ffi::OsStr::from_bytes(b"\xff\x1b[31m");
    let output = gpuvirt().args(["gpu", "show"]).arg(raw).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(!output.stderr.contains(&0x1b), "{output:?}");
}

/// Answers one request with this, as the daemon would.
fn answered(answer: &str, run: impl FnOnce(&Path) -> std::process::Output) -> std::process::Output {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("s");
    let listener = UnixListener::bind(&socket).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]);
            std::io::Write::write_all(&mut stream, answer.as_bytes()).unwrap();
        });
        run(&socket)
    })
}

/// A switch of the card that is lent to it, say: the daemon knows how long that may take.
#[test]
fn a_start_waits_for_a_daemon_that_takes_its_time() {
    const VM: &str = "<domain type='kvm'><name>games</name><uuid>00000000-0000-4000-8000-000000000001</uuid>\
        <metadata><g:requests xmlns:g='urn:gpuvirt:requests:1' domain='00000000-0000-4000-8000-000000000001'>\
        <g:match id='request-1' alias='ua-x' ids='10de:2235'/></g:requests></metadata></domain>";
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("s");
    let listener = UnixListener::bind(&socket).unwrap();
    let hook = || {
        let mut command = gpuvirt();
        command.arg("--socket").arg(&socket).args(["hook", "qemu", "games", "prepare", "begin", "-"]);
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), VM.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    let output = std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut stream, _) = listener.accept().unwrap();
            // The request, and then nothing more comes for as long as a slow card's driver may take.
            stream.set_read_timeout(Some(Duration::from_secs(4))).unwrap();
            while stream.read(&mut [0; 4096]).is_ok_and(|read| read != 0) {}
            let body = r#"{"apiVersion":"gpuvirt/v1","made":[]}"#;
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            let _ = std::io::Write::write_all(&mut stream, format!("{head}{body}").as_bytes());
        });
        hook()
    });
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]), "{output:?}");
}

#[test]
fn numbers_are_put_into_a_file_and_so_is_it_that_nobody_answers() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("gpuvirt.prom");
    let metrics = |socket: &Path| {
        let command = &mut gpuvirt();
        command.arg("metrics").arg("--textfile").arg(&file).arg("--socket").arg(socket);
        command.output().unwrap()
    };
    let body = "# HELP gpuvirt_gpu A GPU.\n# TYPE gpuvirt_gpu gauge\ngpuvirt_gpu{gpu=\"x\"} 1\n# EOF\n";
    let output =
        answered(&format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()), metrics);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0), "{output:?}");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains("\ngpuvirt_up 1\n") && text.contains("gpuvirt_gpu{gpu=\"x\"} 1\n"), "{text}");
    assert!(!text.contains("# EOF") && text.ends_with('\n'), "{text}");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o644);
    // What was true a minute ago is not said again.
    let output = metrics(Path::new("/nonexistent/s"));
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.ends_with("\ngpuvirt_up 0\n") && !text.contains("gpuvirt_gpu"), "{text}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_stream_of_events_is_printed_as_it_comes_and_its_end_is_told() {
    let event = |sequence: u32, kind: &str| {
        let data = format!(
            "{{\"sequence\":{sequence},\"time\":\"2026-01-01T00:00:00Z\",\"kind\":\"{kind}\",\"text\":\"x\"}}"
        );
        format!("id: d:{sequence}\ndata: {data}\n\n")
    };
    let stream = |text: &str| {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        format!("{head}{:x}\r\n{text}\r\n", text.len())
    };
    let follow = |socket: &Path| {
        gpuvirt().args(["events", "--follow", "-o", "json", "--socket"]).arg(socket).output().unwrap()
    };
    let lost = "event: lost\ndata: {}\n\n";
    let output = answered(
        &(stream(&format!("{lost}{}{}", event(1, "host"), event(2, "stopping"))) + "0\r\n\r\n"),
        follow,
    );
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 2);
    assert!(String::from_utf8(output.stderr).unwrap().contains("some events were missed"));
    // The daemon is killed: what came is shown, and that this is no end.
    let output = answered(&stream(&event(1, "host")), follow);
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    assert!(String::from_utf8(output.stdout).unwrap().starts_with("{\"sequence\":1,"));
}
