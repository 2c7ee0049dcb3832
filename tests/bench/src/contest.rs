//! Ways to one end side by side, in one interleaved run: the floor, ours, and what admins run otherwise. The table says by
//! itself where somebody else is ahead.

use std::fmt::Write as _;

use anyhow::Result;

use crate::command::Command;
use crate::sample::{self, Samples};

/// What a verdict's line begins with: the document's beginning repeats these lines.
pub const VERDICT: &str = "Verdict: ";
/// What a verdict has in it that says that something is not as it should be: a peer is ahead, or more is taken than may be.
pub const BAD: &str = "**";

/// Whose way it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// A program that does what must be done, and nothing else.
    Floor,
    /// A program that does what ours may take at most.
    Bound,
    Ours,
    Peers,
}

/// Ways to one end.
pub struct Contest {
    /// Runs of each that count.
    pub runs: usize,
    ways: Vec<(Whose, Command)>,
    at_most: Option<u64>,
    not_here: Vec<String>,
}

/// Ways to one end, measured.
pub struct Held {
    ways: Vec<(Whose, Samples)>,
    at_most: Option<u64>,
    /// Somebody else's ways that could not be measured here.
    not_here: Vec<String>,
}

impl Contest {
    /// Nobody yet; so many runs of each.
    pub fn of(runs: usize) -> Self {
        Self { runs, ways: Vec::new(), at_most: None, not_here: Vec::new() }
    }

    /// How many hundredths of the floor our ways may take.
    #[must_use]
    pub fn at_most(self, hundredths: u64) -> Self {
        Self { at_most: Some(hundredths), ..self }
    }

    /// Adds what the others are held against.
    #[must_use]
    pub fn floor(self, command: Command) -> Self {
        self.with(Whose::Floor, command)
    }

    /// Adds what no way of ours may take longer than.
    #[must_use]
    pub fn bound(self, command: Command) -> Self {
        self.with(Whose::Bound, command)
    }

    /// Adds a way of ours.
    #[must_use]
    pub fn ours(self, command: Command) -> Self {
        self.with(Whose::Ours, command)
    }

    /// Adds somebody else's, which may fail.
    #[must_use]
    pub fn peer(self, command: Command) -> Self {
        self.with(Whose::Peers, Command { may_fail: true, ..command })
    }

    /// The same, where its program is installed; else the verdict says that it is not.
    #[must_use]
    pub fn peer_of(self, program: &str, command: Command) -> Self {
        if is_installed(program) { self.peer(command) } else { self.without(&command.name) }
    }

    /// Somebody else's way that can't be measured here, by its name: the verdict is not about it.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.not_here.push(name.to_owned());
        self
    }

    fn with(mut self, whose: Whose, command: Command) -> Self {
        self.ways.push((whose, command));
        self
    }

    /// Measures all in turn, with `ready` before each run, which does not count.
    pub fn held(self, ready: impl Fn() -> Result<()>) -> Result<Held> {
        let (whose, commands): (Vec<Whose>, Vec<Command>) = self.ways.into_iter().unzip();
        let samples = sample::rounds(self.runs, &commands, ready)?;
        let mut not_here = self.not_here;
        let failed = |samples: &Samples| Some(format!("{} ({})", samples.name, samples.failed.as_ref()?));
        not_here.extend(samples.iter().filter_map(failed));
        let ways = whose.into_iter().zip(samples).filter(|(_, samples)| samples.failed.is_none()).collect();
        Ok(Held { ways, at_most: self.at_most, not_here })
    }
}

impl Held {
    /// A row for each way, held against the first floor, and the verdict.
    pub fn table(&self) -> Result<String> {
        let mut out = String::from("| way | time | memory | times the floor |\n|---|---|---|---|\n");
        let floor = self.of(Whose::Floor).next().map(Samples::median);
        for (whose, samples) in &self.ways {
            let name = match whose {
                Whose::Floor => format!("floor: {}", samples.name),
                Whose::Bound => format!("what it may take: {}", samples.name),
                Whose::Ours => format!("**{}**", samples.name),
                Whose::Peers => samples.name.clone(),
            };
            let times = floor.map(|floor| hundredths(samples.median(), floor)).unwrap_or_default();
            writeln!(out, "| {name} | {} | {} | {times} |", samples.milliseconds(), samples.memory())?;
        }
        let memory =
            self.judged(Samples::kibibytes, ["lighter than every peer", "**a peer is lighter**", "memory"]);
        for verdict in
            [Some(self.verdict()), memory, self.of_the_floor(), self.of_the_bound()].into_iter().flatten()
        {
            writeln!(out, "\n{VERDICT}{verdict}")?;
        }
        Ok(out)
    }

