//! The daemon as a process, over a recorded host: how it starts, ends, and what keeps it from starting.

#![allow(clippy::unwrap_used)] // a test may panic
#![allow(clippy::disallowed_methods)] // a test writes broken files

#[path = "api/http.rs"]
#[allow(dead_code)] // shared with the tests of the API
mod http;
mod place;

use std::process::Command;

use nix::sys::signal::Signal;
use place::Place;
use serde_json::Value;

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
    assert_eq!((answer.status, answer.error().kind), (409, gpuvirt_api::ErrorKind::Refused), "{answer:?}");
    assert_eq!(std::fs::read_to_string(path).unwrap(), "{\n  \"version\": 1,\n  oops");
}

/// Nothing is changed, by us or for a start, and each who wants to hears what is wrong with which file, and what to do.
#[track_caller]
#[allow(clippy::indexing_slicing)] // a failed expectation is a failed test
fn changes_nothing(place: &Place, words: &[&str]) {
    let before = place.get("/v1/gpus")["items"].clone();
    assert!(!before.as_array().unwrap().is_empty());
    let problems = place.get("/v1/status")["problems"].to_string();
    let vm = "00000000-0000-4000-8000-000000000001";
    let start = format!(
        r#"{{"event": "prepare", "domain": {{"name": "web", "uuid": "{vm}", "state": "active", "autostart": false,
            "config": [{{"type": "pci", "address": "0000:02:00.0", "managed": false}}], "live": [],
            "requests": {{"list": []}}}}}}"#
    );
    let socket = place.at("socket");
    let to_direct = http::send(&socket, "PUT", "/v1/gpus/02:00.0/type", r#"{"type": "direct"}"#);
    let started = http::send(&socket, "POST", "/v1/hook", &start);
    for answer in [to_direct, started] {
        let refusal = answer.error().refusals.remove(0);
        assert_eq!((answer.status, refusal.code.as_str()), (409, "state-unreadable"), "{answer:?}");
        for word in words {
            assert!(
                refusal.because.contains(word) && problems.contains(word),
                "{word}: {refusal}; {problems}"
            );
        }
    }
    assert_eq!(place.get("/v1/gpus")["items"], before);
}

