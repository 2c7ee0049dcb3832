//! Questions to the daemon, one connection each as its API has it, timed from connecting to the last byte.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// Rounds, and questions of each, that anybody may ask and that share a picture: a machine that does something else for a moment
/// spoils a round and not the others.
const SHARED: (usize, usize) = (5, 1001);
/// Questions that each look at the host.
const FRESH: (usize, usize) = (1, 101);
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

/// How long questions of one kind took, each round in order of time, and how large an answer was.
pub struct Times {
    rounds: Vec<Vec<u64>>,
    bytes: usize,
}

impl Look {
    fn header(self) -> &'static str {
        match self {
            Self::Shared => "",
            Self::Fresh => "cache-control: no-cache\r\n",
        }
    }

    fn questions(self) -> (usize, usize) {
        match self {
            Self::Shared => SHARED,
            Self::Fresh => FRESH,
        }
    }
}

/// Asks for one path, one question after the other.
pub fn ask(socket: &Path, path: &str, look: Look) -> Result<Times> {
    let bytes = once(socket, path, look)?;
    let (rounds, questions) = look.questions();
    let rounds = (0..rounds).map(|_| round(socket, path, look, questions)).collect::<Result<_>>()?;
    Ok(Times { rounds, bytes })
}

fn round(socket: &Path, path: &str, look: Look, questions: usize) -> Result<Vec<u64>> {
    let mut times = Vec::new();
    for _ in 0..questions {
        let start = Instant::now();
        once(socket, path, look)?;
        times.push(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX));
    }
    times.sort_unstable();
    Ok(times)
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
        let longest = self.rounds.iter().filter_map(|round| round.last()).max().copied().unwrap_or_default();
        let [median, p99, longest] = [self.percentile(50), self.percentile(99), longest].map(milliseconds);
        let questions: usize = self.rounds.iter().map(Vec::len).sum();
        let kibibytes = self.bytes.div_ceil(1024);
        format!("| {name} | {questions} | {kibibytes} KiB | {median} | {p99} | {longest} |\n")
    }

    /// The time, in nanoseconds, that so many of a hundred questions did not exceed: of the middle one of the rounds.
    pub fn percentile(&self, percent: usize) -> u64 {
        let mut of_rounds: Vec<u64> =
            self.rounds.iter().filter_map(|round| of_round(round, percent)).collect();
        of_rounds.sort_unstable();
        of_round(&of_rounds, 50).unwrap_or_default()
    }
}

/// Of times in their order.
fn of_round(sorted: &[u64], percent: usize) -> Option<u64> {
    sorted.get((sorted.len() * percent).div_ceil(100).saturating_sub(1)).copied()
}

/// The head of the table.
pub const HEAD: &str = "Those that share a picture are asked in five rounds. Median and 99th percentile are those of the middle round, the longest is \
     that of all.\n\n| question | asked | answer | median | 99 of 100 within | longest |\n|---|---|---|---|---|---|\n";

fn milliseconds(nanoseconds: u64) -> String {
    let hundredths = (nanoseconds + 5_000) / 10_000;
    format!("{}.{:02} ms", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_one_question_in_the_middle_round() {
        let round = |slower: u64| (1..=200).map(|n| (n + slower) * 10_000).collect();
        let times = Times { rounds: vec![round(900), round(0), round(1)], bytes: 1025 };
        assert_eq!(times.row("x"), "| x | 600 | 2 KiB | 1.01 ms | 1.99 ms | 11.00 ms |\n");
        let one = Times { rounds: vec![vec![1]], bytes: 0 };
        assert_eq!(one.percentile(99), 1);
        assert_eq!(Times { rounds: Vec::new(), bytes: 0 }.percentile(50), 0);
    }
}
