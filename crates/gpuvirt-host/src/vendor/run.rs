//! Running a program, on the writer's side.

use std::io::{self, Read};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::ProgramCall;

/// What is kept of each of a program's two outputs; the rest is read and forgotten, so that it never waits for us.
const OUTPUT_LIMIT: usize = 128 << 10;
/// How long an output may stay open after its program has ended, held by something that it left behind.
const OUTPUT_GRACE: Duration = Duration::from_secs(1);
/// Where the program's own helpers are looked for.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProgramEnd {
    /// Its exit status; none: a signal ended it.
    pub code: Option<i32>,
    /// The signal.
    pub signal: Option<i32>,
    /// What it wrote to standard output, the first 128 KiB.
    pub stdout: String,
    /// The same of standard error.
    pub stderr: String,
}

impl ProgramEnd {
    /// Exit status 0, for what that is worth.
    pub fn is_success(&self) -> bool {
        self.code == Some(0)
    }

    /// What it said last, on one line, for a message: standard error, or else standard output.
    pub fn said(&self) -> String {
        let last = |text: &str| text.lines().rev().map(str::trim).find(|l| !l.is_empty()).map(str::to_owned);
        let said = last(&self.stderr).or_else(|| last(&self.stdout)).unwrap_or_default();
        let plain = said.chars().filter(|c| !c.is_control()).take(200).collect::<String>();
        match (self.code, self.signal) {
            (Some(0), _) => plain,
            (Some(code), _) if plain.is_empty() => format!("exit status {code}"),
            (Some(code), _) => format!("{plain} (exit status {code})"),
            (None, signal) => format!("{plain} (ended by signal {})", signal.unwrap_or_default()),
        }
    }
}

/// Why a program's end is not known.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It could not be started.
    #[error("it cannot be started")]
    Start(#[source] io::Error),
    /// The deadline passed and it still runs, or waits in the kernel, below process `writer`.
    #[error("it has not ended after {waited:?}; process {writer} waits for it")]
    StillWaiting {
        /// Pid of the writer; it must not be killed.
        writer: u32,
        /// How long we waited.
        waited: Duration,
    },
    /// The writer could not do its work.
    #[error("the writer process failed")]
    Writer(#[source] io::Error),
}

/// Runs a program to its end, however long that takes. `root` is put in front of its path; it is empty on a real host.
pub(crate) fn run(call: &ProgramCall, root: &str) -> io::Result<ProgramEnd> {
    let mut child = Command::new([root, call.program().as_str()].concat())
        .args(call.args())
        .env_clear()
        .env("PATH", PATH)
        .env("LC_ALL", "C")
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let out = child.stdout.take().map(keep);
    let err = child.stderr.take().map(keep);
    let status = child.wait()?;
    let end = Instant::now() + OUTPUT_GRACE;
    let text = |kept: Option<mpsc::Receiver<Vec<u8>>>| {
        let mut bytes = Vec::new();
        // The channel closes with the output. What comes later is not ours to wait for.
        while let Some(Ok(part)) =
            kept.as_ref().map(|kept| kept.recv_timeout(end.saturating_duration_since(Instant::now())))
        {
            bytes.extend(part.iter().take(OUTPUT_LIMIT.saturating_sub(bytes.len())));
        }
        String::from_utf8_lossy(&bytes).into_owned()
    };
    Ok(ProgramEnd { code: status.code(), signal: status.signal(), stdout: text(out), stderr: text(err) })
}

/// Reads an output to its end; the first [`OUTPUT_LIMIT`] bytes come out.
fn keep(mut output: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (send, kept) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut part, mut amount) = ([0_u8; 4096], 0_usize);
        loop {
            match output.read(&mut part) {
                Ok(0) => return,
                Ok(count) if amount < OUTPUT_LIMIT => {
                    amount = amount.saturating_add(count);
                    // Nobody listens any more: it is read on, so that nobody waits for us.
                    let _ = send.send(part.get(..count).unwrap_or_default().to_vec());
                }
                Err(e) if e.kind() != io::ErrorKind::Interrupted => return,
                Ok(_) | Err(_) => {}
            }
        }
    });
    kept
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;

    use gpuvirt_model::ProgramPath;

    use super::*;

    /// Runs a script in a folder of its own.
    fn script(text: &str, args: &[&str]) -> ProgramEnd {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tool");
        let text = format!("#!/bin/sh\n{text}\n");
        std::fs::File::create(&file).unwrap().write_all(text.as_bytes()).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        let tool = ProgramPath::parse("/tool").unwrap();
        let call = ProgramCall::new(&tool, args.iter().copied(), None).unwrap();
        run(&call, folder.path().to_str().unwrap()).unwrap()
    }

    #[test]
    fn a_program_gets_its_arguments_and_a_clean_surrounding() {
        let end = script("echo \"$@\"; env; pwd", &["-e", "0000:41:00.0"]);
        assert!(end.is_success());
        assert!(end.stdout.starts_with("-e 0000:41:00.0\n"), "{}", end.stdout);
        assert!(!end.stdout.contains("CARGO") && !end.stdout.contains("HOME="), "{}", end.stdout);
        assert!(end.stdout.contains("LC_ALL=C\n") && end.stdout.ends_with("\n/\n"), "{}", end.stdout);
    }

    #[test]
    fn what_it_says_is_told_in_a_line() {
        let end = script("echo out; echo first >&2; printf 'Cannot obtain\\033 lock\\n\\n' >&2; exit 1", &[]);
        assert_eq!((end.code, end.said().as_str()), (Some(1), "Cannot obtain lock (exit status 1)"));
        assert_eq!(script("echo done", &[]).said(), "done");
        assert_eq!(script("exit 19", &[]).said(), "exit status 19");
        assert!(script("kill -9 $$", &[]).said().contains("signal 9"));
    }

    #[test]
    fn output_is_cut_and_what_is_left_behind_is_not_waited_for() {
        let end = script("head -c 1000000 /dev/zero | tr '\\0' x", &[]);
        assert_eq!((end.code, end.stdout.len()), (Some(0), OUTPUT_LIMIT));
        let before = Instant::now();
        let end = script("echo here; sleep 30 & exit 0", &[]);
        assert!(end.is_success() && before.elapsed() < Duration::from_secs(20));
        assert_eq!(end.stdout, "here\n");
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        let tool = ProgramPath::parse("/nonexistent/tool").unwrap();
        let call = ProgramCall::new(&tool, [] as [&str; 0], None).unwrap();
        assert_eq!(run(&call, "").unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
