//! What the command waits for, on the terminal, once it takes longer than a moment.
//!
//! One line on stderr that is written over, and taken away before anything else is printed. Only for a person who looks: a
//! pipe gets nothing, and who asked for JSON or YAML gets nothing. The thread that writes it sleeps until then, and nobody
//! waits for it: what is quick is as quick as without.

use std::cell::OnceCell;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gpuvirt_api::Client;
use gpuvirt_api::status::Working;

use crate::cli::Format;
use crate::render::plain::plain;

/// From the command's start; up to then nobody wonders.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often the line is written anew: it shows whole seconds.
const PERIOD: Duration = Duration::from_secs(1);
/// As long a line as fits on any terminal, in characters.
const WIDTH: usize = 78;
/// To the line's beginning, and clear it.
const CLEAR: &str = "\r\x1b[K";

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// The daemon carries an order out, and tells how far it is.
    Order,
    /// The daemon's answer to a question; it may be waiting for libvirt in turn.
    Question,
    /// This host's own files.
    Host,
    /// A recorded host.
    Recording,
    /// A snapshot is written.
    Snapshot,
}

/// The progress of one invocation.
#[derive(Debug)]
pub struct Progress {
    begun: Instant,
    /// The socket where the daemon tells how far an order is; none where nobody looks.
    socket: Option<PathBuf>,
    line: OnceCell<Arc<Line>>,
}

impl Progress {
    /// From now on, for what is printed like this; `socket` finds the daemon's.
    pub fn new(format: Format, socket: impl FnOnce() -> PathBuf) -> Self {
        let seen = format == Format::Table && io::stderr().is_terminal() && obeys(std::env::var_os("TERM"));
        Self { begun: Instant::now(), socket: seen.then(socket), line: OnceCell::new() }
    }

    /// Does the work, and says what is waited for if it takes long.
    pub fn during<T>(&self, wait: Wait, work: impl FnOnce() -> T) -> T {
        let Some(socket) = &self.socket else { return work() };
        let line = self.line.get_or_init(|| Line::begin(self.begun, socket));
        line.state().wait = Some(wait);
        line.changed.notify_one();
        let _shown = Shown(line);
        work()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(line) = self.line.get() {
            line.state().ended = true;
            line.changed.notify_one();
        }
    }
}

/// Takes the line away however the work ends.
struct Shown<'a>(&'a Line);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.wait = None;
        if std::mem::take(&mut state.drawn) {
            write(CLEAR);
        }
    }
}

/// The line on the terminal, of the work and of the thread that draws it.
#[derive(Debug)]
struct Line {
    begun: Instant,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    wait: Option<Wait>,
    drawn: bool,
    ended: bool,
}

impl Line {
    fn begin(begun: Instant, socket: &Path) -> Arc<Self> {
        let line = Arc::new(Self { begun, state: Mutex::default(), changed: Condvar::new() });
        let (drawn, socket) = (Arc::clone(&line), socket.to_owned());
        // Without a thread there is no line, and the work is done all the same.
        let _ = std::thread::Builder::new().name("progress".to_owned()).spawn(move || drawn.draw(&socket));
        line
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until the command ends.
    fn draw(&self, socket: &Path) {
        let daemon = Client::new(socket);
        let mut working = None;
        while self.is_due() {
            // First the time: the daemon may take long to tell how far it is.
            if self.put(working.as_ref()) == Some(Wait::Order) {
                working = daemon.status().ok().and_then(|status| status.daemon).and_then(|is| is.working);
                self.put(working.as_ref());
            }
        }
    }

    /// Sleeps until the line is to be written; no when the command has ended. While nothing is waited for, nothing ticks.
    fn is_due(&self) -> bool {
        let mut state = self.state();
        while !state.ended {
            let idle = self.changed.wait_while(state, |state| state.wait.is_none() && !state.ended);
            state = idle.unwrap_or_else(PoisonError::into_inner);
            let pause = PATIENCE.checked_sub(self.begun.elapsed()).unwrap_or(PERIOD);
            let waits = |state: &mut State| state.wait.is_some() && !state.ended;
            let waited = self.changed.wait_timeout_while(state, pause, waits);
            let (now, passed) = waited.unwrap_or_else(PoisonError::into_inner);
            if passed.timed_out() {
                return true;
            }
            state = now;
        }
        false
    }

    /// Writes the line, unless nothing is waited for any more; what is.
    fn put(&self, working: Option<&Working>) -> Option<Wait> {
        let mut state = self.state();
        let wait = state.wait?;
        write(&format!("{CLEAR}{}", text(self.begun.elapsed(), wait, working)));
        state.drawn = true;
        Some(wait)
    }
}

/// Whether the terminal knows how a line is cleared.
fn obeys(terminal: Option<std::ffi::OsString>) -> bool {
    terminal.is_some_and(|name| !name.is_empty() && name != "dumb")
}

/// Whoever reads stderr may be gone: then nobody wants to know.
fn write(text: &str) {
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

fn text(elapsed: Duration, wait: Wait, working: Option<&Working>) -> String {
    let what = match (wait, working) {
        (Wait::Order, Some(Working { gpu, step, number, count, .. })) => {
            format!("{gpu}  {number}/{count}  {step}")
        }
        (Wait::Order, None) => "gpuvirtd is at it".to_owned(),
        (Wait::Question, _) => "gpuvirtd is asked, and has not answered yet".to_owned(),
        (Wait::Host, _) => "this host is read".to_owned(),
        (Wait::Recording, _) => "the recording is read".to_owned(),
        (Wait::Snapshot, _) => "the snapshot is written".to_owned(),
    };
    plain(&format!("{:>3} s  {what}", elapsed.as_secs())).chars().take(WIDTH).collect()
}

#[cfg(test)]
mod tests {
    use gpuvirt_model::PciAddress;

    use super::*;

    fn working() -> Working {
        Working {
            gpu: PciAddress::parse("0000:41:00.0").unwrap(),
            purpose: String::new(),
            step: "unbind 0000:41:00.0 from nvidia\n\u{1b}[31m".to_owned(),
            number: 3,
            count: 7,
            seconds: 2,
        }
    }

    #[test]
    fn a_line_has_time_and_step_and_nothing_that_a_terminal_obeys() {
        let line = text(Duration::from_millis(12_345), Wait::Order, Some(&working()));
        assert!(line.starts_with(" 12 s  0000:41:00.0  3/7  unbind 0000:41:00.0 from nvidia"), "{line}");
        assert!(!line.contains(['\n', '\u{1b}']) && line.chars().count() <= WIDTH);
    }

    #[test]
    fn a_question_has_no_steps_of_an_order() {
        let line = text(PATIENCE, Wait::Question, Some(&working()));
        assert_eq!(line, "  2 s  gpuvirtd is asked, and has not answered yet");
    }

    #[test]
    fn a_terminal_that_clears_no_line_gets_none() {
        for (name, want) in [(None, false), (Some(""), false), (Some("dumb"), false), (Some("xterm"), true)] {
            assert_eq!(obeys(name.map(Into::into)), want, "{name:?}");
        }
    }
}
