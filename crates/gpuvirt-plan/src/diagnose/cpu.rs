//! The processor: without its virtualization no guest has a GPU.

use gpuvirt_model::health::CpuFeatures;
use gpuvirt_model::{Finding, FindingCode, Severity, Subject};

use super::Case;

pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    [no_virtualization(case), kvm_missing(case)].into_iter().flatten().collect()
}

fn no_virtualization(case: &Case<'_>) -> Option<Finding> {
    let fact = &case.health.cpu.features;
    let features = fact.known().filter(|features| !features.vmx && !features.svm)?;
    let finding = Finding::new(
        FindingCode::NoCpuVirtualization,
        Severity::Error,
        Subject::Host,
        "the processor shows no virtualization: KVM does not work, and without it no VM can have a GPU",
    )
    .seen(fact.shows(format!("neither vmx nor svm among the flags of {}", named(features))));
    Some(if features.hypervisor {
        finding.remedy("this host is a VM: let its own hypervisor nest (cpu host-passthrough, kvm nested=1)")
    } else {
        finding.remedy(
            "turn on VT-x (Intel) or SVM (AMD) in the firmware's setup, and power the host off and on",
        )
    })
}

fn kvm_missing(case: &Case<'_>) -> Option<Finding> {
    let cpu = &case.health.cpu;
    let features = cpu.features.known().filter(|features| features.vmx || features.svm)?;
    if !cpu.kvm.is(&false) {
        return None;
    }
    let module = if features.vmx { "kvm_intel" } else { "kvm_amd" };
    Some(
        Finding::new(
            FindingCode::KvmMissing,
            Severity::Error,
            Subject::Host,
            format!("the processor virtualizes and KVM is not there: its module {module} is not loaded"),
        )
        .seen(cpu.features.shows(if features.vmx { "vmx" } else { "svm" }))
        .seen(cpu.kvm.shows("not there"))
        .remedy(format!("modprobe {module}"))
        .remedy(format!(
            "when that fails: journalctl -k | grep -i {module}; the firmware may keep it locked"
        )),
    )
}

fn named(features: &CpuFeatures) -> &str {
    if features.vendor.is_empty() { "the processor" } else { &features.vendor }
}
