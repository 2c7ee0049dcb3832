//! A transcript is of the document as it is now: the same lines, in the same order.
#![allow(clippy::panic)] // a failed expectation is a failed test

use gpuvirt_documents::{Transcript, commands_of, read, stands_for};

const MADE_BY: &str =
    "GPUVIRT_BLESS=1 cargo nextest run -p gpuvirt-e2e --profile lab-full -E 'binary(first_hour)', with a lab";

#[test]
fn transcripts_are_of_the_documents_as_they_are() {
    for (document, transcript) in [
        ("README.md", "docs/transcripts/readme.md"),
        ("docs/first-hour.md", "docs/transcripts/first-hour.md"),
        ("docs/recipes/from-other-tools.md", "docs/transcripts/imported.md"),
    ] {
        let kept = Transcript::read(&read(transcript));
        let now: Vec<String> =
            commands_of(&read(document)).iter().map(|line| stands_for(line, &kept.words)).collect();
        assert!(now.len() > 5, "{document}: {now:?}");
        assert!(
            kept.typed == now,
            "{transcript} is not of {document} as it is: {MADE_BY}\n{:#?}\n{now:#?}",
            kept.typed
        );
    }
}

/// The package's name has its version.
#[test]
fn the_package_is_called_as_it_is_built() {
    let package = concat!("gpuvirt_", env!("CARGO_PKG_VERSION"), "_amd64.deb");
    for document in ["README.md", "docs/first-hour.md", "docs/operations.md"] {
        let text = read(document);
        let named: Vec<&str> =
            text.split("./target/").skip(1).filter_map(|rest| rest.split_whitespace().next()).collect();
        assert!(
            !named.is_empty() && named.iter().all(|name| *name == package),
            "{document}: {named:?}, not {package}"
        );
    }
}

/// What `scripts/demo` runs, with what the lab's addresses stand for.
#[test]
fn the_demo_is_shown_as_it_runs() {
    let devices: Vec<(String, String)> = read("tests/lab/devices.env")
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, address)| (format!("\"${name}\""), address.trim().to_owned()))
        .collect();
    let script = read("scripts/demo");
    let uuid = script.lines().find_map(|line| line.strip_prefix("vgpu=")).unwrap_or_default();
    let runs = script
        .lines()
        .filter_map(|line| line.strip_prefix("run "))
        .map(|line| line.trim_end_matches(" || true"));
    let now: Vec<String> = runs.map(|line| stands_for(line, &devices).replace("\"$vgpu\"", uuid)).collect();
    assert!(now.len() > 10, "{now:?}");
    let kept = read("docs/transcripts/demo.md");
    let typed: Vec<&str> = kept
        .lines()
        .filter_map(|line| line.strip_prefix("# "))
        .filter(|line| !line.starts_with("Transcript"))
        .collect();
    assert_eq!(
        typed, now,
        "docs/transcripts/demo.md is not of scripts/demo as it is: scripts/demo, kept as it prints"
    );
}
