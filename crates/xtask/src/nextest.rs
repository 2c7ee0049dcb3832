//! Tests through cargo-nextest: counted from its JUnit file, with the names of those that the profile filters out.

use std::io::ErrorKind;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::program::{cargo, installed, output};
use crate::tally::Tally;
use crate::tree::Tree;

/// Runs `cargo nextest run ARGS`; the profile named in ARGS must write `junit.xml`. After `--again` only what did not pass the
/// last time is run, and what passed then counts.
pub fn run(tree: &Tree, args: &[&str]) -> Result<Tally> {
    let (again, args) = match args {
        ["--again", args @ ..] => (true, args),
        args => (false, args),
    };
    if !installed("cargo", &["nextest", "--version"])? {
        return Ok(Tally::fail(
            "tests: cargo-nextest is not installed (cargo install --locked cargo-nextest)",
        ));
    }
    let profile = profile(args);
    let junit = tree.root().join("target/nextest").join(profile).join("junit.xml");
    let mut passed_before = 0;
    let mut only = Vec::new();
    if again {
        let report = std::fs::read_to_string(&junit).with_context(|| format!("read {}", junit.display()))?;
        passed_before = from_junit(&report)?.passed;
        only = vec!["-E".to_owned(), failed_there(&report)];
    }
    match std::fs::remove_file(&junit) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("remove {}", junit.display()));
        }
        _ => {}
    }
    let run: Vec<&str> =
        ["nextest", "run", "--locked", "--no-tests=fail"].iter().chain(args).copied().collect();
    let run: Vec<&str> = run.into_iter().chain(only.iter().map(String::as_str)).collect();
    let status = cargo(tree.root(), &run).status().context("start cargo nextest run")?;
    let Ok(report) = std::fs::read_to_string(&junit) else {
        return Ok(Tally::fail(format!("tests: cargo nextest {}: no report at {}", status, junit.display())));
    };
    let mut tally = from_junit(&report)?;
    tally.passed += passed_before;
    if !status.success() && tally.failed.is_empty() {
        tally.failed.push(format!("tests: cargo nextest ended with {status}"));
    }
    let list: Vec<&str> =
        ["nextest", "list", "--locked", "--message-format", "json"].iter().chain(args).copied().collect();
    tally.not_run = filtered_out(&output(cargo(tree.root(), &list))?, profile)?;
    Ok(tally)
}

fn profile<'a>(args: &[&'a str]) -> &'a str {
    let after = args.iter().position(|arg| *arg == "--profile").and_then(|at| args.get(at + 1));
    after.copied().or_else(|| args.iter().find_map(|arg| arg.strip_prefix("--profile="))).unwrap_or("default")
}

/// Each `<testcase>` is one test; one that holds a `<failure>` or `<error>` failed.
fn from_junit(report: &str) -> Result<Tally> {
    let mut tally = Tally::default();
    for case in cases(report) {
        match case.passed {
            true => tally.passed += 1,
            false => tally.failed.push(format!("test {} {}{}", case.binary, case.name, case.reason())),
        }
    }
    anyhow::ensure!(tally.passed > 0 || !tally.failed.is_empty(), "the JUnit report names no test");
    Ok(tally)
}

/// One `<testcase>`.
struct Case<'a> {
    binary: &'a str,
    name: &'a str,
    passed: bool,
    /// What stands in the element: nothing where the element ends itself.
    body: &'a str,
}

/// As much of a failure's words as are repeated in the closing lines, in characters.
const REASON: usize = 800;

impl Case<'_> {
    /// `: ` and what the failed test said, on one line; empty where the report holds no words of it.
    fn reason(&self) -> String {
        let failure = ["<failure", "<error"].iter().find_map(|tag| self.body.split_once(tag));
        let Some((attributes, text)) = failure.and_then(|(_, rest)| rest.split_once('>')) else {
            return String::new();
        };
        let text = text.split("</").next().unwrap_or_default();
        let message = attribute(attributes, "message").unwrap_or_default();
        let said = unescaped(if text.trim().is_empty() { message } else { text });
        let words: Vec<&str> = said.split_whitespace().collect();
        let line: String = words.join(" ").chars().take(REASON).collect();
        if line.is_empty() { line } else { format!(": {line}") }
    }
}

