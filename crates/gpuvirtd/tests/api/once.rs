//! A change that is asked for again by its key: made once, answered twice.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use gpuvirt_api::ErrorKind;

use crate::fakes::{Daemon, Hold, Script, as_other, as_root};
use crate::http::{Answer, connect, finish, get};

const KEY: &str = "c73f1fa6-489e-4834-9476-d70dabd98c40";
const LABEL: &str = "{\"type\": \"shared-direct\", \"label\": \"right card\"}";

/// Sends a change of the GPU's type under a key, and does not wait for the answer.
fn asked(daemon: &Daemon, key: &str, body: &str) -> UnixStream {
    let mut stream = connect(&daemon.socket());
    let length = body.len();
    let request = format!(
        "PUT /v1/gpus/41:00.0/type HTTP/1.1\r\nhost: x\r\nidempotency-key: {key}\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    // The server may answer and close before it has read everything.
    let _ = stream.write_all(request.as_bytes());
    stream
}

fn set(daemon: &Daemon, key: &str, body: &str) -> Answer {
    finish(asked(daemon, key, body))
}

fn is_replay(answer: &Answer) -> bool {
    answer.head.contains("idempotency-replayed: true")
}

#[test]
fn a_change_that_is_asked_for_again_is_answered_and_not_made_again() {
    let daemon = Daemon::start();
    let first = set(&daemon, KEY, LABEL);
    assert_eq!((first.status, first.json()["outcome"]["outcome"] == "changed"), (200, true), "{first:?}");
    assert!(!is_replay(&first));
    let looks = daemon.looks();
    let again = set(&daemon, KEY, LABEL);
    assert_eq!((again.status, &again.body), (200, &first.body));
    assert!(is_replay(&again) && again.head.contains("application/json"), "{again:?}");
    assert_eq!(daemon.looks(), looks, "nothing was done for it");
    // Under another key it is asked anew.
    let other = set(&daemon, &KEY.replace('c', "d"), LABEL);
    assert!(other.json()["outcome"]["outcome"] == "unchanged" && !is_replay(&other), "{other:?}");
}

#[test]
fn a_key_is_for_one_request_alone() {
    let daemon = Daemon::start();
    assert_eq!(set(&daemon, KEY, LABEL).status, 200);
    let other = set(&daemon, KEY, "{\"type\": \"shared-direct\", \"label\": \"third card\"}");
    assert_eq!((other.status, other.error().kind), (422, ErrorKind::Usage), "{other:?}");
    for nonsense in ["", "7", "\u{1}", "a/b"] {
        assert_eq!(set(&daemon, nonsense, LABEL).status, 400, "{nonsense:?}");
    }
    assert_eq!(get(&daemon.socket(), "/v1/gpus").json()["items"][0]["label"], "right card");
}

#[test]
fn what_was_not_begun_may_be_asked_for_again_with_the_same_key() {
    let daemon = Daemon::start();
    for (body, status) in [("{", 400), ("{\"type\": \"direct\"}", 409), (LABEL, 200), (LABEL, 200)] {
        assert_eq!(set(&daemon, KEY, body).status, status, "{body}");
    }
    let large = format!("{{\"type\": \"direct\", \"label\": \"{}\"}}", "x".repeat(2 << 20));
    assert_eq!(set(&daemon, &KEY.replace('c', "e"), &large).status, 413);
}

#[test]
fn one_users_answer_is_not_anothers() {
    use std::sync::atomic::{AtomicU32, Ordering};
    static CONNECTIONS: AtomicU32 = AtomicU32::new(0);
    let daemon = Daemon::start_with(Script::default(), |stream| {
        if CONNECTIONS.fetch_add(1, Ordering::SeqCst) == 0 { as_root(stream) } else { as_other(stream) }
    });
    assert_eq!(set(&daemon, KEY, LABEL).status, 200);
    assert_eq!(set(&daemon, KEY, LABEL).status, 403);
}

#[test]
fn who_asks_again_meanwhile_waits_for_the_first_answer() {
    let hold = Arc::new(Hold::default());
    let script = Script { hold_commits: Some(Arc::clone(&hold)), ..Script::default() };
    let daemon = Daemon::start_with(script, as_root);
    let first = asked(&daemon, KEY, LABEL);
    hold.until_reached();
    // The client loses its connection and asks again, twice.
    drop(first);
    let again = [asked(&daemon, KEY, LABEL), asked(&daemon, KEY, LABEL)];
    assert_eq!(get(&daemon.socket(), "/v1/status").status, 200, "others are served meanwhile");
    hold.release();
    for answer in again.map(finish) {
        assert_eq!((answer.status, is_replay(&answer)), (200, true), "{answer:?}");
        assert_eq!(answer.json()["outcome"]["outcome"], "changed", "{answer:?}");
    }
    let events = get(&daemon.socket(), "/v1/events").json();
    let changes =
        events["items"].as_array().unwrap().iter().filter(|event| event["kind"] == "changed").count();
    assert_eq!(changes, 1, "{events}");
}
