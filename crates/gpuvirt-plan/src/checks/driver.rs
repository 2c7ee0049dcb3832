//! Checks on drivers.

use gpuvirt_model::{ModulePresence, Refusal, RefusalCode};

use super::Switch;

pub(super) fn vfio_missing(switch: &Switch) -> Option<Refusal> {
    let host = &switch.observed.host;
    let missing = matches!(host.vfio_pci, ModulePresence::Missing | ModulePresence::Unknown);
    missing.then(|| {
        let release = host.kernel_release.as_deref().unwrap_or("this kernel");
        switch.refuse(
            RefusalCode::VfioMissing,
            format!("the driver vfio-pci is neither loaded nor installed for {release}"),
            vec!["install the kernel's modules, or build it with CONFIG_VFIO_PCI".to_owned()],
        )
    })
}
