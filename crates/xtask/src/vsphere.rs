//! docs/vsphere.md claims nothing that no test shows: it has every row, and each names tests that exist, or says that
//! the row does not apply.
//!
//! A test is named by its area, file and function (`plan/placement::grouping_leaves_the_second_card_free`), a golden case of
//! the command by its folder (`cli/esxcli-host-get`).

use anyhow::Result;

use crate::tally::Tally;
use crate::tree::Tree;

const DOCUMENT: &str = "docs/vsphere.md";
/// What vSphere has, numbered, and what it refuses.
const FACTS: u32 = 31;
const REFUSALS: u32 = 8;
/// How a row begins that claims nothing.
const NOT_HERE: [&str; 2] = ["does not apply", "not done"];

/// Checks the document's rows and the tests that they name.
pub fn check(tree: &Tree) -> Result<Tally> {
    let text = tree.read(DOCUMENT)?;
    let rows: Vec<Row<'_>> = text.lines().filter_map(Row::of).collect();
    let wanted = (1..=FACTS).map(|n| n.to_string()).chain((1..=REFUSALS).map(|n| format!("R{n}")));
    let mut found: Vec<String> = wanted
        .filter_map(|name| {
            let times = rows.iter().filter(|row| row.name == name).count();
            (times != 1).then(|| format!("vsphere: {DOCUMENT} has row {name} {times} times"))
        })
        .collect();
    for row in &rows {
        let tests = row.tests();
        if tests.is_empty() && !row.is_not_here() {
            found.push(format!("vsphere: row {} names no test, and does not say why", row.name));
        }
        let missing = tests.into_iter().filter(|test| !exists(tree, test));
        found.extend(missing.map(|test| format!("vsphere: row {} names {test}, which is no test", row.name)));
    }
    Ok(Tally::of_findings(found))
}

/// A row of a table, the number in front.
struct Row<'a> {
    name: &'a str,
    cells: Vec<&'a str>,
}

impl<'a> Row<'a> {
    fn of(line: &'a str) -> Option<Self> {
        let mut cells = line.strip_prefix('|')?.strip_suffix('|')?.split(" | ").map(str::trim);
        let name = cells.next()?;
        let number = name.strip_prefix('R').unwrap_or(name);
        let numbered = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        numbered.then(|| Self { name, cells: cells.collect() })
    }

    fn is_not_here(&self) -> bool {
        self.cells.get(1).is_some_and(|what| NOT_HERE.iter().any(|words| what.starts_with(words)))
    }

    /// The words in backquotes of the last cell.
    fn tests(&self) -> Vec<&'a str> {
        self.cells.last().map(|cell| cell.split('`').skip(1).step_by(2).collect()).unwrap_or_default()
    }
}

fn exists(tree: &Tree, test: &str) -> bool {
    let Some((area, rest)) = test.split_once('/') else { return false };
    if area == "cli" {
        return tree.has(&format!("tests/golden/cli/{rest}/args"));
    }
    let Some((file, function)) = rest.split_once("::") else { return false };
    let files = match area {
        "e2e" => vec![format!("tests/e2e/tests/{file}.rs")],
        // Of the command and of the daemon.
        "gpuvirt" | "gpuvirtd" => places(area, file),
        _ => places(&format!("gpuvirt-{area}"), file),
    };
    files.iter().any(|path| tree.read(path).is_ok_and(|text| has_test(&text, function)))
}

fn places(package: &str, file: &str) -> Vec<String> {
    ["tests", "tests/api", "tests/golden", "src"]
        .map(|folder| format!("crates/{package}/{folder}/{file}.rs"))
        .to_vec()
}

/// Whether the text has a function of this name with a test's attribute near it.
fn has_test(text: &str, function: &str) -> bool {
    let lines: Vec<&str> = text.lines().collect();
    let declared = format!("fn {function}(");
    lines.iter().enumerate().filter(|(_, line)| line.contains(&declared)).any(|(index, _)| {
        let before = lines.get(index.saturating_sub(4)..index).unwrap_or_default();
        before.iter().rev().take_while(|line| !line.trim().is_empty()).any(|line| line.trim() == "#[test]")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_with_their_tests() {
        let row = Row::of("| 16 | spread or group | `host set` | `plan/placement::x`, `cli/y` |").unwrap();
        assert_eq!((row.name, row.tests()), ("16", vec!["plan/placement::x", "cli/y"]));
        assert!(!row.is_not_here());
        assert!(Row::of("| R7 | nested | does not apply: no such rule | |").unwrap().is_not_here());
        for other in ["| # | vSphere | here | shown by |", "|---|---|", "text", "| a1 | x |"] {
            assert!(Row::of(other).is_none(), "{other}");
        }
    }

    #[test]
    fn a_test_is_a_function_with_its_attribute() {
        let text = "#[test]\n#[cfg(unix)]\nfn one() {}\n\nfn two() {}\n#[test]\nfn three_and() {}\n";
        assert!(has_test(text, "one") && has_test(text, "three_and"));
        assert!(!has_test(text, "two") && !has_test(text, "three") && !has_test(text, "four"));
    }
}
