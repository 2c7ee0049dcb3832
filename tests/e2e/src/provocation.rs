//! How the lab is brought to each finding of the doctor: `findings/provocations.toml`, with the words of `findings/words.sh`.

mod bench;
mod seen;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::{Devices, Lab};

pub use bench::Bench;
pub use seen::{Findings, Seen};

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
    /// What may be found with it, and is not there before. Whatever else is, is wrong.
    also: BTreeSet<Seen>,
    stage: Option<String>,
    /// For which set of tests.
    set: Set,
    /// What the kernel is told at boot, of those that need one.
    pub words: Option<String>,
    provoke: String,
    undo: String,
    proof: Option<String>,
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
            let named = |text: &str| {
                let words =
                    text.split(' ').map(|word| word.strip_prefix('$').map_or(word, |role| devices.get(role)));
                words.collect::<Vec<_>>().join(" ")
            };
            let also = entry.get("also").and_then(|list| list.as_array()).into_iter().flatten();
            let also = also.map(|one| one.as_str().and_then(|text| Seen::read(&named(text))));
            let finding =
                Seen { code: needed("code"), severity: needed("severity"), about: named(&needed("about")) };
            Provocation {
                finding,
                also: also
                    .map(|one| one.unwrap_or_else(|| panic!("also: SEVERITY CODE of WHAT, in {entry}")))
                    .collect(),
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

impl Provocation {
    /// What is found, was not there before, and is neither what is provoked nor named to go with it.
    pub fn unexpected<'a>(
        &'a self,
        found: &Findings,
        before: impl IntoIterator<Item = &'a Seen>,
    ) -> Vec<String> {
        let known: BTreeSet<&Seen> = before.into_iter().chain(&self.also).chain([&self.finding]).collect();
        let more = found.iter().filter(|(seen, _)| !known.contains(seen));
        more.map(|(seen, finding)| format!("found besides: {seen}, {}", finding["cause"])).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_is_named_may_be_found_besides() {
        let table = Provocations::read();
        let one = table.all.iter().find(|one| one.finding.code == "vfio-missing").unwrap();
        let finding = |code: &str| json!({"code": code, "severity": "error", "subject": {"kind": "host"}, "cause": "so"});
        let found = seen::findings(&json!({"findings": [finding("vfio-missing"), finding("no-iommu")]}));
        assert_eq!(one.unexpected(&found, []), ["found besides: error no-iommu of host, \"so\""]);
        assert!(one.unexpected(&found, found.keys()).is_empty(), "it was there before");
        let mut with = one.clone();
        with.also.insert(Seen::read("error no-iommu of host").unwrap());
        assert!(with.unexpected(&found, []).is_empty(), "it is named");
    }
}
