//! A name in backquotes that looks like a refusal's is one: what was renamed is not explained any more.
#![allow(clippy::panic)] // a failed expectation is a failed test

use std::collections::BTreeSet;

use gpuvirt_documents::{documents, read, spans};
use gpuvirt_model::{FindingCode, RefusalCode, WarningCode};

/// Words of the same shape that are no names of ours: types and modes, and what belongs to others.
const OTHERS: &[&str] = &[
    "amd-smi",
    "gim-dkms",
    "gpuvirt-writer",
    "kernel-install",
    "libvirt-events",
    "mixed-size",
    "ml-training",
    "no-licence",
    "nodedev-dumpxml",
    "nodedev-reattach",
    "nvidia-558",
    "nvidia-dcgm",
    "nvidia-persistenced",
    "nvidia-smi",
    "nvidia-vfio",
    "pci-stub",
    "proxmox-boot-tool",
    "rustc-web",
    "same-size",
    "shared-direct",
    "sriov-manage",
    "tokio-rt-worker",
    "unset-override",
    "update-grub",
    "update-initramfs",
    "vfio-dev",
    "vfio-pci",
    "virt-clone",
    "virt-install",
    "virt-manager",
];

fn has_the_shape(text: &str) -> bool {
    let mut parts = text.split('-');
    text.contains('-')
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && parts.all(|part| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        })
}

fn is_ours(name: &str) -> bool {
    name.parse::<FindingCode>().is_ok()
        || name.parse::<RefusalCode>().is_ok()
        || name.parse::<WarningCode>().is_ok()
}

#[test]
fn names_of_refusals_warnings_and_findings_exist() {
    let mut names = 0;
    let mut unknown = BTreeSet::new();
    // Documents about tests have names of tests and of recordings; those have checks of their own. What changed speaks of
    // names that are gone; what is measured, of other people's programs, their verbs and their threads.
    let about_the_product = |name: &str| {
        !["CHANGELOG.md", "docs/performance.md", "docs/testing/", "docs/transcripts/", "tests/"]
            .iter()
            .any(|folder| name.starts_with(folder))
    };
    for document in documents().into_iter().filter(|document| about_the_product(&document.name)) {
        for span in spans(&document.text) {
            let name = span.text.trim_start_matches('[').trim_end_matches(']');
            if is_ours(name) {
                names += 1;
            } else if has_the_shape(name) && !OTHERS.contains(&name) {
                unknown.insert(format!("{}: {name}", document.name));
            }
        }
    }
    assert!(unknown.is_empty(), "neither a name of ours nor in OTHERS here:\n{unknown:#?}");
    assert!(names > 100, "{names}");
}

#[test]
fn what_has_the_shape_of_a_name_is_seen() {
    for (text, shape) in [
        ("group-not-viable", true),
        ("vfio-pci", true),
        ("gpuvirt", false),
        ("--dry-run", false),
        ("a.b-c", false),
    ] {
        assert_eq!(has_the_shape(text), shape, "{text}");
    }
}

/// What the API has stands in its document; people find it in the operations manual.
#[test]
fn every_route_of_the_api_is_told_of() {
    let (api, manual) = (read("docs/openapi.json"), read("docs/operations.md"));
    let routes = api.lines().filter_map(|line| line.strip_prefix("    \"/")?.strip_suffix("\": {"));
    // libvirt's hook speaks to it, and nobody else.
    let (mut known, mut missing) = (0, Vec::new());
    for route in routes.filter(|route| *route != "v1/hook") {
        known += 1;
        let told = [format!("`/{route}`"), format!(" /{route}`"), format!(" /{route}?")];
        let as_told = route.replace("{gpu}", "{address or label}");
        let told = told.iter().any(|text| manual.contains(text)) || manual.contains(&format!("`/{as_told}`"));
        missing.extend((!told).then_some(route));
    }
    assert!(missing.is_empty(), "docs/operations.md has no word of {missing:?}");
    assert!(known > 30, "{known}");
}
