//! VFIO's drivers and modes.

use gpuvirt_model::{Finding, FindingCode, ModulePresence, Severity, Subject};

use super::Case;

pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    [missing(case), no_iommu_driver(case), noiommu(case)].into_iter().flatten().collect()
}

fn missing(case: &Case<'_>) -> Option<Finding> {
    if case.observed.host.vfio_pci != ModulePresence::Missing {
        return None;
    }
    let release = case.observed.host.kernel_release.as_deref().unwrap_or("RELEASE");
    let finding = Finding::new(
        FindingCode::VfioMissing,
        Severity::Error,
        Subject::Host,
        "the driver vfio-pci is neither loaded nor installed for the running kernel: no card can be given to a VM",
    )
    .seen_at("/sys/bus/pci/drivers/vfio-pci", "not there")
    // What reads that list for another fact says whether it is there.
    .seen_at(
        format!("/lib/modules/{release}/modules.dep"),
        if case.health.modules.display_drivers.known().is_some() { "has no vfio-pci" } else { "not there" },
    );
    Some(match case.health.boot.built_with("CONFIG_VFIO_PCI") {
        Some(false) => finding
            .seen(case.health.boot.config.shows("CONFIG_VFIO_PCI is not set"))
            .remedy("boot a kernel with CONFIG_VFIO_PCI: every distribution's own has it"),
        _ => finding
            .remedy("after a kernel update: reboot into the kernel that is installed now")
            .remedy(format!("else install the modules of {release}")),
    })
}

/// QEMU opens VFIO's container and sets `VFIO_TYPE1v2_IOMMU`, which this module is; a kernel whose iommufd stands in for the
/// container (`CONFIG_IOMMUFD_VFIO_CONTAINER`) needs none.
fn no_iommu_driver(case: &Case<'_>) -> Option<Finding> {
    let fact = &case.health.vfio.iommu_driver;
    let stands_in = case.health.boot.built_with("CONFIG_IOMMUFD_VFIO_CONTAINER") == Some(true);
    if !fact.is(&false) || stands_in || case.observed.host.vfio_pci == ModulePresence::Missing {
        return None;
    }
    let release = case.observed.host.kernel_release.as_deref().unwrap_or("RELEASE");
    Some(
        Finding::new(
            FindingCode::VfioMissing,
            Severity::Error,
            Subject::Host,
            "the module vfio_iommu_type1 is neither loaded, built in nor installed for the running kernel: QEMU can map no VM's \
             memory for a device, and no card or vGPU can be given to a VM",
        )
        .seen_at("/sys/module/vfio_iommu_type1", "not there")
        .seen(fact.shows("has no vfio_iommu_type1, and neither has modules.builtin"))
        .remedy(format!("install the modules of {release}, or boot a kernel with CONFIG_VFIO_IOMMU_TYPE1")),
    )
}

fn noiommu(case: &Case<'_>) -> Option<Finding> {
    let fact = &case.health.vfio.noiommu;
    fact.is(&true).then(|| {
        Finding::new(
            FindingCode::NoIommuMode,
            Severity::Warning,
            Subject::Host,
            "VFIO's mode without IOMMU is on: what it gives away reaches all of the host's memory, and QEMU can't use it",
        )
        .seen(fact.shows("Y"))
        .remedy("drop enable_unsafe_noiommu_mode from /etc/modprobe.d and the kernel's command line, and reboot")
    })
}
