//! Every route that takes a body, with what is no such body: each node of a good one replaced by what nobody expects, left
//! out, or cut off. It is answered, never as our bug, and the daemon lives on.

use gpuvirt_api::ErrorKind;
use serde_json::{Value, json};

use crate::fakes::{Daemon, VGPU};
use crate::http::{Answer, get, send};

/// A request whose body is right.
struct Good {
    method: &'static str,
    path: &'static str,
    body: Value,
}

fn good() -> Vec<Good> {
    let domain = json!({
        "name": "web", "uuid": "00000000-0000-0000-0000-000000000001", "state": "active", "autostart": true,
        "config": [{"type": "mdev", "uuid": VGPU}, {"type": "pci", "address": "0000:41:00.0", "managed": false}],
        "live": [],
        "requests": {"list": []},
    });
    let config = json!({
        "apiVersion": "gpuvirt/v1", "kind": "Configuration",
        "host": {"defaultType": "shared", "assignmentPolicy": "performance"},
        "gpus": [{"address": "0000:41:00.0", "type": "direct", "label": "x", "when": "boot", "vfCount": 2,
                  "vgpus": [], "accepted": []},
                 {"match": {"device": "10de:2235", "subsystem": "10de:145a", "count": 1}, "type": "shared"}],
    });
    let of = |method, path, body| Good { method, path, body };
    vec![
        of(
            "PUT",
            "/v1/gpus/41:00.0/type",
            json!({"type": "direct", "label": "x", "accept": ["boot-display"],
            "when": "idle", "dryRun": true, "waitSeconds": 3, "vgpuMode": null, "vfCount": null}),
        ),
        of("PUT", "/v1/gpus/41:00.0/cordon", json!({"cordoned": true})),
        of(
            "PUT",
            "/v1/host",
            json!({"defaultType": "shared", "assignmentPolicy": "performance",
            "maintenance": false, "reserve": {"profile": "test_small", "count": 1}, "yes": true}),
        ),
        of(
            "POST",
            "/v1/vgpus",
            json!({"gpu": "0000:41:00.0", "profile": "test_small", "uuid": VGPU, "uuids": [],
            "count": 1, "params": {"a": "1"}, "dryRun": true}),
        ),
        of("POST", "/v1/vgpus/remove", json!({"ids": [VGPU], "allOf": null, "dryRun": true})),
        of(
            "PUT",
            "/v1/vgpus/00000000-0000-0000-0000-000011112222/params",
            json!({"params": {"a": "1"}, "clear": true, "dryRun": true}),
        ),
        of(
            "POST",
            "/v1/gpus/41:00.0/gpu-instances",
            json!({"profile": "1g.5gb", "count": 1, "dryRun": true}),
        ),
        of(
            "POST",
            "/v1/vms/web/devices",
            json!({"device": "profile", "profile": "test_small", "count": 2,
            "params": {"a": "1"}, "dryRun": true}),
        ),
        of(
            "POST",
            "/v1/vms/web/devices",
            json!({"device": "match", "match": {"ids": "10de:2235", "label": "left card"}, "dryRun": true}),
        ),
        of("POST", "/v1/vms/web/devices/remove", json!({"device": "request", "request": 1})),
        of("POST", "/v1/vms/web/start", json!({"dryRun": true})),
        of("POST", "/v1/vms/web/adopt", json!({"dryRun": true})),
        of("POST", "/v1/hook", json!({"event": "running", "domain": domain})),
        of(
            "POST",
            "/v1/config",
            json!({"config": config, "until": "plans", "prune": true, "yes": true,
            "adopt": true, "waitSeconds": 1}),
        ),
    ]
}

/// What nobody expects where something else is right.
fn strange() -> Vec<Value> {
    vec![
        Value::Null,
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(1e308),
        json!(""),
        json!("\u{0}"),
        json!("../../etc/passwd"),
        json!("\u{202e}\u{1b}[2J größe \u{1f5a5}"),
        json!("x".repeat(4096)),
        json!("ffff:ff:1f.7"),
        json!("00000000-0000-0000-0000-000000000000"),
        json!([]),
        json!([[[[]]]]),
        json!({}),
        json!({"": {"a/b~c": null}}),
    ]
}

/// The places of every value in a document, as JSON pointers.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| places(value, &format!("{at}/{name}"), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, value)| places(value, &format!("{at}/{n}"), found));
        }
        _ => {}
    }
}

/// The document without what is at this place.
fn without(body: &Value, place: &str) -> Option<Value> {
    let (parent, name) = place.rsplit_once('/')?;
    let mut body = body.clone();
    body.pointer_mut(parent)?.as_object_mut()?.remove(name)?;
    Some(body)
}

fn is_answered(answer: &Answer, body: &str) {
    let about = || format!("{body}: {answer:?}");
    assert!((200..500).contains(&answer.status), "{}", about());
    if answer.status >= 400 {
        assert_ne!(answer.error().kind, ErrorKind::Bug, "{}", about());
    }
}

#[test]
fn what_is_right_is_understood() {
    let daemon = Daemon::start();
    for Good { method, path, body } in good() {
        let answer = send(&daemon.socket(), method, path, &body.to_string());
        is_answered(&answer, &body.to_string());
        // Else what follows would test nothing beyond the parser.
        assert_ne!(answer.status, 400, "{path} {body}: {answer:?}");
    }
}

#[test]
fn no_value_at_any_place_of_any_body_is_our_bug() {
    let daemon = Daemon::start();
    let mut asked = 0;
    for Good { method, path, body } in good() {
        let mut found = Vec::new();
        places(&body, "", &mut found);
        let mut bodies: Vec<String> = Vec::new();
        for place in &found {
            bodies.extend(without(&body, place).map(|body| body.to_string()));
            for value in strange() {
                let mut other = body.clone();
                *other.pointer_mut(place).unwrap() = value;
                bodies.push(other.to_string());
            }
        }
        let text = body.to_string();
        // Cut off anywhere, and twice the same.
        bodies.extend((0..text.len()).step_by(7).map(|end| text[..end].to_owned()));
        bodies.push(format!("{text}{text}"));
        bodies.push(text.replacen('{', "{\"dryRun\": true, \"dryRun\": true, ", 1));
        for body in bodies {
            is_answered(&send(&daemon.socket(), method, path, &body), &body);
            asked += 1;
        }
    }
    println!("{asked} bodies");
    assert!(asked > 1000);
    assert_eq!(get(&daemon.socket(), "/v1/gpus").status, 200);
}
