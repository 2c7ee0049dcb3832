//! Runs the suite: each behaviour on a testbed that stands as it was found.

use gpuvirt_host::Sysfs;

use crate::behaviour::{Behaviour, all};
use crate::bench::{Bench, Stop};
use crate::restore::Standing;
use crate::testbed::Testbed;

/// How one behaviour ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The kernel does as the sentence says.
    Passed,
    /// It does something else, or the testbed could not be put back.
    Failed(String),
    /// It could not be tried, and why. That is no pass.
    NotRun(String),
}

/// All outcomes.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// In the order in which they ran.
    pub outcomes: Vec<(&'static str, Outcome)>,
}

impl Report {
    /// Those that ended as `wanted` says.
    pub fn count(&self, wanted: fn(&Outcome) -> bool) -> usize {
        self.outcomes.iter().filter(|(_, outcome)| wanted(outcome)).count()
    }

    /// The closing line.
    pub fn summary(&self) -> String {
        format!(
            "{} passed, {} failed, {} skipped",
            self.count(|outcome| *outcome == Outcome::Passed),
            self.count(|outcome| matches!(outcome, Outcome::Failed(_))),
            self.count(|outcome| matches!(outcome, Outcome::NotRun(_)))
        )
    }
}

/// Runs every behaviour whose id contains `filter`, telling each outcome as it comes.
pub fn run(
    sysfs: &dyn Sysfs,
    testbed: &Testbed,
    filter: &str,
    mut tell: impl FnMut(&Behaviour, &Outcome),
) -> Report {
    let bench = Bench { sysfs, testbed };
    let standing = Standing::now(&bench);
    let mut report = Report::default();
    for behaviour in all().into_iter().filter(|behaviour| behaviour.id.contains(filter)) {
        let outcome = match (behaviour.check)(&bench) {
            Ok(()) => Outcome::Passed,
            Err(Stop::Failed(what)) => Outcome::Failed(what),
            Err(Stop::NotRun(why)) => Outcome::NotRun(why),
        };
        let outcome = match standing.restore(&bench) {
            Some(left) => Outcome::Failed(format!("{} the testbed stays changed: {left}", said(&outcome))),
            None => outcome,
        };
        tell(&behaviour, &outcome);
        report.outcomes.push((behaviour.id, outcome));
    }
    report
}

fn said(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Failed(what) => format!("{what}; and"),
        Outcome::Passed | Outcome::NotRun(_) => "afterwards".to_owned(),
    }
}
