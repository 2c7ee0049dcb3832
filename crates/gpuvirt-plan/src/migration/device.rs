//! Whether one device's state can be saved and restored: by the kernel's word, else by what is known of its driver.

use gpuvirt_model::{DriverName, Framework, Gpu, HostDriverKind, Observed, PciAddress, Profile, VgpuId};

use super::check::Check;
use crate::driver_matrix::{Branch, DriverVersion};

/// The first branch of NVIDIA's for whose vGPUs live migration on KVM hosts is documented as far as was read for this:
/// NVIDIA AI Enterprise 7, which is vGPU software 19.
const NVIDIA_FROM: u16 = 580;

/// A device that a VM has: a vGPU, or a function that is passed through.
pub fn of_device(id: VgpuId, gpu: &Gpu, framework: Option<Framework>, observed: &Observed) -> Check {
    let what = id.to_string();
    if let Some(shown) = observed.host.vfio_migration.known().and_then(|devices| devices.get(&id)) {
        let features =
            shown.features.as_ref().map(|features| format!(" ({})", features.join(", "))).unwrap_or_default();
        return match shown.supported {
            true => Check::yes(
                what,
                format!("the kernel shows that its driver saves and restores its state{features}"),
            ),
            false => Check::no(what, "the kernel shows that its driver does not save its state"),
        };
    }
    match (framework, id) {
        (Some(framework), VgpuId::Vf(vf)) => {
            Check { what, ..of_framework(framework, gpu, Some(vf), observed) }
        }
        (Some(framework), VgpuId::Mdev(_)) => Check { what, ..of_framework(framework, gpu, None, observed) },
        (None, _) => passed_through(what, gpu, observed),
    }
}

/// A vGPU of a profile that may not exist yet.
pub fn of_profile(profile: &Profile, gpu: &Gpu, observed: &Observed) -> Check {
    let mut same = observed.vgpus_of(gpu).filter(|vgpu| vgpu.framework == profile.framework);
    let shown = observed.host.vfio_migration.known();
    let known = same.find(|vgpu| shown.is_some_and(|devices| devices.contains_key(&vgpu.id)));
    let mut check = match known {
        // What the kernel shows of one vGPU holds for the others of the same driver.
        Some(vgpu) => of_device(vgpu.id, gpu, Some(vgpu.framework), observed),
        None => of_framework(profile.framework, gpu, None, observed),
    };
    check.what = profile.name.to_string();
    check
}

fn passed_through(what: String, gpu: &Gpu, observed: &Observed) -> Check {
    let driver = driver_of(gpu.address, observed);
    match driver.filter(|driver| driver.is_vfio() && driver.as_str() != "vfio-pci") {
        Some(variant) => Check::unknown(
            what,
            format!("it is passed through with {variant}, of which the kernel tells nothing here"),
        ),
        None => Check::no(what, "it is passed through whole: nothing saves the state of a whole card"),
    }
}

fn of_framework(framework: Framework, gpu: &Gpu, vf: Option<PciAddress>, observed: &Observed) -> Check {
    let what = String::new();
    let driver = driver_of(gpu.address, observed).map(ToString::to_string).unwrap_or_default();
    match (framework, driver.as_str()) {
        (Framework::Sriov, _) => virtual_function(what, vf, observed),
        (Framework::Mdev, "i915") => {
            Check::no(what, "GVT-g does not save a vGPU's state in a way that VFIO knows")
        }
        (Framework::Mdev | Framework::NvidiaVfio, "nvidia") => nvidia(what, gpu),
        _ => Check::unknown(
            what,
            format!(
                "nothing is known of the migration of {driver}'s vGPUs, and the kernel tells nothing here"
            ),
        ),
    }
}

fn virtual_function(what: String, vf: Option<PciAddress>, observed: &Observed) -> Check {
    match vf.and_then(|vf| driver_of(vf, observed)).map(DriverName::as_str) {
        Some("vfio-pci") => {
            Check::no(what, "vfio-pci saves no state; it takes a VFIO driver of the vendor's (a variant)")
        }
        Some(driver) => {
            Check::unknown(what, format!("it is bound to {driver}, of which the kernel tells nothing here"))
        }
        None => Check::unknown(
            what,
            "it depends on the virtual function's VFIO driver: vfio-pci saves no state, a vendor's may",
        ),
    }
}

fn nvidia(what: String, gpu: &Gpu) -> Check {
    let manager = gpu.driver.version.as_deref().filter(|_| gpu.driver.kind == HostDriverKind::VgpuHost);
    let branch = manager.and_then(DriverVersion::parse).and_then(|version| Branch::of(&version, false));
    match (branch, manager) {
        (Some(branch), Some(version)) if branch.number >= NVIDIA_FROM => Check::unknown(
            what,
            format!(
                "NVIDIA documents it for this branch ({version}) on RHEL 9.4 and later and Ubuntu 24.04 hosts; the kernel tells \
                 nothing here"
            ),
        ),
        (_, Some(version)) => Check::unknown(
            what,
            format!(
                "it is not known whether the manager {version} migrates on KVM: see the release notes; the kernel tells nothing here"
            ),
        ),
        (_, None) => Check::unknown(what, "the version of NVIDIA's vGPU manager is not known"),
    }
}

fn driver_of(address: PciAddress, observed: &Observed) -> Option<&DriverName> {
    observed.functions.get(&address)?.binding.driver.as_ref()
}
