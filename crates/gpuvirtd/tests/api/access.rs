//! Who may write: root and the group; everybody may read.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gpuvirt_api::ErrorKind;
use gpuvirtd::server::listen::Identify;

use crate::fakes::{Daemon, Hold, Script, as_groupless, as_member, as_other, as_root, as_unknown};
use crate::http::{connect, finish, get, send};

/// Every route that changes something, with a body that makes sense.
const CHANGES: &[(&str, &str, &str)] = &[
    ("PUT", "/v1/gpus/41:00.0/type", "{\"type\": \"shared-direct\"}"),
    ("DELETE", "/v1/gpus/41:00.0/configuration", ""),
    ("PUT", "/v1/gpus/41:00.0/cordon", "{\"cordoned\": true}"),
    ("PUT", "/v1/host", "{\"maintenance\": true}"),
    ("POST", "/v1/recover", ""),
    ("POST", "/v1/vgpus", "{\"gpu\": \"41:00.0\", \"profile\": \"test_small\"}"),
    ("DELETE", "/v1/vgpus/00000000-0000-0000-0000-000011112222", ""),
    ("PUT", "/v1/vgpus/00000000-0000-0000-0000-000011112222/params", "{\"clear\": true}"),
    ("POST", "/v1/vms/web/devices", "{\"device\": \"gpu\", \"gpu\": \"41:00.0\"}"),
    ("POST", "/v1/vms/web/devices/remove", "{\"device\": \"gpu\", \"gpu\": \"41:00.0\"}"),
];

/// What would change, with the status for everybody.
const DRY_RUNS: &[(&str, &str, &str, u16)] = &[
    ("PUT", "/v1/gpus/41:00.0/type", "{\"type\": \"shared-direct\", \"dryRun\": true}", 200),
    ("POST", "/v1/vgpus", "{\"gpu\": \"41:00.0\", \"profile\": \"test_small\", \"dryRun\": true}", 200),
    ("DELETE", "/v1/vgpus/00000000-0000-0000-0000-000011112222?dryRun=true", "", 409),
    (
        "PUT",
        "/v1/vgpus/00000000-0000-0000-0000-000011112222/params",
        "{\"clear\": true, \"dryRun\": true}",
        409,
    ),
    ("POST", "/v1/vms/web/devices", "{\"device\": \"gpu\", \"gpu\": \"41:00.0\", \"dryRun\": true}", 409),
];

#[test]
fn everybody_may_see_what_a_change_would_do() {
    for identify in [as_root, as_other] {
        let daemon = Daemon::start_with(Script::default(), identify);
        let before = get(&daemon.socket(), "/v1/gpus").body;
        for (method, path, body, status) in DRY_RUNS {
            let answer = send(&daemon.socket(), method, path, body);
            assert_eq!(answer.status, *status, "{method} {path}: {answer:?}");
        }
        assert_eq!(get(&daemon.socket(), "/v1/gpus").body, before);
    }
}

/// Who may not change anything can't have root run the vendor's command in a loop, in the turn of changes.
#[test]
fn gpu_instances_are_read_for_all_who_may_only_read_together() {
    let looks = |identify: Identify| {
        let daemon = Daemon::start_with(Script::default(), identify);
        let lists: Vec<String> = (0..5).map(|_| get(&daemon.socket(), "/v1/mig").body).collect();
        assert!(lists.iter().all(|list| *list == lists[0] && list.contains("MigList")), "{lists:?}");
        (daemon.looks(), daemon)
    };
    assert_eq!(looks(as_root).0, 5);
    assert_eq!(looks(as_member).0, 5);
    let (others, daemon) = looks(as_other);
    assert_eq!(others, 1);
    // One that is not among the managed cards with such a command is nobody's business who may not change it.
    let answer = get(&daemon.socket(), "/v1/mig?gpu=41:00.0");
    assert_eq!((answer.status, answer.error().kind), (403, ErrorKind::Denied), "{answer:?}");
}

