//! VFIO's modules, where something keeps them from being loaded.

use gpuvirt_model::{Finding, FindingCode, Hostdev, ModulePresence, Severity, Subject};

use super::Case;
use super::kept_away::{How, Keeper, keeper};

/// The driver and what it is built on; modprobe loads them together.
const DRIVER: [&str; 3] = ["vfio_pci", "vfio_pci_core", "vfio"];
const IOMMU_DRIVER: &str = "vfio_iommu_type1";

pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    from_everybody(case).or_else(|| from_libvirt(case)).into_iter().collect()
}

/// The modules that are installed and sleep, so that something can be in their way.
fn asleep(case: &Case<'_>) -> Vec<&'static str> {
    let driver: &[&str] = if case.observed.host.vfio_pci == ModulePresence::Loadable { &DRIVER } else { &[] };
    let fact = &case.health.vfio.iommu_driver;
    // Known from the list of modules, and not by its folder.
    let iommu = fact.is(&true) && !fact.source.starts_with("/sys/module");
    driver.iter().copied().chain(iommu.then_some(IOMMU_DRIVER)).collect()
}

/// gpuvirt and the kernel load them by their names: that, a list of modprobe's leaves alone.
fn from_everybody(case: &Case<'_>) -> Option<Finding> {
    let kept = |module: &'static str| {
        let keeper = keeper(case, module).filter(|keeper| keeper.how != How::Devices)?;
        Some((module, keeper))
    };
    let (module, keeper) = asleep(case).into_iter().find_map(kept)?;
    let who = if keeper.how == How::Kernel {
        "the kernel was told to refuse"
    } else {
        "modprobe was told not to load"
    };
    let cause = format!("{who} the module {module}: no card can be given to a VM");
    Some(finding(case, Severity::Error, cause, (module, keeper)))
}

/// libvirt asks as udev does (`modprobe -b`), for hostdevs whose drivers it changes itself.
fn from_libvirt(case: &Case<'_>) -> Option<Finding> {
    let module = asleep(case).into_iter().find(|module| *module == "vfio_pci")?;
    let keeper = keeper(case, module)?;
    let managed = |device: &Hostdev| matches!(device, Hostdev::Pci { managed: true, .. });
    let vm = case.domains().find(|domain| domain.config.iter().any(managed))?;
    let cause = format!(
        "libvirt may not load vfio-pci, and VM {} has a card with managed='yes', which libvirt itself binds to it: it does not start \
         (administratively prohibited)",
        vm.name
    );
    Some(finding(case, Severity::Warning, cause, (module, keeper)))
}

fn finding(
    case: &Case<'_>,
    severity: Severity,
    cause: String,
    (module, keeper): (&str, Keeper<'_>),
) -> Finding {
    let finding = Finding::new(FindingCode::VfioKeptAway, severity, Subject::Host, cause)
        .seen(keeper.evidence(case))
        .seen_at(format!("/sys/module/{module}"), "not there");
    keeper.remedies(case, module).into_iter().fold(finding, Finding::remedy)
}
