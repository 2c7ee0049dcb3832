//! Golden folders of domain edits, and that what we write is what libvirt's own schema allows.
//!
//! A case is a folder below `tests/golden/domain`: `before.xml`, `device.json` (what to add), and what must come
//! of it: `outcome.txt` and, when the document changes, `after.xml`. A new case is a new folder with the first two.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // a test fails by panicking

mod case;
mod schema;

use case::{Case, blessing};
use gpuvirt_domain::{Added, Removed, add, remove};

#[test]
fn every_case_gives_what_its_folder_says() {
    for case in Case::all() {
        let added = add(&case.before, &case.device);
        case.expect("outcome.txt", Some(&case::outcome(&added)));
        let after = match &added {
            Ok(Added::Changed { xml, .. }) => Some(xml.as_str()),
            _ => None,
        };
        case.expect("after.xml", after);
    }
    assert!(
        !blessing(),
        "the golden files were written anew: read the difference, then run without GPUVIRT_BLESS"
    );
}

#[test]
fn adding_twice_changes_nothing_and_removing_gives_the_first_bytes_back() {
    let mut tried = 0;
    for case in Case::all() {
        let Ok(Added::Changed { xml, .. }) = add(&case.before, &case.device) else { continue };
        tried += 1;
        let again = add(&xml, &case.device);
        assert_eq!(again, Ok(Added::AlreadyPresent { ours: true, managed: false }), "{}", case.name);
        let Ok(Removed::Changed { xml: back, .. }) = remove(&xml, &case.device) else {
            panic!("{}: what was added is not removed", case.name)
        };
        if case.remove_gives_before {
            assert_eq!(back, case.before, "{}", case.name);
        }
        assert_eq!(remove(&back, &case.device), Ok(Removed::NotPresent), "{}", case.name);
    }
    assert!(tried > 10, "only {tried} cases change anything");
}

#[test]
fn fragments_are_parts_of_the_document() {
    for case in Case::all() {
        let Ok(Added::Changed { xml, fragment }) = add(&case.before, &case.device) else { continue };
        // In whatever layout: compare without white space and with one kind of quotes.
        let plain = |text: &str| text.replace(char::is_whitespace, "").replace('"', "'");
        assert!(plain(&xml).contains(&plain(&fragment)), "{}: {fragment}", case.name);
        let Ok(Removed::Changed { fragment: removed, .. }) = remove(&xml, &case.device) else { continue };
        assert!(plain(&removed).contains(&plain(&fragment)) || !case.remove_gives_before, "{}", case.name);
    }
}