/// The five entities of XML, resolved.
fn unescaped(text: &str) -> String {
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    entities.iter().fold(text.to_owned(), |text, (entity, character)| text.replace(entity, character))
}

fn cases(report: &str) -> impl Iterator<Item = Case<'_>> {
    report.split("<testcase ").skip(1).map(|case| {
        let body = case.split("</testcase>").next().unwrap_or(case);
        let head = body.split('>').next().unwrap_or(body);
        let body = if head.ends_with('/') { head } else { body };
        let attribute = |key| attribute(head, key).unwrap_or("?");
        let passed = !body.contains("<failure") && !body.contains("<error");
        Case { binary: attribute(" classname"), name: attribute("name"), passed, body }
    })
}

/// A filter for what failed in a report.
fn failed_there(report: &str) -> String {
    let failed = cases(report).filter(|case| !case.passed);
    let each = failed.map(|case| format!("(binary_id(={}) & test(={}))", case.binary, case.name));
    let each: Vec<String> = each.collect();
    if each.is_empty() { "none()".to_owned() } else { each.join(" | ") }
}

fn attribute<'a>(head: &'a str, key: &str) -> Option<&'a str> {
    let at = head.find(&format!("{key}=\""))?;
    head.get(at..)?.split('"').nth(1)
}

fn filtered_out(listing: &str, profile: &str) -> Result<Vec<String>> {
    let listing: Value = serde_json::from_str(listing).context("read cargo nextest list")?;
    let suites = listing
        .get("rust-suites")
        .and_then(Value::as_object)
        .context("cargo nextest list names no suites")?;
    let mut names = Vec::new();
    for (suite, content) in suites {
        for (test, case) in content.get("testcases").and_then(Value::as_object).into_iter().flatten() {
            let says = |key: &str| case.pointer(&format!("/filter-match/{key}")).and_then(Value::as_str);
            match (says("status"), says("reason")) {
                (Some("matches"), _) => {}
                (_, Some("ignored")) => {
                    names.push(format!("{suite} {test}: ignored, for the reason in its source"))
                }
                _ => names.push(format!("{suite} {test}: not in profile {profile}")),
            }
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"<testsuites name="nextest-run" tests="3" failures="1" errors="0">
        <testsuite name="a" tests="3" disabled="0" errors="0" failures="1">
        <testcase name="ok" classname="a" timestamp="t" time="0.1"></testcase>
        <testcase name="short" classname="a" time="0.1"/>
        <testcase name="bad" classname="a::b" time="0.1"><failure message="no">x &lt;testcase
            at y </failure></testcase>
        </testsuite></testsuites>"#;

    #[test]
    fn a_report_is_counted() -> Result<()> {
        let tally = from_junit(REPORT)?;
        assert_eq!(tally.passed, 2);
        assert_eq!(tally.failed, ["test a::b bad: x <testcase at y"]);
        Ok(())
    }

    #[test]
    fn what_failed_runs_again() {
        assert_eq!(failed_there(REPORT), "(binary_id(=a::b) & test(=bad))");
        assert_eq!(failed_there("<testsuites/>"), "none()");
    }

    #[test]
    fn an_empty_report_is_no_pass() {
        assert!(from_junit("<testsuites/>").is_err());
    }

    #[test]
    fn filtered_tests_are_named() -> Result<()> {
        let listing = r#"{"rust-suites":{"gpuvirt-e2e":{"testcases":{
            "one":{"ignored":false,"filter-match":{"status":"matches"}},
            "two":{"ignored":true,"filter-match":{"status":"mismatch","reason":"ignored"}},
            "two-b":{"ignored":false,"filter-match":{"status":"mismatch","reason":"default-filter"}}}}}}"#;
        let names = filtered_out(listing, "lab")?;
        assert_eq!(names.len(), 2, "{names:?}");
        assert!(names[0].starts_with("gpuvirt-e2e two: ignored"), "{names:?}");
        assert_eq!(names[1], "gpuvirt-e2e two-b: not in profile lab");
        Ok(())
    }

    #[test]
    fn the_profile_is_found_in_the_arguments() {
        assert_eq!(profile(&["-p", "x", "--profile", "lab"]), "lab");
        assert_eq!(profile(&["--profile=lab"]), "lab");
        assert_eq!(profile(&[]), "default");
    }
}