#[test]
fn a_state_folder_that_others_can_write_to_is_no_reason_not_to_start() {
    let place = Place::new();
    drop(place.start());
    let journal = place.at("state/journal");
    std::fs::set_permissions(&journal, std::os::unix::fs::PermissionsExt::from_mode(0o775)).unwrap();
    let daemon = place.start();
    changes_nothing(&place, &["state/journal", "chmod go-w", "systemctl restart gpuvirtd"]);
    drop(daemon);
    std::fs::set_permissions(&journal, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let _daemon = place.start();
    let answer = http::send(&place.at("socket"), "PUT", "/v1/gpus/02:00.0/type", r#"{"type": "direct"}"#);
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// As on a read-only file system, where its lock can't be taken.
#[test]
fn a_state_folder_that_cannot_be_written_to_is_read() {
    let place = Place::new();
    let daemon = place.start();
    let body = r#"{"type": "direct", "when": "boot"}"#;
    let answer = http::send(&place.at("socket"), "PUT", "/v1/gpus/02:00.0/type", body);
    assert_eq!(answer.status, 200, "{answer:?}");
    drop(daemon);
    std::fs::remove_file(place.at("state/lock")).unwrap();
    std::fs::create_dir(place.at("state/lock")).unwrap();
    let _daemon = place.start();
    changes_nothing(&place, &["state/lock", "systemctl restart gpuvirtd"]);
    let shown = place.get("/v1/gpus/02:00.0");
    assert_eq!(shown["items"][0]["configured"], "direct", "{shown}");
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

#[test]
fn a_gpu_goes_to_direct_and_back_and_the_next_daemon_knows() {
    let place = Place::new();
    let daemon = place.start();
    let set = |to: &str, more: &str| {
        let body = format!("{{\"type\": \"{to}\"{more}}}");
        let answer = http::send(&place.at("socket"), "PUT", "/v1/gpus/02:00.0/type", &body);
        assert_eq!(answer.status, 200, "{answer:?}");
        let change = answer.json();
        (change["outcome"]["outcome"].as_str().unwrap().to_owned(), change)
    };
    let gpu = || place.get("/v1/gpus/02:00.0")["items"][0].take();

    let (outcome, shown) = set("direct", ", \"dryRun\": true");
    assert_eq!((outcome.as_str(), gpu()["active"].as_str()), ("changed", Some("shared")));
    assert!(shown["sentences"].as_array().is_some_and(|steps| steps.len() > 3), "{shown}");
    assert_eq!(gpu()["managed"], false, "a dry run stores nothing");

    let (outcome, change) = set("direct", ", \"label\": \"second card\"");
    assert_eq!((outcome.as_str(), &change["sentences"]), ("changed", &shown["sentences"]));
    assert_eq!((gpu()["active"].as_str(), gpu()["label"].as_str()), (Some("direct"), Some("second card")));
    assert_eq!(set("direct", "").0, "unchanged");
    let xml = place.get("/v1/gpus/second%20card/xml")["xml"].to_string();
    assert_eq!(xml.matches("<hostdev ").count(), 2, "{xml}");

    assert_eq!(set("shared", "").0, "changed");
    assert_eq!((gpu()["active"].as_str(), gpu()["pending"].is_null()), (Some("shared"), true));
    set("direct", "");
    drop(daemon);
    assert_eq!(std::fs::read_dir(place.at("state/journal")).unwrap().count(), 0, "every change was settled");

    // The recorded host starts anew, as a host does after a reboot; what was asked for is remembered and made so.
    let _next = place.start();
    let gpu = gpu();
    assert_eq!((gpu["configured"].as_str(), gpu["active"].as_str()), (Some("direct"), Some("direct")));
}

#[test]
fn an_intent_that_did_not_settle_is_taken_back_before_the_daemon_is_ready() {
    let place = Place::new();
    drop(place.start());
    // As a crash after a first step that cleared the override leaves it.
    let binding = "{\"driver\": \"nouveau\", \"driverOverride\": \"nouveau\"}";
    let intent = format!(
        "{{\"version\": 1, \"plan\": {{\"gpu\": \"0000:02:00.0\", \"purpose\": \"a test\", \"steps\": [], \
         \"before\": {{\"bindings\": {{\"0000:02:00.0\": {binding}}}}}, \"promises\": []}}}}"
    );
    let path = place.at("state/journal/0000:02:00.0.json");
    std::fs::write(&path, intent).unwrap();
    let _daemon = place.start();
    let status = place.get("/v1/status");
    assert!(!path.exists(), "{status}");
    let gpu = place.get("/v1/gpus/02:00.0");
    assert_eq!(gpu["items"][0]["functionDetails"][0]["binding"]["driverOverride"], "nouveau");
    assert!(status["gpus"][1]["handsOff"].is_null(), "{status}");
}

#[test]
fn an_intent_that_cannot_be_taken_back_is_hands_off_and_the_daemon_ready() {
    let place = Place::new();
    drop(place.start());
    // As after a power cut: the driver that had the card is not there yet.
    let binding = "{\"driver\": \"absent\", \"driverOverride\": null}";
    let intent = format!(
        "{{\"version\": 1, \"plan\": {{\"gpu\": \"0000:02:00.0\", \"purpose\": \"a test\", \"steps\": [], \
         \"before\": {{\"bindings\": {{\"0000:02:00.0\": {binding}}}}}, \"promises\": []}}}}"
    );
    std::fs::write(place.at("state/journal/0000:02:00.0.json"), intent).unwrap();
    let _daemon = place.start();
    let status = place.get("/v1/status");
    assert!(status["gpus"][1]["handsOff"].as_str().is_some_and(|why| why.contains("a test")), "{status}");
    let set = http::send(&place.at("socket"), "PUT", "/v1/gpus/02:00.0/type", "{\"type\": \"direct\"}");
    assert_eq!(set.error().refusals[0].code.as_str(), "hands-off");
}

#[test]
fn the_log_names_every_refusal_of_a_refused_change() {
    let place = Place::of("emulated-card.umockdev");
    let daemon = place.start();
    let answer = http::send(&place.at("socket"), "PUT", "/v1/gpus/00:01.0/type", "{\"type\": \"direct\"}");
    let refusals = answer.error().refusals;
    assert!(refusals.len() > 1, "a case with several refusals: {answer:?}");
    daemon.signal(Signal::SIGTERM);
    let (_, log) = daemon.end();
    let line = log.lines().find(|line| line.contains("not done")).unwrap();
    for refusal in refusals {
        assert!(line.contains(refusal.code.as_str()), "{line}");
    }
}

#[test]
fn a_companion_names_its_gpu_and_a_virtual_function_does_not() {
    let dry_run = "{\"type\": \"direct\", \"dryRun\": true}";
    let place = Place::new();
    let daemon = place.start();
    let answer = http::send(&place.at("socket"), "PUT", "/v1/gpus/02:00.1/type", dry_run);
    assert_eq!(answer.json()["outcome"]["value"], "0000:02:00.0 would become direct", "{answer:?}");
    let xml = |name: &str| place.get(&format!("/v1/gpus/{name}/xml"));
    assert_eq!(xml("02:00.1"), xml("02:00.0"));
    assert_eq!(place.get("/v1/gpus/02:00.1"), place.get("/v1/gpus/02:00.0"));
    drop(daemon);

    let place = Place::of("vgpu-host.umockdev");
    let _daemon = place.start();
    for (method, path, body) in [
        ("GET", "/v1/gpus/VF", ""),
        ("GET", "/v1/gpus/VF/xml", ""),
        ("PUT", "/v1/gpus/VF/type", dry_run),
        ("DELETE", "/v1/gpus/VF/configuration", ""),
    ] {
        let answer = http::send(&place.at("socket"), method, &path.replace("VF", "0000:41:00.4"), body);
        let error = answer.error();
        assert_eq!((answer.status, error.refusals[0].code.as_str()), (404, "gpu-not-found"), "{path}");
        assert_eq!(error.refusals[0].because, "0000:41:00.4 is a virtual function of 0000:41:00.0", "{path}");
    }
}

#[test]
fn a_vgpu_comes_and_goes_and_others_are_left_alone() {
    const OTHERS: &str = "/v1/vgpus/11111111-2222-4333-8444-000000000001";
    const OURS: &str = "/v1/vgpus/00000000-0000-4000-8000-000000000001";
    let place = Place::of("vgpu-host.umockdev");
    let daemon = place.start();
    let ask = |method: &str, path: &str, body: &str| http::send(&place.at("socket"), method, path, body);
    let outcome = |answer: http::Answer| answer.json()["outcome"]["outcome"].as_str().map(str::to_owned);
    let create = "{\"gpu\": \"41:00.0\", \"profile\": \"nvidia_a40-12c\", \
                  \"uuid\": \"00000000-0000-4000-8000-000000000001\"}";

    let early = ask("POST", "/v1/vgpus", create);
    assert_eq!(early.error().refusals.first().map(|r| r.code.as_str()), Some("unmanaged"), "{early:?}");
    let shared_direct = ask("PUT", "/v1/gpus/41:00.0/type", "{\"type\": \"shared-direct\"}");
    assert_eq!(outcome(shared_direct).as_deref(), Some("changed"));
    assert_eq!(outcome(ask("POST", "/v1/vgpus", create)).as_deref(), Some("changed"));
    assert_eq!(outcome(ask("POST", "/v1/vgpus", create)).as_deref(), Some("unchanged"));
    assert_eq!(place.get(OURS)["items"][0]["ours"], true);
    assert_eq!(place.get(OTHERS)["items"][0]["ours"], false);
    assert!(place.get(&format!("{OURS}/xml"))["xml"].as_str().is_some_and(|xml| xml.contains("mdev")));

    let foreign = ask("DELETE", OTHERS, "");
    assert_eq!(foreign.error().refusals.first().map(|r| r.code.as_str()), Some("not-ours"), "{foreign:?}");
    assert_eq!(outcome(ask("DELETE", &format!("{OURS}?dryRun=true"), "")).as_deref(), Some("changed"));
    assert_eq!(place.get(OURS)["items"][0]["ours"], true, "a dry run removes nothing");
    assert_eq!(outcome(ask("DELETE", OURS, "")).as_deref(), Some("changed"));
    assert_eq!(ask("GET", OURS, "").status, 404);

    // One that a reboot took is made again, and is ours.
    assert_eq!(outcome(ask("POST", "/v1/vgpus", create)).as_deref(), Some("changed"));
    drop(daemon);
    let _next = place.start();
    assert_eq!(place.get(OURS)["items"][0]["ours"], true);
    assert_eq!(outcome(ask("DELETE", OURS, "")).as_deref(), Some("changed"));
    assert_eq!(ask("DELETE", OURS, "").status, 404);
}

#[test]
fn a_vgpu_that_is_a_virtual_function_is_named_by_its_address() {
    const VGPU: &str = "/v1/vgpus/0000:26:00.4";
    let place = Place::of("vgpu-types-host.umockdev");
    let _daemon = place.start();
    let ask = |method: &str, path: &str, body: &str| http::send(&place.at("socket"), method, path, body);
    let shared_direct = ask("PUT", "/v1/gpus/26:00.0/type", "{\"type\": \"shared-direct\"}");
    assert_eq!(shared_direct.status, 200, "{shared_direct:?}");
    let create = |more: &str| {
        let body = format!("{{\"gpu\": \"26:00.0\", \"profile\": \"nvidia_l40s-12q\"{more}}}");
        ask("POST", "/v1/vgpus", &body)
    };
    assert_eq!(create(", \"uuid\": \"00000000-0000-4000-8000-000000000001\"").status, 400);
    let made = create("").json();
    assert_eq!((&made["id"], made["uuid"].is_null()), (&Value::from("0000:26:00.4"), true), "{made}");
    for path in [VGPU, "/v1/vgpus/26:00.4", "/v1/vgpus/0000%3A26%3A00.4"] {
        let vgpu = &place.get(path)["items"][0];
        assert_eq!(
            (&vgpu["id"], &vgpu["ours"]),
            (&Value::from("0000:26:00.4"), &Value::from(true)),
            "{path}"
        );
        assert_eq!(
            (&vgpu["profile"], &vgpu["typeId"]),
            (&Value::from("nvidia_l40s-12q"), &Value::from("1153"))
        );
    }
    let xml = place.get(&format!("{VGPU}/xml"))["xml"].to_string();
    assert!(xml.contains("type='pci' managed='no'") && xml.contains("function='0x4'"), "{xml}");
    let removed = ask("DELETE", VGPU, "").json();
    assert_eq!((&removed["outcome"]["outcome"], &removed["id"]), (&Value::from("changed"), &made["id"]));
    assert_eq!((ask("GET", VGPU, "").status, ask("GET", "/v1/vgpus/nobody", "").status), (404, 400));
}

#[test]
fn what_was_asked_for_is_there_when_it_is_ready_again() {
    let place = Place::new();
    let daemon = place.start();
    let socket = place.at("socket");
    let body = r#"{"type":"direct","accept":["boot-display","console-active"],"dryRun":false}"#;
    assert_eq!(http::send(&socket, "PUT", "/v1/gpus/0000:01:00.0/type", body).status, 200);
    assert!(place.get("/v1/status")["restore"].is_null(), "nothing was configured at the start");
    daemon.signal(Signal::SIGKILL);
    daemon.end();

    // The recording is as it was: to the daemon this is a reboot. It answers once it is ready.
    let daemon = place.start();
    let status = place.get("/v1/status");
    assert_eq!(status["restore"]["finished"], true);
    let restored = &status["restore"]["gpus"][0];
    assert_eq!((&restored["address"], &restored["outcome"]), (&"0000:01:00.0".into(), &"changed".into()));
    assert_eq!(place.get("/v1/gpus/0000:01:00.0")["items"][0]["active"], "direct");
    daemon.signal(Signal::SIGTERM);
    daemon.end();
}

#[test]
fn a_card_that_is_another_one_now_is_reported_and_the_daemon_gets_ready() {
    let place = Place::new();
    let daemon = place.start();
    let body = r#"{"type":"direct","accept":["boot-display","console-active"],"dryRun":false}"#;
    assert_eq!(http::send(&place.at("socket"), "PUT", "/v1/gpus/0000:01:00.0/type", body).status, 200);
    daemon.signal(Signal::SIGKILL);
    daemon.end();
    let file = place.at("state/state.json");
    let stored = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, stored.replace(r#""device": "2204""#, r#""device": "2bad""#)).unwrap();

    let daemon = place.start();
    let status = place.get("/v1/status");
    assert_eq!(status["restore"]["gpus"][0]["outcome"], "refused", "{status}");
    let why = status["gpus"][0]["pending"].as_str().unwrap();
    assert!(why.contains("identity-changed"), "{why}");
    assert_eq!(place.get("/v1/gpus/0000:01:00.0")["items"][0]["active"], "shared");
    daemon.signal(Signal::SIGTERM);
    assert!(daemon.end().1.contains("not restored"));
}