    fn verdict(&self) -> String {
        let judged = self.of_time();
        let judged = judged.unwrap_or_else(|| "no peer is installed here to compare with".to_owned());
        if self.not_here.is_empty() {
            return judged;
        }
        format!("{judged}; not to be had here, and so not compared: {}", self.not_here.join(", "))
    }

    /// Whether any peer takes less time than any way of ours, by more rounds than chance gives; none without peers.
    fn of_time(&self) -> Option<String> {
        let judged = self.judged(Samples::median, ["ahead of every peer", "**a peer is ahead**", "time"])?;
        let pairs =
            || self.of(Whose::Ours).flat_map(|ours| self.of(Whose::Peers).map(move |peer| (ours, peer)));
        let is_ahead = |(ours, peer): &(&Samples, &Samples)| peer.median() < ours.median();
        let by_chance = |(ours, peer): &(&Samples, &Samples)| {
            let (faster, of) = peer.faster_than(ours);
            faster < more_than_chance(of)
        };
        let ahead = || pairs().filter(is_ahead);
        if ahead().next().is_none() || !ahead().all(|pair| by_chance(&pair)) {
            return Some(judged);
        }
        let level = ahead().map(|(ours, peer)| {
            let (faster, of) = peer.faster_than(ours);
            format!("{} is faster than {} in {faster} of {of} rounds", peer.name, ours.name)
        });
        Some(format!("no peer is ahead by more than chance: {}", level.collect::<Vec<_>>().join("; ")))
    }

    /// Whether any peer takes less than any way of ours; none without peers.
    fn judged(&self, of: fn(&Samples) -> u64, [good, bad, what]: [&str; 3]) -> Option<String> {
        self.of(Whose::Peers).next()?;
        let ahead: Vec<String> = self
            .of(Whose::Ours)
            .flat_map(|ours| {
                let less = self.of(Whose::Peers).filter(move |peer| of(peer) < of(ours));
                less.map(move |peer| {
                    let part = hundredths(of(peer), of(ours));
                    format!("{} takes {part} of the {what} of {}", peer.name, ours.name)
                })
            })
            .collect();
        Some(if ahead.is_empty() { good.to_owned() } else { format!("{bad}: {}", ahead.join("; ")) })
    }

    /// Whether our ways take as many times the floor as they may.
    fn of_the_floor(&self) -> Option<String> {
        let (floor, at_most) = (self.of(Whose::Floor).next()?.median(), self.at_most?);
        let more = self.of(Whose::Ours).filter(|ours| ours.median() * 100 > floor * at_most);
        let more: Vec<String> =
            more.map(|ours| format!("{} takes {}", ours.name, hundredths(ours.median(), floor))).collect();
        let may = hundredths(at_most, 100);
        Some(if more.is_empty() {
            format!("at most {may} times the floor")
        } else {
            format!("**more than {may} times the floor**: {}", more.join("; "))
        })
    }

    /// Whether our ways take no longer than they may, by more rounds than chance gives.
    fn of_the_bound(&self) -> Option<String> {
        let bound = self.of(Whose::Bound).next()?;
        let more: Vec<&Samples> =
            self.of(Whose::Ours).filter(|ours| ours.median() > bound.median()).collect();
        let told: Vec<String> = more
            .iter()
            .map(|ours| {
                let ((slower, of), part) =
                    (bound.faster_than(ours), hundredths(ours.median(), bound.median()));
                format!("{} takes {part} of it, and longer in {slower} of {of} rounds", ours.name)
            })
            .collect();
        let by_chance = |ours: &&Samples| {
            let (slower, of) = bound.faster_than(ours);
            slower < more_than_chance(of)
        };
        Some(match told.join("; ") {
            _ if more.is_empty() => "no more than it may take".to_owned(),
            told if more.iter().all(by_chance) => {
                format!("no more than it may take, but for chance: {told}")
            }
            told => format!("**more than it may take**: {told}"),
        })
    }

    fn of(&self, wanted: Whose) -> impl Iterator<Item = &Samples> {
        self.ways.iter().filter(move |(whose, _)| *whose == wanted).map(|(_, samples)| samples)
    }
}

/// In how many of so many rounds one is the faster of two that take the same time in less than 5 of 100 contests: of few rounds
/// in all of them.
fn more_than_chance(rounds: usize) -> usize {
    let (mut outcomes, mut tail) = (1_f64, 0_f64);
    let all = 2_f64.powi(i32::try_from(rounds).unwrap_or(i32::MAX));
    for wins in (0..=rounds).rev() {
        tail += outcomes;
        if tail / all >= 0.05 {
            return (wins + 1).min(rounds);
        }
        #[allow(clippy::cast_precision_loss)] // some dozen rounds
        let next = wins as f64 / (rounds - wins + 1) as f64;
        outcomes *= next;
    }
    rounds
}

