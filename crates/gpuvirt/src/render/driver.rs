//! Driver packages, and the tables of which go together.

use gpuvirt_plan::driver_matrix::judge::{brand_text, guests_branches_text, managers_text};
use gpuvirt_plan::driver_matrix::{Branch, Brand, Guest, Package, PackageKind, Verdict};

use super::page::Page;
use super::table::Table;
use crate::driver_check::{DriverCheck, DriverTable};

/// What a package is, and whether it fits.
pub fn check(check: &DriverCheck) -> String {
    let mut page = Page::new();
    let package = &check.package;
    page.line(&package.name);
    page.list("is", package.kinds.iter().map(|kind| kind_text(package, *kind)));
    page.field_if("version", package.version.as_ref().map(|version| versioned(package, version.as_str())));
    page.field_if("branch", package.branch.map(branch));
    if let Some(branch) = package.branch {
        works_with(&mut page, package, branch);
    }
    // A refusal says the same on stderr.
    let judged = check.judgement.as_ref().filter(|_| check.refusals.is_empty());
    if let (Some(judgement), Some(whom)) = (judged, &check.judged_for) {
        page.heading(format_args!("{}: {whom}", verdict(judgement.verdict)));
        judgement.because.iter().for_each(|text| page.line(format_args!("  because  {text}")));
        judgement.remedy.iter().for_each(|text| page.line(format_args!("  try      {text}")));
    }
    page.into_text()
}

fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Fits => "fits",
        Verdict::DoesNotFit => "does not fit",
        Verdict::Unknown => "can't tell",
    }
}

fn kind_text(package: &Package, kind: PackageKind) -> String {
    let what = match (package.brand, kind) {
        (Brand::Nvidia, kind) => kind.text().to_owned(),
        (brand, PackageKind::Plain) => format!("{}'s driver", brand_text(brand)),
        (brand, kind) => format!("{}: {}", brand_text(brand), kind.text()),
    };
    let guests = matches!(kind, PackageKind::GuestDriver | PackageKind::Plain);
    match package.guest.filter(|_| guests) {
        Some(Guest::Linux) => format!("{what}, Linux"),
        Some(Guest::Windows) => format!("{what}, Windows"),
        None => what,
    }
}

fn versioned(package: &Package, version: &str) -> String {
    let software = matches!(package.kinds.as_slice(), [PackageKind::Plain | PackageKind::OtherHypervisor]);
    match package.releases.as_slice() {
        [] if software => version.to_owned(),
        [] => format!("{version}, in no release that is known here: judged by its branch"),
        releases => format!("{version}, vGPU software {}", releases.join(", ")),
    }
}

fn branch(branch: &Branch) -> String {
    let vgpu = branch
        .vgpu
        .map_or_else(|| ", no vGPU software".to_owned(), |release| format!(", vGPU software {release}"));
    let until = branch.until.map(|until| format!(", supported until {until}")).unwrap_or_default();
    format!("R{} ({}{vgpu}{until})", branch.number, branch.kind_text())
}

fn works_with(page: &mut Page, package: &Package, branch: &Branch) {
    for kind in &package.kinds {
        match kind {
            PackageKind::VgpuManager | PackageKind::AieManager | PackageKind::Bundle => {
                page.field("takes guests", guests_branches_text(branch));
            }
            PackageKind::GuestDriver => page.field("needs manager", managers_text(branch)),
            PackageKind::Plain | PackageKind::OtherHypervisor => {}
            PackageKind::SriovHost | PackageKind::SriovBoth => {}
        }
    }
}

/// The releases, newest first, and what goes with what.
pub fn table(table: &DriverTable) -> String {
    let mut page = Page::new();
    let mut releases = Table::new(["RELEASE", "MANAGER", "LINUX GUEST", "WINDOWS GUEST"]);
    for release in table.releases {
        let guest = |version: Option<&str>| version.unwrap_or("?").to_owned();
        let row = [release.name(), release.manager.to_owned(), guest(release.linux), guest(release.windows)];
        releases.row(row);
    }
    page.table(0, &releases);
    page.line("");
    page.table(0, &branches(table));
    page.into_text()
}

fn branches(table: &DriverTable) -> Table<5> {
    let mut rows =
        Table::new(["BRANCH", "KIND", "VGPU SOFTWARE", "ITS MANAGER TAKES GUESTS OF", "SUPPORTED UNTIL"]);
    for branch in table.branches.iter().rev() {
        let takes = branch.vgpu.map(|_| guests_branches_text(branch)).unwrap_or_default();
        rows.row([
            format!("R{}", branch.number),
            branch.kind_text().to_owned(),
            branch.vgpu.map(|release| release.to_string()).unwrap_or_default(),
            takes.trim_start_matches("vGPU software ").to_owned(),
            branch.until.unwrap_or_default().to_owned(),
        ]);
    }
    rows
}

/// The tables of docs/drivers.md.
pub fn markdown(table: &DriverTable) -> String {
    let mut page = Page::new();
    page.line("| release | manager (host) | Linux guest | Windows guest |");
    page.line("|---|---|---|---|");
    for release in table.releases {
        let guest = |version: Option<&'static str>| version.unwrap_or("not known here");
        let (linux, windows) = (guest(release.linux), guest(release.windows));
        page.line(format_args!("| {} | {} | {linux} | {windows} |", release.name(), release.manager));
    }
    page.line("");
    page.line("| branch | kind | vGPU software | its manager takes guests of | supported until |");
    page.line("|---|---|---|---|---|");
    for branch in table.branches.iter().rev() {
        let takes = branch.vgpu.map(|_| guests_branches_text(branch)).unwrap_or_default();
        let takes = takes.trim_start_matches("vGPU software ").to_owned();
        let release = branch.vgpu.map(|release| release.to_string()).unwrap_or_else(|| "none".to_owned());
        let until = branch.until.unwrap_or("not published");
        page.line(format_args!(
            "| R{} | {} | {release} | {takes} | {until} |",
            branch.number,
            branch.kind_text()
        ));
    }
    page.into_text()
}
