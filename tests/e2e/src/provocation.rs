//! How the lab is brought to each finding of the doctor: `findings/provocations.toml`, with the words of `findings/words.sh`.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Instant;

use serde_json::Value;

use crate::{Devices, Lab};

/// The doctor itself, where tests take away the program.
const DOCTOR: &str = "/tmp/e2e-doctor";

/// All of the file.
pub struct Provocations {
    stages: BTreeMap<String, Stage>,
    all: Vec<Provocation>,
}

struct Stage {
    up: String,
    down: String,
}

/// A set of tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set {
    /// What everybody runs.
    Essential,
    /// What takes long, for `scripts/test --full`.
    Long,
}

/// One finding, and how the lab is brought to it and back.
#[derive(Debug, Clone)]
pub struct Provocation {
    /// What must be found.
    pub finding: Seen,
    stage: Option<String>,
    /// For which set of tests.
    set: Set,
    /// What the kernel is told at boot, of those that need one.
    pub words: Option<String>,
    provoke: String,
    undo: String,
    proof: Option<String>,
}

/// What was found of something: its code, how bad it is, what it is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seen {
    code: String,
    severity: String,
    about: String,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} of {}", self.severity, self.code, self.about)
    }
}

impl Seen {
    fn of(finding: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let subject = &finding["subject"];
        let about = match text(&subject["name"]) {
            name if name.is_empty() => text(&subject["kind"]),
            name => format!("{} {name}", text(&subject["kind"])),
        };
        Self { code: text(&finding["code"]), severity: text(&finding["severity"]), about }
    }
}

/// What the doctor found: each with the document of it.
type Findings = BTreeMap<Seen, Value>;

fn findings(document: &Value) -> Findings {
    let list = document["findings"].as_array().cloned().unwrap_or_default();
    list.into_iter().map(|finding| (Seen::of(&finding), finding)).collect()
}

impl Provocations {
    /// The file of this tree.
    pub fn read() -> Self {
        let table: toml::Table =
            include_str!("../findings/provocations.toml").parse().expect("provocations.toml is TOML");
        let text =
            |value: &toml::Value, key: &str| value.get(key).and_then(|text| text.as_str()).map(str::to_owned);
        let devices = Devices::read();
        let provocation = |entry: &toml::Value| {
            let needed = |key: &str| text(entry, key).unwrap_or_else(|| panic!("no {key} in {entry}"));
            let about = needed("about");
            let about =
                about.split(' ').map(|word| word.strip_prefix('$').map_or(word, |role| devices.get(role)));
            let about = about.collect::<Vec<_>>().join(" ");
            Provocation {
                finding: Seen { code: needed("code"), severity: needed("severity"), about },
                stage: text(entry, "stage"),
                set: if entry.get("long").is_some() { Set::Long } else { Set::Essential },
                words: text(entry, "words"),
                provoke: text(entry, "do").unwrap_or_default(),
                undo: text(entry, "undo").unwrap_or_default(),
                proof: text(entry, "proof"),
            }
        };
        let list = table["provoked"].as_array().expect("a list");
        let stages = table["stage"].as_table().expect("stages");
        let stage = |(name, stage): (&String, &toml::Value)| {
            let part = |key| text(stage, key).expect("up and down");
            (name.clone(), Stage { up: part("up"), down: part("down") })
        };
        Self { stages: stages.iter().map(stage).collect(), all: list.iter().map(provocation).collect() }
    }

    /// Provokes everything of a set that stands on a stage: what went wrong.
    ///
    /// # Panics
    /// Where there is nothing, or the stage itself can't be set.
    pub fn on_stage(&self, lab: &Lab, name: &str, set: Set) -> Vec<String> {
        let bench = Bench::new(lab);
        let stage = &self.stages[name];
        bench.run(&stage.up).unwrap_or_else(|why| panic!("stage {name}: {why}"));
        let first = bench.examine();
        let (mut before, mut wrong) = (first.clone(), Vec::new());
        let here = self.all.iter().filter(|one| one.stage.as_deref() == Some(name) && one.set == set);
        let mut done = 0;
        for one in here {
            done += 1;
            let begun = Instant::now();
            let (problems, after) = bench.provoke(one, &before);
            println!("{:6.1} s {}", begun.elapsed().as_secs_f32(), one.finding);
            wrong.extend(problems.into_iter().map(|why| format!("{}: {why}", one.finding)));
            before = after;
        }
        let list = |found: &Findings| found.keys().map(ToString::to_string).collect::<Vec<_>>();
        if list(&before) != list(&first) {
            wrong.push(format!(
                "stage {name} began with {:#?} and ends with {:#?}",
                list(&first),
                list(&before)
            ));
        }
        bench.run(&stage.down).unwrap_or_else(|why| panic!("stage {name}: {why}"));
        assert!(done > 0, "nothing of {set:?} stands on stage {name}");
        wrong
    }

    /// What the kernel is told at boot, each time with what must be found then.
    pub fn boots(&self) -> BTreeMap<&str, Vec<&Provocation>> {
        let mut boots: BTreeMap<&str, Vec<&Provocation>> = BTreeMap::new();
        for one in &self.all {
            if let Some(words) = &one.words {
                boots.entry(words).or_default().push(one);
            }
        }
        boots
    }
}

/// The lab with its devices as words of a shell, and the doctor.
pub struct Bench<'a> {
    lab: &'a Lab,
    words: String,
}

impl<'a> Bench<'a> {
    /// In this lab.
    pub fn new(lab: &'a Lab) -> Self {
        lab.sh(&format!("cp /usr/bin/gpuvirt {DOCTOR}")).expect(0);
        let words = format!("{}\n{}", lab.devices.as_shell(), include_str!("../findings/words.sh"));
        Self { lab, words }
    }

    /// Runs a script; what it said, when it failed.
    fn run(&self, script: &str) -> Result<String, String> {
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
    fn provoke(&self, one: &Provocation, before: &Findings) -> (Vec<String>, Findings) {
        let mut wrong = Vec::new();
        if before.contains_key(&one.finding) {
            wrong.push("found before it is provoked".to_owned());
        }
        match self.examined(&one.provoke) {
            Ok(found) => wrong.extend(self.check(one, &found)),
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
        let shown = |seen: &Value| {
            let shows = format!("shows {} {}", quoted(&seen["source"]), quoted(&seen["value"]));
            self.run(&shows).is_ok()
        };
        if let Some(proof) = &one.proof {
            wrong.extend(self.run(proof).err().map(|why| format!("{proof}: {why}")));
        } else {
            wrong.extend(
                evidence.iter().filter(|seen| !shown(seen)).map(|seen| format!("not to be seen: {seen}")),
            );
        }
        if evidence.is_empty() || finding["remedy"].as_array().is_none_or(Vec::is_empty) {
            wrong.push(format!("no evidence, or nothing to do: {finding}"));
        }
        wrong
    }
}
