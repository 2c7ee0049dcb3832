//! What the daemon is doing, on the terminal, while an order takes longer than a moment.
//!
//! One line on stderr that is written over and taken away at the end. Only where a person looks: a pipe gets nothing.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use gpuvirt_api::Client;
use gpuvirt_api::status::Working;

use crate::render::plain::plain;

/// Up to then nobody wonders.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often the line is written anew: it shows whole seconds.
const PERIOD: Duration = Duration::from_secs(1);
/// As long a line as fits on any terminal, in characters.
const WIDTH: usize = 78;
/// To the line's beginning, and clear it.
const CLEAR: &str = "\r\x1b[K";

/// Does the work, and shows what the daemon is at if it takes long.
pub fn shown_while<T>(socket: &Path, work: impl FnOnce() -> T) -> T {
    if !io::stderr().is_terminal() {
        return work();
    }
    let (done, ended) = channel::<()>();
    let socket = socket.to_owned();
    let shown = std::thread::spawn(move || show(&socket, &ended, &mut io::stderr()));
    let result = work();
    drop(done);
    // A panic in there has shown itself, and takes nothing from the result.
    let _ = shown.join();
    result
}

/// Until the other end is gone.
fn show(socket: &Path, ended: &Receiver<()>, out: &mut impl Write) {
    let (client, begun) = (Client::new(socket), Instant::now());
    let mut wait = PATIENCE;
    while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(wait) {
        let working = client.status().ok().and_then(|status| status.daemon).and_then(|daemon| daemon.working);
        // Whoever reads stderr may be gone: then nobody wants to know.
        let _ = write!(out, "{CLEAR}{}", line(begun.elapsed(), working.as_ref()));
        let _ = out.flush();
        wait = PERIOD;
    }
    if wait == PERIOD {
        let _ = write!(out, "{CLEAR}");
        let _ = out.flush();
    }
}

fn line(elapsed: Duration, working: Option<&Working>) -> String {
    let text = match working {
        Some(Working { gpu, step, number, count, .. }) => {
            format!("{:>3} s  {gpu}  {number}/{count}  {step}", elapsed.as_secs())
        }
        None => format!("{:>3} s  gpuvirtd is at it", elapsed.as_secs()),
    };
    plain(&text).chars().take(WIDTH).collect()
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
        let line = line(Duration::from_millis(12_345), Some(&working()));
        assert!(line.starts_with(" 12 s  0000:41:00.0  3/7  unbind 0000:41:00.0 from nvidia"), "{line}");
        assert!(!line.contains(['\n', '\u{1b}']) && line.chars().count() <= WIDTH);
    }

    #[test]
    fn quick_work_shows_nothing() {
        let (done, ended) = channel();
        drop(done);
        let mut out = Vec::new();
        show(Path::new("/nonexistent"), &ended, &mut out);
        assert!(out.is_empty());
    }
}
