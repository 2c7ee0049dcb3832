//! Checks on drivers.

use gpuvirt_model::{
    Desired, Gpu, GraphicsType, HostDriverKind, ModulePresence, Observed, Refusal, RefusalCode, Warning,
    WarningCode,
};

use super::Switch;

/// NVIDIA and AMD.
const NVIDIA: u16 = 0x10de;
const AMD: u16 = 0x1002;

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

/// A driver that makes no vGPUs has the card, and the vendor has another that does: cause, and what to do.
pub(crate) fn wrong(gpu: &Gpu, observed: &Observed) -> Option<(String, Vec<String>)> {
    let primary = observed.primary_of(gpu)?;
    let driver = primary.binding.driver.as_ref().filter(|_| gpu.host_driver && gpu.frameworks.is_empty())?;
    let kind = gpu.driver.kind;
    let known = matches!(kind, HostDriverKind::Plain | HostDriverKind::OpenModule | HostDriverKind::Other);
    let version = gpu.driver.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
    let what = match kind {
        HostDriverKind::OpenModule => "its open kernel module, which makes none",
        HostDriverKind::Plain => "the plain driver, which makes none",
        _ => "no driver for vGPUs",
    };
    let nouveau = driver.as_str() == "nouveau";
    let (needed, steps) = match primary.identity.vendor {
        NVIDIA if known && nouveau => (
            "NVIDIA's vGPU host driver",
            vec![
                "keep nouveau from the card: echo 'blacklist nouveau' > /etc/modprobe.d/nouveau.conf, and make the \
                 initramfs anew"
                    .to_owned(),
                "install NVIDIA's package, which ends on -vgpu-kvm, and reboot".to_owned(),
            ],
        ),
        NVIDIA if known => (
            "NVIDIA's vGPU host driver",
            vec![
                "install its package, which ends on -vgpu-kvm, in the place of this driver, and reboot"
                    .to_owned(),
                "where it is installed, load its module: modprobe nvidia_vgpu_vfio".to_owned(),
            ],
        ),
        AMD if known && primary.sriov.as_ref().is_some_and(|sriov| sriov.total > 0) => (
            "AMD's driver gim",
            vec!["install gim (AMD's SR-IOV host driver), keep amdgpu from the card, and reboot".to_owned()],
        ),
        _ => return None,
    };
    let because = format!("{driver}{version} has it: {what} ({}); vGPUs need {needed}", gpu.driver.evidence);
    Some((because, steps))
}

pub(super) fn wrong_host_driver(switch: &Switch) -> Option<Refusal> {
    let asked = switch.to == GraphicsType::SharedDirect;
    let (because, steps) = wrong(switch.gpu, switch.observed).filter(|_| asked)?;
    Some(switch.refuse(RefusalCode::WrongHostDriver, because, steps))
}

/// NVIDIA's driver, of which it does not show whether it makes vGPUs.
pub(super) fn unsure(switch: &Switch) -> Option<Warning> {
    let asked = switch.to == GraphicsType::SharedDirect && switch.gpu.host_driver;
    let nvidia = switch.observed.primary_of(switch.gpu)?.identity.vendor == NVIDIA;
    let unknown = switch.gpu.driver.kind == HostDriverKind::Unknown && switch.gpu.frameworks.is_empty();
    (asked && nvidia && unknown).then(|| Warning {
        code: WarningCode::HostDriverUnsure,
        text: format!(
            "it can't be told whether the driver of {} makes vGPUs: {}",
            switch.gpu.address, switch.gpu.driver.evidence
        ),
    })
}

/// The host's driver is not of the kind that the configured type needs.
pub fn host_driver_mismatch(gpu: &Gpu, observed: &Observed, desired: &Desired) -> Option<Warning> {
    let entry = desired.gpu(gpu.address)?;
    let why = match entry.graphics_type.resolve(&desired.host) {
        GraphicsType::SharedDirect => wrong(gpu, observed)?.0,
        GraphicsType::Shared if gpu.host_driver && is_manager(gpu, observed) => {
            "its driver is NVIDIA's vGPU manager, which gives the host's own programs neither CUDA nor graphics".to_owned()
        }
        GraphicsType::Shared | GraphicsType::Basic | GraphicsType::Direct => return None,
    };
    let text = format!("{} is configured as {}: {why}", gpu.address, entry.graphics_type);
    Some(Warning { code: WarningCode::HostDriverMismatch, text })
}

fn is_manager(gpu: &Gpu, observed: &Observed) -> bool {
    let nvidia = observed.primary_of(gpu).is_some_and(|primary| primary.identity.vendor == NVIDIA);
    nvidia && gpu.driver.kind == HostDriverKind::VgpuHost
}
