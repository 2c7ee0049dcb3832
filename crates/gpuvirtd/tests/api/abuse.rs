//! Clients that do not behave: each gets an answer or the door, and the next one is served.

use std::io::{ErrorKind as IoErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use gpuvirt_api::ErrorKind;
use serde_json::json;

use crate::fakes::{Daemon, Script, as_other, as_root};
use crate::http::{connect, finish, get, raw, send};

const SET: &str = "/v1/gpus/41:00.0/type";

fn still_serves(daemon: &Daemon) {
    assert_eq!(get(&daemon.socket(), "/v1/gpus").status, 200);
}

/// A connection that stays for ten seconds: of its request, half a body never comes.
fn half_a_request(daemon: &Daemon) -> UnixStream {
    let mut stream = connect(&daemon.socket());
    let request = format!("PUT {SET} HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{{");
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

/// The devices of a VM.
const VM: &str = "/v1/vms/web/devices";
/// The parameters of a vGPU.
const PARAMS: &str = "/v1/vgpus/00000000-0000-0000-0000-000011112222/params";

#[test]
fn bodies_that_make_no_sense_are_named() {
    let daemon = Daemon::start();
    for (method, path, body, want) in [
        ("PUT", SET, "", "EOF while parsing"),
        ("PUT", SET, "{", "EOF while parsing"),
        ("PUT", SET, "\u{0}", "expected value"),
        ("PUT", SET, "[]", "invalid length"),
        ("PUT", SET, "{\"type\": \"passthrough\"}", "unknown variant"),
        ("PUT", SET, "{\"type\": \"direct\", \"dryrun\": true}", "unknown field"),
        ("PUT", SET, "{\"type\": \"direct\", \"waitSeconds\": -1}", "invalid value"),
        ("PUT", SET, "{\"type\": \"direct\", \"waitSeconds\": 18446744073709551615}", "too long"),
        ("PUT", SET, "{\"type\": \"direct\", \"label\": \"a/b\"}", "can't be a label"),
        ("PUT", SET, "{\"type\": \"direct\", \"accept\": [\"nonsense\"]}", "unknown variant"),
        ("POST", "/v1/vgpus", "{\"gpu\": \"../../x\", \"profile\": \"p\"}", "not a PCI address"),
        ("POST", "/v1/vgpus", "{\"gpu\": \"41:00.0\", \"profile\": \"p\", \"uuid\": \"x\"}", "UUID"),
        ("PUT", "/v1/gpus/41:00.0/cordon", "{}", "missing field"),
        ("PUT", "/v1/gpus/41:00.0/cordon", "{\"cordoned\": \"yes\"}", "invalid type"),
        ("PUT", "/v1/host", "{\"defaultType\": \"direct\"}", "card by card"),
        ("PUT", "/v1/host", "{\"defaultType\": \"default\"}", "card by card"),
        ("PUT", "/v1/host", "{\"assignmentPolicy\": \"spread\"}", "unknown variant"),
        ("PUT", "/v1/host", "{\"reserve\": {\"profile\": \"p\", \"count\": -1}}", "invalid value"),
        ("PUT", "/v1/host", "{\"reserve\": {\"profile\": \"p\", \"count\": 4294967296}}", "invalid value"),
        ("PUT", "/v1/host", "{\"Maintenance\": true}", "unknown field"),
        ("PUT", PARAMS, "{}", "name parameters"),
        ("PUT", PARAMS, "{\"params\": {\"a b\": \"1\"}}", "is no vGPU parameter"),
        ("PUT", PARAMS, "{\"params\": {\"a\": \"1\\n2\"}}", "is no vGPU parameter"),
        ("PUT", PARAMS, "{\"params\": {\"a\": \"1\"}, \"dryrun\": true}", "unknown field"),
        ("POST", VM, "{\"device\": \"disk\"}", "unknown variant"),
        ("POST", VM, "{\"device\": \"profile\", \"profile\": \"p\", \"count\": 0}", "from 1 to"),
        ("POST", VM, "{\"device\": \"profile\", \"profile\": \"p\", \"count\": 4096}", "from 1 to"),
        (
            "POST",
            VM,
            "{\"device\": \"match\", \"match\": {\"ids\": \"10de:2235\", \"label\": \"a\\u001b\"}}",
            "can't be a label",
        ),
        (
            "POST",
            VM,
            "{\"device\": \"match\", \"match\": {\"ids\": \"10de:2235\", \"label\": \"\"}}",
            "can't be a label",
        ),
    ] {
        let answer = send(&daemon.socket(), method, path, body);
        let error = answer.error();
        assert_eq!((answer.status, error.kind), (400, ErrorKind::Usage), "{body}: {error}");
        assert!(error.message.contains(want), "{body}: {error}");
    }
}

#[test]
fn names_and_queries_that_make_no_sense_are_named() {
    let daemon = Daemon::start();
    for (method, path) in [
        ("GET", "/v1/gpus/41:00.9"),
        ("GET", "/v1/gpus/-x"),
        ("GET", "/v1/gpus/..%2F..%2Fetc"),
        ("GET", "/v1/gpus/%FF%FE"),
        ("GET", "/v1/vgpus/not-a-uuid"),
        ("GET", "/v1/gpus?limit=3"),
        ("GET", "/v1/profiles?gpu=zz:00.0"),
        ("GET", "/v1/capacity?gpu=41:00.0"),
        ("GET", "/v1/host?yes=true"),
        // A misspelt dry run must not be a removal.
        ("DELETE", "/v1/vgpus/00000000-0000-0000-0000-000011112222?dryrun=true"),
        ("DELETE", "/v1/vgpus/00000000-0000-0000-0000-000011112222?dryRun=yes"),
        ("DELETE", "/v1/gpus/41:00.0/configuration?dryRun=true"),
        ("PUT", "/v1/gpus/41:00.0/type?dryRun=true"),
    ] {
        let answer = send(&daemon.socket(), method, path, "{\"type\": \"direct\"}");
        assert_eq!((answer.status, answer.error().kind), (400, ErrorKind::Usage), "{method} {path}");
    }
}

#[test]
fn a_wrong_query_is_said_once() {
    let daemon = Daemon::start();
    let message = get(&daemon.socket(), "/v1/gpus?limit=3").error().message;
    assert_eq!(message.matches("unknown field").count(), 1, "{message}");
}

#[test]
fn a_body_that_is_too_large_is_refused() {
    let daemon = Daemon::start();
    let large = format!("{{\"type\": \"direct\", \"label\": \"{}\"}}", "x".repeat(64 * 1024));
    let answer = send(&daemon.socket(), "PUT", SET, &large);
    assert_eq!(answer.status, 413, "{answer:?}");
    // Without a length, and without an end.
    let mut stream = connect(&daemon.socket());
    let head = format!("PUT {SET} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let chunk = format!("4000\r\n{}\r\n", "x".repeat(0x4000));
    while stream.write_all(chunk.as_bytes()).is_ok() {}
    still_serves(&daemon);
}

#[test]
fn heads_that_are_too_large_or_no_http_are_turned_away() {
    let daemon = Daemon::start();
    let long = format!("GET /v1/{} HTTP/1.1\r\nhost: x\r\n\r\n", "x".repeat(100_000));
    for request in [long.as_bytes(), b"\x16\x03\x01 this is no HTTP\r\n\r\n", b"GET\r\n\r\n", b"", b"\r\n"] {
        let answer = raw_to_end(&daemon, request);
        assert!(answer == 0 || (400..500).contains(&answer), "{answer}");
    }
    still_serves(&daemon);
}

fn raw_to_end(daemon: &Daemon, request: &[u8]) -> u16 {
    let mut stream = connect(&daemon.socket());
    let _ = stream.write_all(request);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    finish(stream).status
}

#[test]
fn a_slow_client_is_let_go_and_holds_up_nobody() {
    let daemon = Daemon::start();
    let begun = Instant::now();
    let mut head = connect(&daemon.socket());
    head.write_all(b"GET /v1/gpus HTTP/1.1\r\n").unwrap();
    let mut body = half_a_request(&daemon);
    still_serves(&daemon);
    body.set_nonblocking(true).unwrap();
    let waits = body.read(&mut [0]).unwrap_err();
    assert_eq!(waits.kind(), IoErrorKind::WouldBlock, "a slow client held up another one");
    body.set_nonblocking(false).unwrap();
    finish(head);
    assert!(begun.elapsed() > Duration::from_secs(4), "the deadlines are there for a reason");
    assert_eq!(finish(body).status, 408);
    assert!(begun.elapsed() > Duration::from_secs(9), "the deadlines are there for a reason");
}

#[test]
fn users_who_take_all_places_do_not_take_roots() {
    use std::sync::atomic::{AtomicU32, Ordering};
    static CONNECTIONS: AtomicU32 = AtomicU32::new(0);
    // The first hundred come from a user, the others from root.
    let daemon = Daemon::start_with(Script::default(), |stream| {
        let first = CONNECTIONS.fetch_add(1, Ordering::SeqCst) < 100;
        if first { as_other(stream) } else { as_root(stream) }
    });
    let mut idle: Vec<_> = (0..100).map(|_| connect(&daemon.socket())).collect();
    for stream in idle.split_off(8) {
        // One that is told nothing finds its connection closed.
        assert!([0, 503].contains(&finish(stream).status));
    }
    still_serves(&daemon);
}

/// What the hook says of a VM without devices.
fn hook(event: &str) -> String {
    let domain = json!({
        "name": "web", "uuid": "00000000-0000-0000-0000-000000000001", "state": "active", "autostart": false,
        "config": [], "live": [], "requests": {"list": []},
    });
    json!({"event": event, "domain": domain}).to_string()
}

/// As many starts as root has places may wait for their hooks.
#[test]
fn with_all_of_roots_places_taken_hooks_are_served_and_nothing_else() {
    let daemon = Daemon::start_with(Script::default(), as_root);
    let mut taken: Vec<_> = (0..32).map(|_| half_a_request(&daemon)).collect();
    let busy = || {
        let answer = get(&daemon.socket(), "/v1/gpus");
        (answer.status == 503).then(|| answer.error())
    };
    // A connection has its place once it is accepted.
    let until = Instant::now() + Duration::from_secs(8);
    let error = std::iter::repeat_with(busy).take_while(|_| Instant::now() < until).find_map(|busy| busy);
    let error = error.expect("root has no place left");
    assert_eq!(error.kind, ErrorKind::Unreachable);
    assert!(error.message.contains("no place"), "{error}");
    for event in ["prepare", "running", "release"] {
        let answer = send(&daemon.socket(), "POST", gpuvirt_api::route::HOOK, &hook(event));
        assert_eq!(answer.status, 200, "{event}: {answer:?}");
    }
    assert!(busy().is_some(), "the places are still taken");
    taken.clear();
    let served = || get(&daemon.socket(), "/v1/gpus").status == 200;
    let until = Instant::now() + Duration::from_secs(30);
    assert!(std::iter::repeat_with(served).take_while(|_| Instant::now() < until).any(|served| served));
}

#[test]
fn a_user_with_all_its_places_taken_is_told_so_and_others_are_served() {
    use std::sync::atomic::{AtomicU32, Ordering};
    static CONNECTIONS: AtomicU32 = AtomicU32::new(0);
    // The first eight places and the ninth connection are one user's, the tenth is another's.
    let daemon = Daemon::start_with(Script::default(), |stream| {
        let uid = if CONNECTIONS.fetch_add(1, Ordering::SeqCst) < 9 { 1000 } else { 1001 };
        as_other(stream).map(|peer| gpuvirtd::server::Peer { uid, ..peer })
    });
    let idle: Vec<_> = (0..8).map(|_| half_a_request(&daemon)).collect();
    // A body as large as any: it is read to its end, or the client would not see the answer.
    let body = "x".repeat(60 * 1024);
    let answer = send(&daemon.socket(), "PUT", SET, &body);
    let error = answer.error();
    assert_eq!((answer.status, error.kind), (503, ErrorKind::Unreachable), "{answer:?}");
    assert_eq!(error.api_version, gpuvirt_api::API_VERSION);
    assert!(error.message.contains("uid 1000"), "{error}");
    still_serves(&daemon);
    drop(idle);
}

#[test]
fn a_panic_answers_as_a_bug_and_the_daemon_lives_on() {
    let daemon = Daemon::start_with(Script { panic_in_observe: true, ..Script::default() }, as_root);
    for path in ["/v1/gpus", "/v1/gpus", "/v1/status"] {
        let answer = get(&daemon.socket(), path);
        assert_eq!((answer.status, answer.error().kind), (500, ErrorKind::Bug), "{path}");
    }
    for _ in 0..40 {
        assert_eq!(get(&daemon.socket(), "/v1/gpus").status, 500, "no place is lost to a panic");
    }
    assert_eq!(get(&daemon.socket(), "/v1/vms/nobody/xml").status, 404);
}

#[test]
fn one_connection_is_one_request() {
    let daemon = Daemon::start();
    let twice = b"GET /v1/gpus HTTP/1.1\r\nhost: x\r\n\r\nGET /v1/vms HTTP/1.1\r\nhost: x\r\n\r\n";
    let answer = raw(&daemon.socket(), twice);
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("connection: close"), "{}", answer.head);
    assert!(!answer.body.contains("VmList"));
}
