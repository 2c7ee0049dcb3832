//! Requests under way when their client leaves, or when the daemon is told to stop: they end as they would have.

use std::io::Write;
use std::sync::Arc;

use crate::fakes::{Daemon, Hold, Script, as_root};
use crate::http::{connect, finish, get};

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