/// Whether a program is on the path.
pub fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
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
        Held { ways: ways.iter().map(of).collect(), at_most: None, not_here: Vec::new() }
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
        let verdicts = "\nVerdict: **a peer is ahead**: fast takes 0.75 of the time of ours\n\n\
                        Verdict: **a peer is lighter**: fast takes 0.75 of the memory of ours\n";
        assert!(table.ends_with(verdicts), "{table}");
    }

    #[test]
    fn what_the_floor_allows_is_judged_where_it_is_said() {
        let of = |hundredths| {
            let ways = [(Whose::Floor, "reads", 1000), (Whose::Ours, "ours", 1300)];
            Held { at_most: Some(hundredths), ..held(&ways) }.of_the_floor().unwrap()
        };
        assert_eq!(of(130), "at most 1.30 times the floor");
        assert_eq!(of(129), "**more than 1.29 times the floor**: ours takes 1.30");
        assert_eq!(held(&[(Whose::Floor, "reads", 1), (Whose::Ours, "ours", 2)]).of_the_floor(), None);
    }

    #[test]
    fn one_that_is_ahead_by_chance_is_not() {
        // The sign test's own table, one-sided.
        for (rounds, wins) in [(3, 3), (5, 5), (7, 7), (11, 9), (15, 12)] {
            assert_eq!(more_than_chance(rounds), wins, "{rounds}");
        }
        let ways = |ours: &[u64], peer: &[u64]| {
            let ways =
                vec![(Whose::Ours, Samples::of("ours", ours)), (Whose::Peers, Samples::of("peer", peer))];
            Held { ways, at_most: None, not_here: Vec::new() }.verdict()
        };
        let level = "no peer is ahead by more than chance: peer is faster than ours in 3 of 5 rounds";
        assert_eq!(ways(&[10, 10, 10, 10, 10], &[9, 9, 9, 11, 11]), level);
        assert!(ways(&[10, 10, 10, 10, 10], &[9, 9, 9, 9, 9]).starts_with("**a peer is ahead**"));
        assert_eq!(ways(&[10, 10, 10, 10, 10], &[9, 9, 11, 11, 11]), "ahead of every peer");
    }

    #[test]
    fn more_than_the_bound_is_named() {
        let of = |ours: [u64; 5]| {
            let ways = vec![
                (Whose::Bound, Samples::of("all", &[100; 5])),
                (Whose::Ours, Samples::of("ours", &ours)),
            ];
            Held { ways, at_most: None, not_here: Vec::new() }.of_the_bound().unwrap()
        };
        assert_eq!(of([100; 5]), "no more than it may take");
        let told = "ours takes 1.50 of it, and longer in 5 of 5 rounds";
        assert_eq!(of([150; 5]), format!("**more than it may take**: {told}"));
        let told = "ours takes 1.04 of it, and longer in 3 of 5 rounds";
        assert_eq!(of([104, 104, 104, 99, 99]), format!("no more than it may take, but for chance: {told}"));
    }

    #[test]
    fn nobody_ahead_and_nobody_there_are_told_apart() {
        let ahead = held(&[(Whose::Ours, "ours", 10), (Whose::Peers, "peer", 11)]);
        assert_eq!(ahead.verdict(), "ahead of every peer");
        assert_eq!(held(&[(Whose::Ours, "ours", 10)]).verdict(), "no peer is installed here to compare with");
    }

    #[test]
    fn who_is_not_here_is_told_in_the_verdict() {
        let of = |ways| {
            Held { not_here: vec!["driverctl".to_owned(), "virsh".to_owned()], ..held(ways) }.verdict()
        };
        let missing = "; not to be had here, and so not compared: driverctl, virsh";
        assert_eq!(
            of(&[(Whose::Ours, "ours", 10), (Whose::Peers, "peer", 11)]),
            format!("ahead of every peer{missing}")
        );
        assert!(of(&[(Whose::Ours, "ours", 10), (Whose::Peers, "peer", 9)]).ends_with(missing));
        assert_eq!(
            of(&[(Whose::Ours, "ours", 10)]),
            format!("no peer is installed here to compare with{missing}")
        );
    }

    #[test]
    fn a_program_that_nobody_installed_is_no_peer_and_not_forgotten() {
        let command = |name: &str| Command {
            name: name.to_owned(),
            line: vec!["true".to_owned()],
            at_most: None,
            may_fail: false,
        };
        let contest = Contest::of(1)
            .peer_of("true", command("here"))
            .peer_of("no-such-program-at-all", command("gone"));
        assert_eq!(contest.ways.iter().map(|(_, way)| way.name.as_str()).collect::<Vec<_>>(), ["here"]);
        assert_eq!(contest.not_here, ["gone"]);
    }
}
