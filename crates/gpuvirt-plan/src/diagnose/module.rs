//! What modules are told: cards that are taken by what they are, and not by where they sit.

use gpuvirt_model::{Evidence, Finding, FindingCode, Gpu, Severity, Subject};

use super::Case;
use super::command_line::{Change, remedies};
use crate::initramfs::MADE_ANEW;

pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    let places = places(case);
    places.iter().filter_map(|place| taken_by_id(case, place)).collect()
}

/// A place that names cards by their ids.
struct Place {
    evidence: Evidence,
    ids: Vec<(u16, u16)>,
    /// It is the kernel's command line.
    is_word: bool,
}

/// `vfio-pci.ids=` on the command line, `options vfio-pci ids=` in a file.
fn places(case: &Case<'_>) -> Vec<Place> {
    let boot = &case.health.boot;
    let words = boot.words("vfio-pci.ids=").chain(boot.words("vfio_pci.ids="));
    let word = |word| Place { evidence: boot.command_line.shows(word), ids: ids(word), is_word: true };
    let words = words.map(word);
    let options = case.health.modules.options.known().into_iter().flatten();
    let options = options
        .filter(|option| {
            option.line.starts_with("options vfio-pci ") || option.line.starts_with("options vfio_pci ")
        })
        .map(|option| Place {
            evidence: Evidence { source: option.file.clone(), value: option.line.clone() },
            ids: option
                .line
                .split_whitespace()
                .find(|word| word.starts_with("ids="))
                .map(ids)
                .unwrap_or_default(),
            is_word: false,
        });
    let others = case.health.modules.taken_by_id.iter().map(|line| Place {
        evidence: Evidence { source: line.file.clone(), value: line.line.clone() },
        ids: line.ids.clone(),
        is_word: false,
    });
    words.chain(options).chain(others).filter(|place| !place.ids.is_empty()).collect()
}

/// The vendors and devices of `ids=VVVV:DDDD[:...],...`.
fn ids(word: &str) -> Vec<(u16, u16)> {
    let list = word.split_once("ids=").map(|(_, list)| list).unwrap_or_default();
    let hex = |text: &str| u16::from_str_radix(text, 16).ok();
    let id = |entry: &str| {
        let mut parts = entry.split(':');
        Some((hex(parts.next()?)?, hex(parts.next()?)?))
    };
    list.split(',').filter_map(id).collect()
}

fn taken_by_id(case: &Case<'_>, place: &Place) -> Option<Finding> {
    let is_taken = |gpu: &&Gpu| {
        let identity = case.observed.primary_of(gpu).map(|function| function.identity);
        identity.is_some_and(|identity| place.ids.contains(&(identity.vendor, identity.device)))
    };
    let taken: Vec<&Gpu> = case.gpus().filter(is_taken).collect();
    let first = taken.first()?;
    let names: Vec<String> = taken.iter().map(|gpu| gpu.address.to_string()).collect();
    let (severity, cause) = if taken.len() > 1 {
        let cause = format!(
            "vfio-pci takes cards by what they are: {} are alike, and it takes all of them, those for the host too",
            names.join(", ")
        );
        (Severity::Warning, cause)
    } else {
        let cause =
            format!("vfio-pci takes {} by what it is: another of its kind would be taken too", first.address);
        (Severity::Note, cause)
    };
    let finding =
        Finding::new(FindingCode::TakenById, severity, Subject::Host, cause).seen(place.evidence.clone());
    let finding =
        finding.remedy(format!("gpuvirt gpu set {} --type direct # takes it by its address", first.address));
    if place.is_word {
        let dropped = remedies(case, Change::Drop(&place.evidence.value));
        return Some(dropped.into_iter().fold(finding, Finding::remedy));
    }
    Some(finding.remedy(format!(
        "then drop the ids from {}, make the initramfs anew ({MADE_ANEW}), and reboot",
        place.evidence.source
    )))
}
