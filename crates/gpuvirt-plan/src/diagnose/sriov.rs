//! Virtual functions and vGPUs: lost at the next boot, or taken by the wrong driver.

use gpuvirt_model::{Finding, FindingCode, Framework, Function, Gpu, Severity, Subject};

use super::Case;

pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    let gpus = case.gpus();
    gpus.flat_map(|gpu| [lost(case, gpu), taken_by_host(case, gpu), nvidia_on_vfio(case, gpu)])
        .flatten()
        .collect()
}

fn vfs<'a>(case: &'a Case<'_>, gpu: &'a Gpu) -> impl Iterator<Item = &'a Function> {
    case.observed.functions.values().filter(|function| function.physfn == Some(gpu.address))
}

/// What the kernel forgets at a reboot, on a GPU that nobody told us about.
fn lost(case: &Case<'_>, gpu: &Gpu) -> Option<Finding> {
    let live = gpu.live_vfs > 0 || gpu.live_vgpus > 0;
    (live && case.desired.gpu(gpu.address).is_none()).then(|| {
        let address = gpu.address;
        let vfs = (gpu.live_vfs > 0).then(|| format!("{} virtual functions", gpu.live_vfs));
        let vgpus = (gpu.live_vgpus > 0).then(|| format!("{} vGPUs", gpu.live_vgpus));
        let what: Vec<&str> = vfs.iter().chain(&vgpus).map(String::as_str).collect();
        let finding = Finding::new(
            FindingCode::LostAtReboot,
            Severity::Note,
            Subject::Gpu(address),
            format!(
                "it has {}, which a reboot takes away: gpuvirt makes them again on managed GPUs alone",
                what.join(" and ")
            ),
        );
        let finding = match gpu.live_vfs {
            0 => finding,
            live => finding.seen_at(format!("/sys/bus/pci/devices/{address}/sriov_numvfs"), live),
        };
        let ids = case.observed.vgpus_of(gpu).map(|vgpu| format!("{} ({})", vgpu.id, vgpu.profile));
        let ids: Vec<String> = ids.collect();
        let finding = if ids.is_empty() { finding } else { finding.seen_at("live vGPUs", ids.join(", ")) };
        finding
            .remedy(format!(
                "gpuvirt gpu set {address} --type shared-direct --dry-run # what gpuvirt would take over"
            ))
            .remedy("nothing, where something else makes them again at boot (mdevctl, a unit of yours)")
    })
}

/// Drivers of processor graphics and of AMD's cards take the virtual functions that are meant for VMs.
fn taken_by_host(case: &Case<'_>, gpu: &Gpu) -> Option<Finding> {
    if !gpu.frameworks.contains(&Framework::Sriov) {
        return None;
    }
    let own = case.observed.primary_of(gpu)?.binding.driver.clone()?;
    let taken: Vec<String> = vfs(case, gpu)
        .filter(|vf| vf.binding.driver.as_ref() == Some(&own))
        .map(|vf| vf.address.to_string())
        .collect();
    (!taken.is_empty()).then(|| {
        Finding::new(
            FindingCode::VfTakenByHost,
            Severity::Warning,
            Subject::Gpu(gpu.address),
            format!(
                "the host's driver {own} has taken {} of its virtual functions: no VM can have those",
                taken.len()
            ),
        )
        .seen_at(format!("/sys/bus/pci/drivers/{own}"), taken.join(" "))
        .remedy(format!(
            "gpuvirt gpu set {} --type shared-direct # makes them without the host's driver",
            gpu.address
        ))
        .remedy(format!(
            "by hand: echo 0 > /sys/bus/pci/devices/{}/sriov_drivers_autoprobe, before they are made",
            gpu.address
        ))
    })
}

const NVIDIA: u16 = 0x10de;

fn nvidia_on_vfio(case: &Case<'_>, gpu: &Gpu) -> Option<Finding> {
    let primary = case.observed.primary_of(gpu)?;
    let of_nvidia = primary.identity.vendor == NVIDIA
        && primary.binding.driver.as_ref().is_some_and(|driver| driver.as_str() == "nvidia");
    let bound: Vec<String> =
        vfs(case, gpu).filter(|vf| vf.on_vfio()).map(|vf| vf.address.to_string()).collect();
    (of_nvidia && !bound.is_empty()).then(|| {
        Finding::new(
            FindingCode::VgpuVfOnVfio,
            Severity::Error,
            Subject::Gpu(gpu.address),
            "virtual functions for vGPUs are on vfio-pci: they have no vGPU type there, and a VM that gets one finds no card",
        )
        .seen_at("/sys/bus/pci/drivers/vfio-pci", bound.join(" "))
        .remedy(format!("gpuvirt gpu set {} --type shared-direct # VMs ask for a profile, and not for a function", gpu.address))
        .remedy("their hostdevs need managed='no': managed='yes' is what binds them to vfio-pci")
    })
}
