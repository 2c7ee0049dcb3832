//! A disk that gets full in the middle of a change, at each of its writes in turn: a limit to the size of files stands for it, for
//! it ends a write in its middle too, and wants no file system of the test's own.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a failed expectation is a failed test
#![allow(clippy::disallowed_methods)] // a test writes documents

#[path = "api/http.rs"]
#[allow(dead_code)] // shared with the tests of the API
mod http;
mod place;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use place::{Daemon, Place};
use serde_json::{Value, json};

const TYPE: &str = "/v1/gpus/02:00.0/type";
/// More than any file of the change needs.
const MOST: usize = 64 * 1024;

/// A daemon that gets an error where a file would become too large, and no signal.
fn start(place: &Place) -> Daemon {
    let (daemon, mut command) = (place.command(), Command::new("sh"));
    command
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(daemon.get_program())
        .args(daemon.get_args());
    for (name, value) in daemon.get_envs() {
        command.env(name, value.unwrap());
    }
    place.started(command)
}

/// From now on no file of its can become larger.
fn leave_room(daemon: &Daemon, bytes: &str) {
    let limit = format!("--fsize={bytes}:unlimited");
    let status = Command::new("prlimit").args(["--pid", &daemon.0.id().to_string(), &limit]).status();
    assert!(status.unwrap().success());
}

/// Everything in the state folder, by name.
fn files(folder: &Path) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else if !path.ends_with(".ahead") {
            // It says nothing between changes, and goes where that can't be written.
            all.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
        }
    }
    all.sort();
    all
}

/// Documents that are larger than the journal of a change: of many cards that are on other hosts.
fn enlarge(path: &Path) {
    let mut state: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let gpus = state["desired"]["gpus"].as_array_mut().unwrap();
    let one = gpus[0].clone();
    gpus.extend((0..40).map(|bus| {
        let mut absent = one.clone();
        absent["address"] = json!(format!("00a0:{bus:02x}:00.0"));
        absent
    }));
    std::fs::write(path, serde_json::to_string_pretty(&state).unwrap() + "\n").unwrap();
}

#[test]
fn at_whichever_write_the_disk_gets_full_the_change_is_taken_back_and_passes_with_more_room() {
    let place = Place::new();
    let daemon = start(&place);
    let set = |to: &str| http::send(&place.at("socket"), "PUT", TYPE, &format!("{{\"type\": \"{to}\"}}"));
    assert_eq!(set("shared").status, 200);
    drop(daemon);
    enlarge(&place.at("state/state.json"));
    let daemon = start(&place);
    let gpu = || place.get("/v1/gpus/02:00.0")["items"][0].take();
    let (stored, before) = (files(&place.at("state")), gpu());
    let mut failed_at = BTreeSet::new();
    for room in (0..MOST).step_by(512) {
        leave_room(&daemon, &room.to_string());
        let answer = set("direct");
        if answer.status == 200 {
            break;
        }
        let error = answer.error();
        assert!(error.message.contains("File too large"), "{room}: {error}");
        let writes = ["the journal can't be opened", "storing the result"];
        failed_at.extend(writes.into_iter().find(|write| error.message.contains(write)));
        assert_eq!(files(&place.at("state")), stored, "{room}: {error}");
        assert_eq!(gpu(), before, "{room}: {error}");
    }
    assert_eq!(failed_at.len(), 2, "{failed_at:?}");
    assert_eq!(gpu()["active"], "direct");
    drop(daemon);
    // What was stored with the last of the room is whole.
    let _next = place.start();
    assert_eq!((&gpu()["configured"], &gpu()["active"]), (&json!("direct"), &json!("direct")));
    assert_eq!(std::fs::read_dir(place.at("state/journal")).unwrap().count(), 0);
}
