//! What the daemon tells of libvirt's hook: whether a call of it came through.

use gpuvirt_api::route;
use serde_json::{Value, json};

use crate::fakes::{Daemon, Script, as_root};
use crate::http::{get, send};

/// What the testimony says of it.
fn proven(daemon: &Daemon) -> Value {
    let answer = get(&daemon.socket(), route::TESTIMONY);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["testimony"]["daemon"]["hookProven"].clone()
}

#[test]
fn a_call_of_the_hook_shows_that_nothing_keeps_it_away() {
    for event in ["running", "release"] {
        let daemon = Daemon::start_with(Script::default(), as_root);
        assert_eq!(proven(&daemon), json!(false), "nobody has called yet");
        let domain = json!({
            "name": "games", "uuid": uuid::Uuid::from_u128(7), "state": "active", "autostart": false,
            "config": [], "live": [], "requests": {"list": []},
        });
        let call = json!({"event": event, "domain": domain}).to_string();
        assert_eq!(send(&daemon.socket(), "POST", route::HOOK, &call).status, 200);
        assert_eq!(proven(&daemon), json!(true), "{event}");
    }
}
