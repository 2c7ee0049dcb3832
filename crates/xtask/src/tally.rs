//! Counts of what passed, what failed and what did not run. A thing that did not run is never counted as passed.

use std::process::ExitCode;

/// What one or more checks came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many passed.
    pub passed: u64,
    /// One sentence for each failure.
    pub failed: Vec<String>,
    /// `name: reason` of each that did not run.
    pub not_run: Vec<String>,
}

impl Tally {
    /// One check that passed.
    pub fn pass() -> Self {
        Self { passed: 1, ..Self::default() }
    }

    /// One check that failed.
    pub fn fail(sentence: impl Into<String>) -> Self {
        Self { failed: vec![sentence.into()], ..Self::default() }
    }

    /// One check that could not run.
    pub fn not_run(name: &str, reason: &str) -> Self {
        Self { not_run: vec![format!("{name}: {reason}")], ..Self::default() }
    }

    /// One check: passed when it found nothing wrong, else one failure for each finding.
    pub fn of_findings(findings: Vec<String>) -> Self {
        if findings.is_empty() { Self::pass() } else { Self { failed: findings, ..Self::default() } }
    }

    /// Adds another's counts.
    pub fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed.extend(other.failed);
        self.not_run.extend(other.not_run);
    }

    /// Prints what did not run, what failed and the closing line: failures last, where a cut log still has them.
    pub fn close(&self) -> ExitCode {
        for name in &self.not_run {
            println!("not run {name}");
        }
        for sentence in &self.failed {
            println!("failed {sentence}");
        }
        println!("{} passed, {} failed, {} skipped", self.passed, self.failed.len(), self.not_run.len());
        if self.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_did_not_run_is_not_a_pass() {
        let mut tally = Tally::pass();
        tally.add(Tally::not_run("supply-chain", "cargo-deny is not installed"));
        assert_eq!((tally.passed, tally.failed.len(), tally.not_run.len()), (1, 0, 1));
    }

    #[test]
    fn findings_are_failures() {
        assert_eq!(Tally::of_findings(vec![]), Tally::pass());
        assert_eq!(Tally::of_findings(vec!["a".into()]), Tally::fail("a"));
    }
}
