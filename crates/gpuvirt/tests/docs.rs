//! Tables in documents that are the code's own data: what stands between the markers is what the code prints.

// What is missing here is the test's own mistake.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::io::Write as _;
use std::path::Path;

use gpuvirt_api::API_VERSION;
use gpuvirt_command::driver_check::DriverTable;
use gpuvirt_command::render;
use gpuvirt_plan::driver_matrix::{branch::BRANCHES, release::RELEASES};

/// Compares what stands between `<!-- NAME -->` and `<!-- end NAME -->`, or writes it when blessing.
fn section(document: &str, name: &str, want: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(document);
    let text = fs::read_to_string(&path).unwrap();
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- end {name} -->\n"));
    let (before, rest) = text.split_once(&begin).expect("the marker that begins the section");
    let (found, after) = rest.split_once(&end).expect("the marker that ends the section");
    if std::env::var_os("GPUVIRT_BLESS").is_some() {
        let new = format!("{before}{begin}{want}{end}{after}");
        fs::File::create(&path).unwrap().write_all(new.as_bytes()).unwrap();
        return;
    }
    assert!(
        found == want,
        "{document}: {name} is out of date: GPUVIRT_BLESS=1 cargo test -p gpuvirt --test docs"
    );
}

#[test]
fn the_driver_tables_are_those_of_the_code() {
    let table =
        DriverTable { api_version: API_VERSION, kind: "DriverTable", branches: BRANCHES, releases: RELEASES };
    section("docs/drivers.md", "releases and branches", &render::driver::markdown(&table));
}

#[test]
fn the_comparison_of_the_modes_is_that_of_the_code() {
    section("docs/choosing.md", "comparison", &render::advise::markdown());
}
