//! Timing whole processes: one sample each in a process of its own, the samples of all commands interleaved.

use std::process::{Command as Process, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{UsageWho, getrusage};

use crate::command::Command;

/// Samples of each command. Odd, so that the median is one of them.
pub const RUNS: usize = 11;

/// One run.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// From start to exit.
    pub microseconds: u64,
    /// Greatest resident set.
    pub kibibytes: u64,
}

/// All runs of one command.
pub struct Samples {
    /// As the table shows it.
    pub name: String,
    /// Why there are none, or none any more, of a command that may fail.
    pub failed: Option<String>,
    runs: Vec<Sample>,
}

/// Runs a program once and prints its time and memory; its own output is thrown away, and its errors are ours.
pub fn once(program: &str, args: &[&str]) -> Result<()> {
    let mut process = Process::new(program);
    process.args(args).stdin(Stdio::null()).stdout(Stdio::null());
    let start = Instant::now();
    let status = process.status().with_context(|| format!("start {program}"))?;
    let microseconds = start.elapsed().as_micros();
    ensure!(status.success(), "{program} {}: {status}", args.join(" "));
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("read the child's usage")?;
    println!("{microseconds} {}", usage.max_rss());
    Ok(())
}

/// Runs all commands in turn, [`RUNS`] times, after one run each that does not count.
pub fn interleaved(commands: &[Command]) -> Result<Vec<Samples>> {
    rounds(RUNS, commands, || Ok(()))
}

/// The same `runs` times, with `ready` before each run, which does not count either. Every second round is the other way round: what
/// a run leaves to the kernel is not always the same one's to bear. One that takes long is run as often as it says, before all others:
/// a daemon that it asks may be late with what it hears of theirs.
pub fn rounds(runs: usize, commands: &[Command], ready: impl Fn() -> Result<()>) -> Result<Vec<Samples>> {
    let mut all: Vec<Samples> = commands.iter().map(|command| Samples::none(&command.name)).collect();
    for (command, samples) in commands.iter().zip(&mut all) {
        for _ in 0..command.at_most.unwrap_or_default() {
            ready()?;
            samples.take_one(command, true)?;
        }
    }
    for round in 0..=runs {
        let mut turns: Vec<(&Command, &mut Samples)> = commands.iter().zip(&mut all).collect();
        if round % 2 == 1 {
            turns.reverse();
        }
        for (command, samples) in turns {
            if command.at_most.is_none() {
                ready()?;
                samples.take_one(command, round > 0)?;
            }
        }
    }
    Ok(all)
}

/// The end of what a program said: one that tries often says the same as often.
fn last_lines(text: &str) -> String {
    const LINES: usize = 5;
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(LINES)..).unwrap_or_default().join("\n")
}

fn take(command: &Command) -> Result<Sample> {
    let own = std::env::current_exe().context("find this program")?;
    let out = Process::new(own).arg("sample").args(&command.line).stdin(Stdio::null()).output()?;
    ensure!(out.status.success(), "{}: {}", command.name, last_lines(&String::from_utf8_lossy(&out.stderr)));
    let said = String::from_utf8_lossy(&out.stdout);
    let mut numbers = said.split_whitespace().map(str::parse);
    let mut next = || numbers.next().context("a sample has two numbers")?.context("a sample is numbers");
    Ok(Sample { microseconds: next()?, kibibytes: next()? })
}

impl Samples {
    fn none(name: &str) -> Self {
        Self { name: name.to_owned(), failed: None, runs: Vec::new() }
    }

    /// One run more, unless an earlier one has failed.
    fn take_one(&mut self, command: &Command, counts: bool) -> Result<()> {
        if self.failed.is_some() {
            return Ok(());
        }
        match take(command) {
            Ok(sample) if counts => self.runs.push(sample),
            Ok(_) => {}
            Err(error) if command.may_fail => {
                eprintln!("not compared: {error:#}");
                self.failed = Some(error.to_string().replace('\n', ", "));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// The median in microseconds.
    pub fn median(&self) -> u64 {
        let times = self.sorted();
        times.get(times.len() / 2).copied().unwrap_or_default()
    }

    /// The greatest resident set of all runs in KiB.
    pub fn kibibytes(&self) -> u64 {
        self.runs.iter().map(|run| run.kibibytes).max().unwrap_or_default()
    }

    /// Of the rounds in which both ran, in how many this one took less time than another, and how many there are.
    pub fn faster_than(&self, other: &Self) -> (usize, usize) {
        let pairs = || self.runs.iter().zip(&other.runs);
        let faster = pairs().filter(|(own, other)| own.microseconds < other.microseconds).count();
        (faster, pairs().count())
    }

    fn sorted(&self) -> Vec<u64> {
        let mut times: Vec<u64> = self.runs.iter().map(|run| run.microseconds).collect();
        times.sort_unstable();
        times
    }

    /// Median, least and greatest milliseconds.
    pub fn milliseconds(&self) -> String {
        let times = self.sorted();
        let at = |index: usize| times.get(index).copied().unwrap_or_default();
        let [median, least, greatest] =
            [at(times.len() / 2), at(0), at(times.len().saturating_sub(1))].map(|time| tenths(time, 1000));
        format!("{median} ms ({least} to {greatest})")
    }

    /// The greatest resident set of all runs.
    pub fn memory(&self) -> String {
        format!("{} MiB", tenths(self.kibibytes(), 1024))
    }
}

/// With one decimal, rounded.
pub fn tenths(value: u64, unit: u64) -> String {
    let tenths = (value * 10 + unit / 2) / unit;
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
impl Samples {
    /// Of runs of so many microseconds, each with as many KiB.
    pub fn of(name: &str, times: &[u64]) -> Self {
        let run = |time: &u64| Sample { microseconds: *time, kibibytes: *time };
        Self { runs: times.iter().map(run).collect(), ..Self::none(name) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_of_one_run() {
        let samples = Samples::of("", &[900, 1_150, 20_000]);
        assert_eq!(samples.milliseconds(), "1.2 ms (0.9 to 20.0)");
        assert_eq!(samples.memory(), "19.5 MiB");
    }

    #[test]
    fn who_is_faster_is_told_by_rounds() {
        let (one, other) = (Samples::of("", &[5, 9, 7]), Samples::of("", &[6, 8]));
        assert_eq!((one.faster_than(&other), other.faster_than(&one)), ((1, 2), (1, 2)));
    }
}
