//! gpuvirtd killed at a named call of the kernel, and what systemd makes of it.

use crate::{Lab, Output};

/// What a write to `driver_override` calls.
pub const SET_OVERRIDE: &str = "__device_set_driver_override driver_set_override";
/// What renaming a file calls: the state folder's documents and journal become durable with it.
pub const RENAME: &str = "__x64_sys_rename";
/// What removing a file calls: the journal is closed with it.
pub const UNLINK: &str = "__x64_sys_unlink";

/// When, seen from the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Nothing of the call is done.
    Before,
    /// The call runs to its end, and nobody reads back what came of it.
    During,
    /// The call waits, and runs when the next daemon has recovered as far as it can.
    Held,
}

/// Where the daemon is killed.
#[derive(Debug, Clone, Copy)]
pub struct Point<'a> {
    /// The kernel's function; of several names the first that this kernel has.
    pub function: &'a str,
    /// Which of its calls.
    pub nth: usize,
    /// When.
    pub moment: Moment,
}

/// What came of a command whose daemon was to be killed.
#[derive(Debug)]
pub struct Killed {
    /// Whether it was: the call was made.
    pub struck: bool,
    /// What the command said, and what the next daemon said while the call was held.
    pub output: Output,
    /// Milliseconds until the next daemon was ready.
    pub ready_ms: u64,
}

impl Lab {
    /// Runs the command, kills the daemon at that point, and waits for the next one, which systemd starts.
    ///
    /// Calls of the state folder count only if the daemon makes them itself, all others whoever makes them.
    #[track_caller]
    pub fn killed_at(&self, point: Point<'_>, command: &str) -> Killed {
        let Point { function, nth, moment } = point;
        let when = match moment {
            Moment::Before => "before",
            Moment::During => "during",
            Moment::Held => "held",
        };
        let whose = if function.starts_with("__x64_sys_") { "own" } else { "any" };
        let quoted = command.replace('\'', r"'\''");
        let script = format!("/lab/e2e/kill-at '{function}' {nth} {when} {whose} '{quoted}'");
        let output = self.sh(&script);
        let (told, last) = output.text().rsplit_once("\nkilled ").unwrap_or_else(|| panic!("{output}"));
        let (struck, ready_ms) = last.split_once(' ').unwrap_or_else(|| panic!("{output}"));
        let (struck, ready_ms) = (struck == "Y", ready_ms.parse().unwrap_or_else(|_| panic!("{output}")));
        let output = Output {
            command: format!("{command}   # killed {moment:?} call {nth} of {function}"),
            stdout: told.to_owned(),
            ..output
        };
        Killed { struck, output, ready_ms }
    }

    /// Fails the test unless nothing of a change is left: no open journal, no fault module, every GPU as it is
    /// configured.
    #[track_caller]
    pub fn assert_settled(&self, after: &str) {
        // A half-written file is no part of the state: the next write takes its place.
        let left = self.sh("ls /var/lib/gpuvirt/journal; lsmod | grep ^gpuvirt_fault; true").expect(0);
        assert_eq!(left.text(), "", "{after}");
        let status = self.gpuvirt("status -o json").expect(0).json();
        // What the boot image holds is no matter of this change's end.
        let stale =
            |problem: &&serde_json::Value| problem.as_str().is_some_and(|p| p.contains("initramfs-stale"));
        let problems = status["problems"].as_array().into_iter().flatten().filter(|problem| !stale(problem));
        assert_eq!(problems.count(), 0, "{after}: {status}");
        for gpu in status["gpus"].as_array().into_iter().flatten() {
            assert!(gpu["pending"].is_null(), "{after}: {gpu}");
        }
    }
}
