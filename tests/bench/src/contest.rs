//! Ways to one end side by side, in one interleaved run: the floor, ours, and what admins run otherwise. The table says by
//! itself where somebody else is ahead.

use std::fmt::Write as _;

use anyhow::Result;

use crate::command::Command;
use crate::sample::{self, Samples};

/// What a verdict's line begins with: the document's beginning repeats these lines.
pub const VERDICT: &str = "Verdict: ";

/// Whose way it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// A program that does what must be done, and nothing else.
    Floor,
    Ours,
    Peers,
}

/// Ways to one end.
pub struct Contest {
    /// Runs of each that count.
    pub runs: usize,
    ways: Vec<(Whose, Command)>,
}

/// Ways to one end, measured.
pub struct Held(Vec<(Whose, Samples)>);

impl Contest {
    /// Nobody yet; so many runs of each.
    pub fn of(runs: usize) -> Self {
        Self { runs, ways: Vec::new() }
    }

    /// Adds what the others are held against.
    #[must_use]
    pub fn floor(self, command: Command) -> Self {
        self.with(Whose::Floor, command)
    }

    /// Adds a way of ours.
    #[must_use]
    pub fn ours(self, command: Command) -> Self {
        self.with(Whose::Ours, command)
    }

    /// Adds somebody else's.
    #[must_use]
    pub fn peer(self, command: Command) -> Self {
        self.with(Whose::Peers, command)
    }

    fn with(mut self, whose: Whose, command: Command) -> Self {
        self.ways.push((whose, command));
        self
    }

    /// Measures all in turn, with `ready` before each run, which does not count.
    pub fn held(self, ready: impl Fn() -> Result<()>) -> Result<Held> {
        let (whose, commands): (Vec<Whose>, Vec<Command>) = self.ways.into_iter().unzip();
        let samples = sample::rounds(self.runs, &commands, ready)?;
        Ok(Held(whose.into_iter().zip(samples).collect()))
    }
}

impl Held {
    /// A row for each way, held against the first floor, and the verdict.
    pub fn table(&self) -> Result<String> {
        let mut out = String::from("| way | time | memory | times the floor |\n|---|---|---|---|\n");
        let floor = self.of(Whose::Floor).next().map(Samples::median);
        for (whose, samples) in &self.0 {
            let name = match whose {
                Whose::Floor => format!("floor: {}", samples.name),
                Whose::Ours => format!("**{}**", samples.name),
                Whose::Peers => samples.name.clone(),
            };
            let times = floor.map(|floor| hundredths(samples.median(), floor)).unwrap_or_default();
            writeln!(out, "| {name} | {} | {} | {times} |", samples.milliseconds(), samples.memory())?;
        }
        writeln!(out, "\n{VERDICT}{}", self.verdict())?;
        Ok(out)
    }

    fn verdict(&self) -> String {
        let ahead: Vec<String> = self
            .of(Whose::Ours)
            .flat_map(|ours| {
                let faster = self.of(Whose::Peers).filter(|peer| peer.median() < ours.median());
                faster.map(|peer| {
                    let part = hundredths(peer.median(), ours.median());
                    format!("{} takes {part} of the time of {}", peer.name, ours.name)
                })
            })
            .collect();
        match (self.of(Whose::Peers).next(), ahead.as_slice()) {
            (None, _) => "no peer is installed here to compare with".to_owned(),
            (Some(_), []) => "ahead of every peer".to_owned(),
            (Some(_), ahead) => format!("**a peer is ahead**: {}", ahead.join("; ")),
        }
    }

    fn of(&self, wanted: Whose) -> impl Iterator<Item = &Samples> {
        self.0.iter().filter(move |(whose, _)| *whose == wanted).map(|(_, samples)| samples)
    }
}

/// How many times `unit` a value is, with two decimals.
pub fn hundredths(value: u64, unit: u64) -> String {
    let hundredths = value * 100 / unit.max(1);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(ways: &[(Whose, &str, u64)]) -> Held {
        let of = |(whose, name, time): &(Whose, &str, u64)| (*whose, Samples::of(name, &[*time; 3]));
        Held(ways.iter().map(of).collect())
    }

    #[test]
    fn a_peer_that_is_ahead_is_named() {
        let held = held(&[
            (Whose::Floor, "reads", 1000),
            (Whose::Ours, "ours", 2000),
            (Whose::Peers, "fast", 1500),
            (Whose::Peers, "slow", 9000),
        ]);
        let table = held.table().unwrap();
        assert!(table.contains("| floor: reads | 1.0 ms (1.0 to 1.0) | 1.0 MiB | 1.00 |\n"), "{table}");
        assert!(table.contains("| **ours** | 2.0 ms (2.0 to 2.0) | 2.0 MiB | 2.00 |\n"), "{table}");
        assert!(
            table.ends_with("\nVerdict: **a peer is ahead**: fast takes 0.75 of the time of ours\n"),
            "{table}"
        );
    }

    #[test]
    fn nobody_ahead_and_nobody_there_are_told_apart() {
        let ahead = held(&[(Whose::Ours, "ours", 10), (Whose::Peers, "peer", 11)]);
        assert_eq!(ahead.verdict(), "ahead of every peer");
        assert_eq!(held(&[(Whose::Ours, "ours", 10)]).verdict(), "no peer is installed here to compare with");
    }
}
