//! The doctor's findings: each provoked on a healthy host by one change, and none found without one.
//!
//! The host is a recording, read by the production code; what a recording does not hold (what is configured, libvirt's
//! definitions, the daemon's own part) is given as values.

// Helpers of tests: what is missing here is the test's own mistake.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod doctor {
    pub mod bed;
    pub mod cards;
    pub mod hosts;
    pub mod vms;
}

use std::collections::BTreeSet;

use doctor::bed::{Bed, Case};
use gpuvirt_model::{FindingCode, Severity};

fn cases() -> Vec<Case> {
    [doctor::hosts::cases(), doctor::cards::cases(), doctor::vms::cases()].into_iter().flatten().collect()
}

#[test]
fn a_healthy_host_has_no_findings_and_everything_was_looked_at() {
    let diagnosis = Bed::healthy().examine();
    assert!(diagnosis.findings.is_empty(), "{:#?}", diagnosis.findings);
    // A recording holds no processes.
    let unchecked: Vec<&str> = diagnosis.unchecked.iter().map(|(what, _)| what.as_str()).collect();
    assert_eq!(unchecked, ["what libvirt's daemons may lock"]);
}

#[test]
fn each_finding_is_found_and_nothing_else() {
    let wrong: Vec<String> = cases().into_iter().filter_map(|case| case.check().err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_finding_is_without_its_case() {
    let provoked: BTreeSet<FindingCode> = cases().iter().map(|case| case.code).collect();
    let missing: Vec<&str> =
        FindingCode::ALL.iter().filter(|code| !provoked.contains(code)).map(|code| code.as_str()).collect();
    assert!(missing.is_empty(), "no case provokes {missing:?}");
}

#[test]
fn each_finding_says_from_what_and_what_to_do() {
    for case in cases() {
        for finding in (case.bed)(Bed::healthy()).examine().findings {
            assert!(!finding.evidence.is_empty() && !finding.remedy.is_empty(), "{}: {finding:?}", case.what);
            let parts = finding.evidence.iter().flat_map(|seen| [&seen.source, &seen.value]);
            for text in parts.chain(&finding.remedy).chain([&finding.cause]) {
                assert!(!text.trim().is_empty() && !text.contains("  "), "{}: {text:?}", case.what);
            }
        }
    }
}

#[test]
fn recorded_hosts_without_fault_raise_no_alarm() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/hosts");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // A VM without an IOMMU is at fault, and the other file is no host.
        if name.starts_with("emulated-card") || name.ends_with(".md") {
            continue;
        }
        let diagnosis = Bed::of_file(&path).examine();
        let alarms: Vec<_> = diagnosis.findings.iter().filter(|f| f.severity > Severity::Note).collect();
        assert!(alarms.is_empty(), "{name}: {alarms:#?}");
        seen += 1;
    }
    assert!(seen >= 8, "only {seen} recorded hosts");
}
