//! The command as people and programs see it: the real binary over recorded hosts and a scripted daemon.
//!
//! A case is a folder below tests/golden/cli: `args` (the command line, from the repository's root), and what must come
//! out: `table.txt`, `out.json`, `stderr`, `exit`. `replies.json`, when it is there, is what a daemon answers, request by
//! request, and `requests` what it must be asked. A new case is a new folder with `args`; GPUVIRT_BLESS=1 writes the rest.

// Helpers of tests: what is missing here is the test's own mistake.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod golden {
    pub mod case;
    pub mod daemon;
}

use golden::case::Case;

#[test]
fn every_case_prints_what_it_did() {
    let cases = Case::all();
    assert!(cases.len() >= 10, "only {} cases found below {}", cases.len(), Case::folder().display());
    let wrong: Vec<String> = cases.iter().filter_map(|case| case.check().err()).collect();
    assert!(
        wrong.is_empty(),
        "{}\n{} of {} cases differ. When the new output is right: GPUVIRT_BLESS=1 cargo test -p gpuvirt --test golden, \
         then read the diff.",
        wrong.join("\n"),
        wrong.len(),
        cases.len()
    );
}

#[test]
fn the_docs_explain_every_name() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_gpuvirt"))
        .args(["explain", "--all-markdown"])
        .output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    let path = Case::root().join("docs/refusals.md");
    golden::case::same_file(&path, &text).unwrap_or_else(|difference| {
        panic!("{difference}\nGPUVIRT_BLESS=1 cargo test -p gpuvirt --test golden writes it anew.")
    });
}
