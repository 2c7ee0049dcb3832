//! What keeps GPUs from working in VMs here, or will: pure, from facts that were read to findings.
//!
//! One file a topic, one function a finding. What is not known makes no finding: it is listed as not checked, with the
//! reason. A healthy host has none, whatever it is not used for.

mod bar;
mod boot;
mod by_id;
mod case;
mod command_line;
mod cpu;
mod display;
mod driver;
mod gpu;
mod group;
mod guest_driver;
mod holder;
mod hook;
mod install;
mod iommu;
mod kept_away;
mod libvirt;
mod memory;
mod memory_together;
mod missing;
mod module;
mod numa;
mod nvswitch;
mod power;
mod reset;
mod sriov;
mod unchecked;
mod unheeded;
mod untranslated;
mod vfio;
mod vfio_kept_away;
mod vm;
mod vm_machine;

use gpuvirt_model::{Finding, PciAddress, Severity, Subject, Unknown};

pub use case::Case;

/// What was found, the worst first, and what could not be looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diagnosis {
    /// The findings.
    pub findings: Vec<Finding>,
    /// What is not known, so that nothing is said of it, and why.
    pub unchecked: Vec<(String, Unknown)>,
}

impl Diagnosis {
    /// The worst that was found.
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }
}

/// Everything there is to find.
pub fn diagnose(case: &Case<'_>) -> Diagnosis {
    let topics: &[fn(&Case<'_>) -> Vec<Finding>] = &[
        cpu::findings,
        iommu::findings,
        vfio::findings,
        vfio_kept_away::findings,
        module::findings,
        install::findings,
        hook::findings,
        libvirt::findings,
        boot::findings,
        memory_together::findings,
        memory::findings,
        gpu::findings,
        driver::findings,
        group::findings,
        untranslated::findings,
        holder::findings,
        reset::findings,
        power::findings,
        display::findings,
        bar::findings,
        numa::findings,
        sriov::findings,
        nvswitch::findings,
        vm::findings,
        vm_machine::findings,
        guest_driver::findings,
    ];
    let mut findings: Vec<Finding> = topics.iter().flat_map(|topic| topic(case)).collect();
    // The worst first; of equals, the host before its GPUs and those before the VMs.
    findings.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.subject.cmp(&b.subject)));
    Diagnosis { findings, unchecked: unchecked::list(case) }
}

/// What concerns one GPU: its own findings, those of VMs that have or name it, and the host's, which every GPU shares.
pub fn about(gpu: PciAddress, case: &Case<'_>) -> Diagnosis {
    let mut all = diagnose(case);
    all.findings.retain(|finding| match &finding.subject {
        Subject::Host => true,
        Subject::Gpu(address) => *address == gpu,
        Subject::Vm(name) => case.uses(name, gpu),
    });
    all
}
