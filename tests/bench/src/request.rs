//! Questions to the daemon, one connection each as its API has it, timed from connecting to the last byte.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// Questions that anybody may ask and that share a picture.
const SHARED: usize = 2001;
/// Questions that each look at the host.
const FRESH: usize = 101;
/// Longest wait for an answer.
const DEADLINE: Duration = Duration::from_secs(10);

/// Which picture is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// The last one, while nothing was heard.
    Shared,
    /// A new one, as the command wants it.
    Fresh,
}

/// How long questions of one kind took, in order of time, and how large an answer was.
pub struct Times {
    sorted: Vec<u64>,
    bytes: usize,
}

impl Look {
    fn header(self) -> &'static str {
        match self {
            Self::Shared => "",
            Self::Fresh => "cache-control: no-cache\r\n",
        }
    }

    fn questions(self) -> usize {
        match self {
            Self::Shared => SHARED,
            Self::Fresh => FRESH,
        }
    }
}

/// Asks for one path, one question after the other.
pub fn ask(socket: &Path, path: &str, look: Look) -> Result<Times> {
    once(socket, path, look)?;
    let mut sorted = Vec::new();
    let mut bytes = 0;
    for _ in 0..look.questions() {
        let start = Instant::now();
        bytes = once(socket, path, look)?;
        sorted.push(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX));
    }
    sorted.sort_unstable();
    Ok(Times { sorted, bytes })
}

/// One question; how long its answer was, head and all.
pub fn once(socket: &Path, path: &str, look: Look) -> Result<usize> {
    let mut stream =
        UnixStream::connect(socket).with_context(|| format!("connect to {}", socket.display()))?;
    stream.set_read_timeout(Some(DEADLINE))?;
    let head = format!("GET {path} HTTP/1.1\r\nhost: gpuvirt\r\n{}connection: close\r\n\r\n", look.header());
    stream.write_all(head.as_bytes()).context("ask")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).context("read the answer")?;
    let line = answer.split(|byte| *byte == b'\r').next().unwrap_or_default();
    ensure!(line == b"HTTP/1.1 200 OK", "{path}: {}", String::from_utf8_lossy(line));
    Ok(answer.len())
}

impl Times {
    /// The row of a table: questions, size of an answer, median, 99th percentile, longest.
    pub fn row(&self, name: &str) -> String {
        let [median, p99, longest] = [50, 99, 100].map(|percent| milliseconds(self.percentile(percent)));
        let (questions, kibibytes) = (self.sorted.len(), self.bytes.div_ceil(1024));
        format!("| {name} | {questions} | {kibibytes} KiB | {median} | {p99} | {longest} |\n")
    }

    /// The time, in nanoseconds, that so many of a hundred questions did not exceed.
    pub fn percentile(&self, percent: usize) -> u64 {
        let index = (self.sorted.len() * percent).div_ceil(100).saturating_sub(1);
        self.sorted.get(index).copied().unwrap_or_default()
    }
}

/// The head of the table.
pub const HEAD: &str =
    "| question | asked | answer | median | 99 of 100 within | longest |\n|---|---|---|---|---|---|\n";

fn milliseconds(nanoseconds: u64) -> String {
    let hundredths = (nanoseconds + 5_000) / 10_000;
    format!("{}.{:02} ms", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_one_question() {
        let times = Times { sorted: (1..=200).map(|n| n * 10_000).collect(), bytes: 1025 };
        assert_eq!(times.row("x"), "| x | 200 | 2 KiB | 1.00 ms | 1.98 ms | 2.00 ms |\n");
        let one = Times { sorted: vec![1], bytes: 0 };
        assert_eq!(one.percentile(99), 1);
    }
}
