//! Requests under way when their client leaves, or when the daemon is told to stop: they end as they would have.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::fakes::{Daemon, Hold, Script, VGPU, as_root};
use crate::http::{connect, finish, get, send};

fn held() -> (Arc<Hold>, Daemon) {
    let hold = Arc::new(Hold::default());
    let script = Script { hold: Some(Arc::clone(&hold)), ..Script::default() };
    (hold, Daemon::start_with(script, as_root))
}

#[test]
fn a_request_under_way_is_answered_before_the_daemon_stops() {
    let (hold, mut daemon) = held();
    let mut client = connect(&daemon.socket());
    client.write_all(b"GET /v1/gpus HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    hold.until_reached();
    daemon.stop();
    hold.release();
    assert_eq!(finish(client).status, 200);
}

#[test]
fn a_change_goes_on_when_its_client_leaves() {
    let (hold, daemon) = held();
    let mut client = connect(&daemon.socket());
    let body = "{\"type\": \"shared-direct\", \"label\": \"right card\"}";
    let head =
        format!("PUT /v1/gpus/41:00.0/type HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
    client.write_all((head + body).as_bytes()).unwrap();
    hold.until_reached();
    drop(client);
    // The next change waits for that one, so that its end is seen without guessing.
    let mut next = connect(&daemon.socket());
    let unset = "DELETE /v1/gpus/right%20card/configuration HTTP/1.1\r\nhost: x\r\n\r\n";
    next.write_all(unset.as_bytes()).unwrap();
    hold.release();
    let answer = finish(next);
    assert_eq!(answer.status, 200, "the label of the earlier change is there: {answer:?}");
    assert_eq!(get(&daemon.socket(), "/v1/gpus").json()["items"][0]["managed"], false);
}

const CHANGE: &str = "{\"type\": \"shared-direct\", \"label\": \"right card\"}";

fn begun(daemon: &Daemon, hold: &Hold) -> std::os::unix::net::UnixStream {
    let mut client = connect(&daemon.socket());
    let head =
        format!("PUT /v1/gpus/41:00.0/type HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", CHANGE.len());
    client.write_all((head + CHANGE).as_bytes()).unwrap();
    hold.until_reached();
    client
}

fn held_commits() -> (Arc<Hold>, Daemon) {
    let hold = Arc::new(Hold::default());
    let script = Script { hold_commits: Some(Arc::clone(&hold)), ..Script::default() };
    (hold, Daemon::start_with(script, as_root))
}

#[test]
fn a_change_that_waits_is_not_begun_when_its_client_has_left() {
    let (hold, daemon) = held_commits();
    let first = begun(&daemon, &hold);
    let mut waiting = connect(&daemon.socket());
    waiting.write_all(b"DELETE /v1/gpus/41:00.0/configuration HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    // Connections are taken in turn: when a later one is answered, that one waits for its turn.
    assert_eq!(get(&daemon.socket(), "/v1/gpus").status, 200);
    drop(waiting);
    assert_eq!(get(&daemon.socket(), "/v1/gpus").status, 200);
    hold.release();
    assert_eq!(finish(first).status, 200);
    // Changes have turns: after this one, the one before it is done or dropped.
    assert_eq!(send(&daemon.socket(), "POST", "/v1/recover", "").status, 200);
    let gpu = &get(&daemon.socket(), "/v1/gpus").json()["items"][0];
    assert_eq!((&gpu["managed"], &gpu["label"]), (&true.into(), &"right card".into()));
}

#[test]
fn a_dry_run_does_not_wait_for_a_change() {
    let (hold, daemon) = held_commits();
    let first = begun(&daemon, &hold);
    let dry_run = "{\"type\": \"shared-direct\", \"dryRun\": true}";
    let shown = send(&daemon.socket(), "PUT", "/v1/gpus/41:00.0/type", dry_run);
    assert_eq!(shown.status, 200, "{shown:?}");
    hold.release();
    assert_eq!(finish(first).status, 200);
}

/// What the doctor finds of the GPU, by name.
fn found(daemon: &Daemon) -> Vec<String> {
    let answer = get(&daemon.socket(), "/v1/doctor?gpu=41:00.0");
    let findings = answer.json()["findings"].as_array().unwrap().clone();
    findings.iter().map(|finding| finding["code"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_change_under_way_is_nothing_for_the_doctor_and_one_that_did_not_end_is() {
    let hold = Arc::new(Hold::default());
    let script = Script { hold_steps: Some(Arc::clone(&hold)), ..Script::default() };
    let daemon = Daemon::start_with(script, as_root);
    let body = "{\"gpu\": \"41:00.0\", \"profile\": \"test_small\"}";
    let head = format!("POST /v1/vgpus HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
    let mut client = connect(&daemon.socket());
    client.write_all((head + body).as_bytes()).unwrap();
    hold.until_reached();
    let during = found(&daemon);
    assert!(!during.iter().any(|code| ["hands-off", "type-pending"].contains(&code.as_str())), "{during:?}");
    hold.release();
    // The fake host made none, and the way back is its own affair: the doctor is asked about an end that was none.
    drop(finish(client));
    let stuck = Daemon::start_with(Script { intent_open: true, ..Script::default() }, as_root);
    assert!(found(&stuck).contains(&"hands-off".to_owned()));
}

fn prepare(vm: u128) -> String {
    let domain = serde_json::json!({
        "name": "cad", "uuid": uuid::Uuid::from_u128(vm), "state": "active", "autostart": false,
        "config": [{"type": "mdev", "uuid": VGPU}], "live": [], "requests": {"list": []},
    });
    serde_json::json!({"event": "prepare", "domain": domain}).to_string()
}

/// Its release came before it, and does not come again.
#[test]
fn a_start_that_was_called_off_while_it_was_judged_keeps_nothing() {
    let (hold, daemon) = held();
    let mut client = connect(&daemon.socket());
    let body = prepare(1);
    let head = format!("POST /v1/hook HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
    client.write_all((head + &body).as_bytes()).unwrap();
    hold.until_reached();
    drop(client);
    // Connections are taken in turn: when a later one is answered, it is known that the one before has left.
    assert_eq!(get(&daemon.socket(), "/v1/openapi.json").status, 200);
    hold.release();
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let answer = send(&daemon.socket(), "POST", "/v1/hook", &prepare(2));
        if answer.status == 200 {
            break;
        }
        assert!(Instant::now() < until, "{answer:?}");
    }
}
