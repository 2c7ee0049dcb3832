//! Bad input of every verb: what is wrong in itself is said by the command, and nobody is asked for it.
//!
//! The table is tests/golden/bad-input.txt. What a daemon has to answer is tried with a real one, in the lab
//! (tests/e2e/tests/bad_input.rs), where all of it is seen to change nothing.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a failed expectation is a failed test

use std::collections::BTreeSet;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

struct Case {
    exit: i32,
    says: String,
    arguments: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn table() -> Vec<Case> {
    let text = std::fs::read_to_string(root().join("tests/golden/bad-input.txt")).unwrap();
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let case = |line: &str| {
        let parts: Vec<&str> = line.splitn(3, " | ").collect();
        let [exit, says, arguments] = parts[..] else { panic!("no case: {line}") };
        Case { exit: exit.parse().unwrap(), says: says.to_owned(), arguments: arguments.to_owned() }
    };
    lines.map(case).collect()
}

/// Why a case is not as it says.
fn wrong(case: &Case, socket: &Path) -> Option<String> {
    let run = Command::new("bash")
        .args(["-c", &format!("exec timeout 20 \"$GPUVIRT\" --socket \"$SOCKET\" {}", case.arguments)])
        .env("GPUVIRT", env!("CARGO_BIN_EXE_gpuvirt"))
        .env("SOCKET", socket)
        .envs([("GPU", "0000:41:00.0"), ("WHOLE", "0000:42:00.0"), ("NIC", "0000:01:00.0"), ("VM", "vm")])
        .env("EVIL", "x\u{1b}]0;e\u{7}\n../'\"</name>")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    let quiet = run.stdout.is_empty() && !said.contains('\u{1b}') && !said.contains("panicked");
    let sound = run.status.code() == Some(case.exit) && said.contains(&case.says) && quiet;
    (!sound).then(|| format!("{}\n  exit {:?}, and it said:\n{said}", case.arguments, run.status.code()))
}

#[test]
fn what_is_wrong_in_itself_is_said_and_nobody_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let daemon = UnixListener::bind(&socket).unwrap();
    daemon.set_nonblocking(true).unwrap();
    let cases: Vec<Case> = table().into_iter().filter(|case| case.exit == 2).collect();
    assert!(cases.len() > 60, "only {} cases", cases.len());
    let wrong: Vec<String> = cases.iter().filter_map(|case| wrong(case, &socket)).collect();
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(daemon.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "the daemon was asked");
}

/// The verbs are those that have a manual page, but for those that only hold others.
#[test]
fn every_verb_has_a_case() {
    let pages = std::fs::read_dir(root().join("packaging/man")).unwrap();
    let names: BTreeSet<String> = pages
        .filter_map(|page| {
            let name = page.unwrap().file_name().into_string().unwrap();
            Some(name.strip_prefix("gpuvirt-")?.strip_suffix(".1")?.replace('-', " "))
        })
        .collect();
    assert!(names.len() > 40, "{names:?}");
    let holds_others = |name: &String| names.iter().any(|other| other.starts_with(&format!("{name} ")));
    let cases = table();
    for verb in names.iter().filter(|name| !holds_others(name)) {
        let tried = cases.iter().any(|case| format!("{} ", case.arguments).starts_with(&format!("{verb} ")));
        assert!(tried, "tests/golden/bad-input.txt has no line for {verb}");
    }
}
