//! A transcript is of the document as it is now: the same lines, in the same order.
#![allow(clippy::panic)] // a failed expectation is a failed test

use gpuvirt_documents::{Transcript, commands_of, read, stands_for};

const MADE_BY: &str = "GPUVIRT_BLESS=1 cargo nextest run -p gpuvirt-e2e --profile lab-full -E 'binary(first_hour) | binary(recipes)', with a lab";

#[test]
fn transcripts_are_of_the_documents_as_they_are() {
    for (document, transcript) in [
        ("README.md", "docs/transcripts/readme.md"),
        ("docs/first-hour.md", "docs/transcripts/first-hour.md"),
        ("docs/recipes/from-other-tools.md", "docs/transcripts/imported.md"),
        ("docs/recipes/single-gpu.md", "docs/transcripts/single-gpu.md"),
        ("docs/recipes/two-gpus.md", "docs/transcripts/two-gpus.md"),
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