/// A dry run that took long is one that had a card asked for something.
#[test]
fn who_may_not_change_anything_waits_between_dry_runs_that_take_long() {
    let took = |identify: Identify| {
        let hold = Arc::<Hold>::default();
        let script = Script { hold: Some(Arc::clone(&hold)), ..Script::default() };
        let daemon = Daemon::start_with(script, identify);
        let (method, path, body, _) = DRY_RUNS[0];
        let socket = daemon.socket();
        let first = std::thread::spawn(move || send(&socket, method, path, body));
        hold.until_reached();
        let (_says_nothing, passes) = std::sync::mpsc::channel::<()>();
        let _passed = passes.recv_timeout(Duration::from_millis(500));
        hold.release();
        assert_eq!(first.join().unwrap().status, 200);
        let began = Instant::now();
        assert_eq!(send(&daemon.socket(), method, path, body).status, 200);
        began.elapsed()
    };
    let nine_times = Duration::from_millis(4400);
    let (others, members) = (took(as_other), took(as_member));
    assert!(others > nine_times && members < nine_times, "{others:?}, {members:?}");
}

/// polkit's program is told the process with its start time and the user, and only its clear yes counts.
#[test]
#[allow(clippy::disallowed_methods)] // a script for the test
fn polkit_may_let_others_write() {
    let dir = tempfile::tempdir().unwrap();
    let asked = dir.path().join("asked");
    let identify: Identify = |_| {
        Ok(gpuvirtd::server::Peer { uid: 1000, gid: 1000, groups: None, pid: Some(4711), started: Some(99) })
    };
    for (verdict, status) in [("exit 0", 200), ("exit 1", 403), ("exit 3", 403), ("kill -9 $$", 403)] {
        let program = dir.path().join("pkcheck");
        let script = format!("#!/bin/sh\necho \"$@\" > {}\n{verdict}\n", asked.display());
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let daemon = Daemon::start_with(Script { polkit: Some(program), ..Script::default() }, identify);
        assert_eq!(send(&daemon.socket(), "POST", "/v1/recover", "").status, status, "{verdict}");
        let asked = std::fs::read_to_string(&asked).unwrap();
        assert!(asked.contains("--action-id org.gpuvirt.manage --process 4711,99,1000"), "{asked}");
    }
    let gone = Script { polkit: Some(dir.path().join("gone")), ..Script::default() };
    assert_eq!(send(&Daemon::start_with(gone, identify).socket(), "POST", "/v1/recover", "").status, 403);
}

#[test]
fn only_writers_may_write() {
    let cases: [(&str, Identify, bool); 4] = [
        ("root", as_root, true),
        ("a member", as_member, true),
        ("another user", as_other, false),
        ("a user whose groups are unknown", as_groupless, false),
    ];
    for (who, identify, may) in cases {
        let daemon = Daemon::start_with(Script::default(), identify);
        for (method, path, body) in CHANGES {
            let answer = send(&daemon.socket(), method, path, body);
            assert_eq!(answer.status != 403, may, "{who}: {method} {path}: {answer:?}");
            if !may {
                let error = answer.error();
                assert_eq!(error.kind, ErrorKind::Denied);
                assert!(error.message.contains("group gpuvirt"), "{error}");
            }
        }
        assert_eq!(get(&daemon.socket(), "/v1/gpus").status, 200, "{who} may read");
    }
}

#[test]
fn where_a_group_may_read_others_get_nothing() {
    let cases: [(Identify, Option<u32>, bool); 6] = [
        (as_root, None, true),
        // Whoever may write may read.
        (as_member, None, true),
        (as_other, Some(4), true),
        (as_other, Some(5), false),
        (as_other, None, false),
        (as_groupless, Some(4), false),
    ];
    for (identify, gid, may) in cases {
        let read_gate = gpuvirtd::server::ReadGate::Group("readers".to_owned(), gid);
        let daemon = Daemon::start_with(Script { read_gate, ..Script::default() }, identify);
        for path in ["/v1/gpus", "/v1/status", "/v1/vms/web/xml", "/v1/gpus/41:00.0/xml"] {
            let answer = get(&daemon.socket(), path);
            assert_eq!(answer.status, if may { 200 } else { 403 }, "{gid:?} {path}: {answer:?}");
        }
        let (method, path, body, _) = DRY_RUNS[0];
        assert_eq!(send(&daemon.socket(), method, path, body).status == 403, !may);
    }
}

#[test]
fn a_denied_writer_is_told_so_before_the_body_is_read() {
    let daemon = Daemon::start_with(Script::default(), as_other);
    let answer = send(&daemon.socket(), "POST", "/v1/vms/web/devices/remove", "{ not even JSON");
    assert_eq!(answer.status, 403);
}

#[test]
fn a_peer_that_is_not_known_gets_nothing() {
    let daemon = Daemon::start_with(Script::default(), as_unknown);
    let answer = finish(connect(&daemon.socket()));
    assert_eq!((answer.status, answer.body.as_str()), (0, ""));
}
