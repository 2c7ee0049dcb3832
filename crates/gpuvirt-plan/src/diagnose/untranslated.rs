//! Functions that no IOMMU translates, on a host whose IOMMU works: the kernel gives them no group, and VFIO does not take them.

use gpuvirt_model::{
    Evidence, Finding, FindingCode, Framework, Function, Gpu, GraphicsType, Severity, Subject,
};

use super::Case;
use super::command_line::{Change, remedies};
use super::iommu::{INNER_GRAPHICS_OFF, asks_for_intel, intel_options};
use crate::checks::is_inner_graphics;

pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    // Where there is no group at all, that is the finding.
    if !case.observed.host.iommu {
        return Vec::new();
    }
    case.gpus().filter_map(|gpu| untranslated(case, gpu)).collect()
}

fn untranslated(case: &Case<'_>, gpu: &Gpu) -> Option<Finding> {
    let vfs = case.observed.functions.values().filter(|function| function.physfn == Some(gpu.address));
    let without: Vec<&Function> = case
        .observed
        .functions_of(gpu)
        .chain(vfs)
        .filter(|function| function.iommu_group.is_none())
        .collect();
    let first = without.first()?;
    let names: Vec<String> = without.iter().map(|function| function.address.to_string()).collect();
    let severity =
        if gives_vfs(case, gpu) { Severity::Error } else { case.for_passthrough(gpu, Severity::Error) };
    let (why, evidence, remedy) = why(case, first);
    let finding = Finding::new(
        FindingCode::NoIommu,
        severity,
        Subject::Gpu(gpu.address),
        format!("no IOMMU translates for {}: it can't be given to a VM. {why}", names.join(", ")),
    )
    .seen_at(format!("/sys/bus/pci/devices/{}/iommu_group", first.address), "not there");
    let finding = evidence.into_iter().fold(finding, Finding::seen);
    Some(remedy.into_iter().fold(finding, Finding::remedy))
}

/// Its virtual functions are for VMs.
fn gives_vfs(case: &Case<'_>, gpu: &Gpu) -> bool {
    let configured = case.desired.gpu(gpu.address);
    let shared = configured
        .is_some_and(|entry| entry.graphics_type.resolve(&case.desired.host) == GraphicsType::SharedDirect);
    shared && gpu.frameworks.contains(&Framework::Sriov)
}

/// Words of `intel_iommu=` that leave graphics out: all of them, and those of the processor (Debian's, under two names).
const ALL_GRAPHICS: &str = "igfx_off";
const INNER_GRAPHICS: [&str; 2] = ["intgpu_off", "igpu_off"];

/// Why, what shows it, and what to do.
fn why(case: &Case<'_>, function: &Function) -> (String, Vec<Evidence>, Vec<String>) {
    let boot = &case.health.boot;
    let inner = is_inner_graphics(function);
    let leaves_out = |option: &str| {
        option == ALL_GRAPHICS && function.identity.class.is_display()
            || inner && INNER_GRAPHICS.contains(&option)
    };
    if let Some(word) = boot.words("intel_iommu=").find(|word| intel_options(word).any(leaves_out)) {
        let others: Vec<&str> =
            intel_options(word).filter(|option| !leaves_out(option) && *option != "on").collect();
        let all: Vec<&str> = std::iter::once("on").chain(others).collect();
        let by = format!("intel_iommu={}", all.join(","));
        let text = format!("The kernel was told {word}: that leaves graphics out.");
        return (text, vec![boot.command_line.shows(word)], remedies(case, Change::Replace(word, &by)));
    }
    let asked = asks_for_intel(boot);
    let by_default = boot.built_with(INNER_GRAPHICS_OFF) == Some(true);
    if inner && by_default && !asked && boot.command_line.known().is_some() {
        let text =
            "This kernel leaves the processor's graphics out, unless it is told intel_iommu=on.".to_owned();
        let evidence = vec![
            boot.config.shows(format!("{INNER_GRAPHICS_OFF}=y")),
            boot.command_line.shows("no intel_iommu=on"),
        ];
        return (text, evidence, remedies(case, Change::Add("intel_iommu=on")));
    }
    let table = &case.health.iommu.table;
    let evidence = table.known().into_iter().flatten().map(|name| table.shows(name)).collect();
    let add = if inner && !asked { remedies(case, Change::Add("intel_iommu=on")) } else { Vec::new() };
    let rest = [
        "look for a newer firmware, and for VT-d or AMD-Vi in its setup",
        "journalctl -k -b | grep -i -e DMAR -e IOMMU -e AMD-Vi",
    ];
    let remedy = add.into_iter().chain(rest.map(str::to_owned)).collect();
    ("The firmware's table may leave it out.".to_owned(), evidence, remedy)
}
