//! The lab brought to a finding and back, and what is held against it.

use serde_json::Value;

use super::Provocation;
use super::seen::{Findings, findings};
use crate::Lab;

/// The doctor itself, where tests take away the program.
const DOCTOR: &str = "/tmp/e2e-doctor";

/// The lab with its devices as words of a shell, and the doctor.
pub struct Bench<'a> {
    lab: &'a Lab,
    words: String,
}

impl<'a> Bench<'a> {
    /// In this lab.
    pub fn new(lab: &'a Lab) -> Self {
        lab.sh(&format!("cp /usr/bin/gpuvirt {DOCTOR}")).expect(0);
        let words = format!("{}\n{}", lab.devices.as_shell(), include_str!("../../findings/words.sh"));
        Self { lab, words }
    }

    /// Runs a script; what it said, when it failed.
    pub(super) fn run(&self, script: &str) -> Result<String, String> {
        let ran = self.lab.sh(&format!("{}\n{script}", self.words));
        let said = || format!("exit {}: {}{}", ran.code, ran.stdout, ran.stderr);
        if ran.code == 0 { Ok(ran.stdout.clone()) } else { Err(said()) }
    }

    /// What the doctor finds now.
    pub fn examine(&self) -> Findings {
        self.examined(":").unwrap_or_else(|why| panic!("{why}"))
    }

    /// Runs a script, and the doctor after it.
    fn examined(&self, script: &str) -> Result<Findings, String> {
        // On a loaded machine libvirt is late now and then, and what it did not tell is not judged: then once more, and once again.
        let both = format!(
            "if ! {{ {script}\n}} >/tmp/e2e-did 2>&1; then cat /tmp/e2e-did >&2; exit 99; fi
             for try in 1 2 3; do
                 {DOCTOR} doctor -o json >/tmp/e2e-found 2>/tmp/e2e-said; code=$?
                 grep -q 'did not answer' /tmp/e2e-said || break
             done
             cat /tmp/e2e-found; [ $code -lt 5 ]"
        );
        let said = self.run(&both)?;
        serde_json::from_str(&said)
            .map(|document| findings(&document))
            .map_err(|error| format!("{error} in {said:?}"))
    }

    /// What went wrong with one, and what is found when it is undone.
    pub(super) fn provoke(&self, one: &Provocation, before: &Findings) -> (Vec<String>, Findings) {
        let mut wrong = Vec::new();
        if before.contains_key(&one.finding) {
            wrong.push("found before it is provoked".to_owned());
        }
        match self.examined(&one.provoke) {
            Ok(found) => {
                wrong.extend(self.check(one, &found));
                wrong.extend(one.unexpected(&found, before.keys()));
            }
            Err(why) => wrong.push(format!("not provoked: {why}")),
        }
        let after = self.examined(&one.undo).unwrap_or_else(|why| {
            wrong.push(format!("not undone: {why}"));
            self.examine()
        });
        if after.contains_key(&one.finding) {
            wrong.push("found after it was undone".to_owned());
        }
        (wrong, after)
    }

    /// What is wrong with a finding that is to be there now: it is not, or what it says was seen is not to be seen.
    pub fn check(&self, one: &Provocation, found: &Findings) -> Vec<String> {
        let Some(finding) = found.get(&one.finding) else {
            let names: Vec<String> = found.keys().map(ToString::to_string).collect();
            return vec![format!("not found, but {names:?}")];
        };
        let mut wrong = Vec::new();
        let evidence = finding["evidence"].as_array().cloned().unwrap_or_default();
        let quoted = |text: &Value| format!("'{}'", text.as_str().unwrap_or_default().replace('\'', r"'\''"));
        let told = |word: &str, seen: &Value| {
            self.run(&format!("{word} {} {}", quoted(&seen["source"]), quoted(&seen["value"]))).is_ok()
        };
        wrong.extend(
            evidence
                .iter()
                .filter(|seen| !told("is_place", seen))
                .map(|seen| format!("no such place: {seen}")),
        );
        match &one.proof {
            Some(proof) => wrong.extend(self.run(proof).err().map(|why| format!("{proof}: {why}"))),
            None => wrong.extend(
                evidence
                    .iter()
                    .filter(|seen| !told("shows", seen))
                    .map(|seen| format!("not to be seen: {seen}")),
            ),
        }
        if evidence.is_empty() || finding["remedy"].as_array().is_none_or(Vec::is_empty) {
            wrong.push(format!("no evidence, or nothing to do: {finding}"));
        }
        wrong
    }
}
