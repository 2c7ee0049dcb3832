//! libvirt's hook as a process: whatever a VM is called, and however the program ends.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // a helper of tests, which makes scripts

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A VM that asks for a card, so that without gpuvirtd it must not start.
const OURS: &str = "<domain type='kvm'><name>games</name><uuid>00000000-0000-4000-8000-000000000001</uuid>\
    <metadata><g:requests xmlns:g='urn:gpuvirt:requests:1' domain='00000000-0000-4000-8000-000000000001'>\
    <g:match id='request-1' alias='ua-x' ids='10de:2235'/></g:requests></metadata></domain>";
/// A VM that is none of ours.
const PLAIN: &str =
    "<domain type='kvm'><name>plain</name><uuid>00000000-0000-4000-8000-000000000002</uuid></domain>";
/// What libvirt lets a VM be called, `/` and line breaks are all that it forbids.
const NAMES: [&str; 9] =
    ["games", "--help", "-h", "--version", "--host=x", "-o", "--", "--no-such", "prepare"];
/// What libvirt calls a hook for besides a start.
const OTHERS: [[&str; 2]; 8] = [
    ["start", "begin"],
    ["started", "begin"],
    ["stopped", "end"],
    ["release", "end"],
    ["reconnect", "begin"],
    ["migrate", "begin"],
    ["restore", "begin"],
    ["attach", "begin"],
];

fn fed(command: &mut Command, xml: &str) -> Output {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    // What doesn't read it is gone already.
    let _ = child.stdin.take().unwrap().write_all(xml.as_bytes());
    child.wait_with_output().unwrap()
}

/// The program, as the wrapper calls it and as the one before it did, which the admin may have kept.
fn programs(name: &str, operation: [&str; 2]) -> [Command; 2] {
    [&["--"][..], &[]].map(|dashes| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gpuvirt"));
        command.args(["hook", "qemu"]).args(dashes).arg(name).args(operation).arg("-");
        command
    })
}

#[test]
fn a_vm_is_judged_whatever_it_is_called() {
    for name in NAMES {
        for mut program in programs(name, ["prepare", "begin"]) {
            let refused = fed(&mut program, OURS);
            assert_eq!(
                (refused.status.code(), refused.stdout.len()),
                (Some(1), 0),
                "{program:?} {refused:?}"
            );
            let said = String::from_utf8(refused.stderr).unwrap();
            assert!(
                said.starts_with("gpuvirt: VM games has GPUs of gpuvirt's, and gpuvirtd "),
                "{program:?} {said}"
            );
            let plain = fed(&mut program, PLAIN);
            assert_eq!(
                (plain.status.code(), plain.stdout.len(), plain.stderr.len()),
                (Some(0), 0, 0),
                "{program:?}"
            );
        }
    }
}

#[test]
fn nothing_is_said_to_libvirt_for_what_is_no_start_whatever_a_vm_is_called() {
    for name in NAMES {
        for mut program in OTHERS.into_iter().flat_map(|operation| programs(name, operation)) {
            for xml in [OURS, PLAIN, "<domain"] {
                let output = fed(&mut program, xml);
                assert_eq!(
                    (output.status.code(), output.stdout.len()),
                    (Some(0), 0),
                    "{program:?} {output:?}"
                );
            }
        }
    }
}

/// The wrapper, with this as the program that it calls.
fn wrapper(folder: &Path, program: &str) -> PathBuf {
    const CALLED: &str = "/usr/bin/gpuvirt";
    let shipped = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("hooks/50-gpuvirt")).unwrap();
    assert!(shipped.contains(CALLED));
    let made = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    };
    let program = made("program", program);
    made("50-gpuvirt", &shipped.replace(CALLED, program.to_str().unwrap()))
}

fn wrapped(wrapper: &Path, name: &str, operation: [&str; 2]) -> Output {
    fed(Command::new("/bin/sh").arg(wrapper).arg(name).args(operation).arg("-"), OURS)
}

/// Half a document, and then what a bug or a machine without memory do to a program.
#[test]
fn a_program_that_is_killed_harms_no_vm_that_runs_and_starts_none() {
    for end in ["kill -SEGV $$", "kill -KILL $$", "exit 2", "exit 1"] {
        let folder = tempfile::tempdir().unwrap();
        let wrapper = wrapper(folder.path(), &format!("#!/bin/sh\nprintf '<domain><na'\n{end}\n"));
        for operation in OTHERS {
            let output = wrapped(&wrapper, "games", operation);
            assert_eq!(
                (output.status.code(), output.stdout.len()),
                (Some(0), 0),
                "{end} {operation:?} {output:?}"
            );
        }
        let start = wrapped(&wrapper, "games", ["prepare", "begin"]);
        assert!(!start.status.success(), "{end} {start:?}");
    }
}

#[test]
fn the_wrapper_hands_on_a_start_its_end_and_its_document_whatever_the_vm_is_called() {
    let folder = tempfile::tempdir().unwrap();
    let said = folder.path().join("said");
    let program = format!("#!/bin/sh\n{{ printf '%s|' \"$@\"; cat; }} >>{}\n", said.display());
    let wrapper = wrapper(folder.path(), &program);
    for name in NAMES {
        for operation in [["prepare", "begin"], ["release", "end"], ["reconnect", "begin"]] {
            assert_eq!(wrapped(&wrapper, name, operation).status.code(), Some(0));
            let [operation, moment] = operation;
            let handed = fs::read_to_string(&said).unwrap();
            assert_eq!(handed, format!("hook|qemu|--|{name}|{operation}|{moment}|-|{OURS}"));
            fs::remove_file(&said).unwrap();
        }
    }
    fs::remove_file(folder.path().join("program")).unwrap();
    for operation in OTHERS.into_iter().chain([["prepare", "begin"]]) {
        let output = wrapped(&wrapper, "games", operation);
        assert_eq!(
            (output.status.code(), output.stdout.len()),
            (Some(0), 0),
            "the package is gone: {operation:?}"
        );
    }
}
