//! Drivers in guests, as they were stated.

use gpuvirt_model::{FindingCode as F, HostDriver, HostDriverKind, Hostdev, Severity as S};

use super::bed::{Bed, Case, at};
use super::vms::{VGPU, with_vgpu};

/// The card makes vGPUs by NVIDIA's manager of vGPU software 17.
fn with_manager(observed: &mut gpuvirt_model::Observed) {
    with_vgpu(observed);
    let gpu = observed.gpus.get_mut(&at("0000:01:00.0")).unwrap();
    let (version, evidence) = (Some("550.163.02".to_owned()), "the card offers vGPU types".to_owned());
    gpu.driver = HostDriver { kind: HostDriverKind::VgpuHost, version, evidence };
}

/// A VM with the vGPU, in whose guest this is.
fn with_driver(bed: Bed, change: fn(&mut gpuvirt_model::Domain, &mut gpuvirt_model::Machine)) -> Bed {
    bed.vm("cad", change).retouched(with_manager)
}

pub fn cases() -> Vec<Case> {
    let case = Case::new;
    vec![
        case("a data center driver with a vGPU", F::DriverDoesNotFit, S::Error, |bed: Bed| {
            with_driver(bed, |domain, machine| {
                domain.config = vec![Hostdev::Mdev { uuid: VGPU }];
                domain.requests.guest_driver = Some("NVIDIA-Linux-x86_64-550.127.05.run".to_owned());
                machine.devices.clear();
            })
        }),
        case("a GRID driver that is newer than the manager", F::DriverDoesNotFit, S::Error, |bed| {
            with_driver(bed, |domain, machine| {
                domain.config = vec![Hostdev::Mdev { uuid: VGPU }];
                domain.requests.guest_driver = Some("NVIDIA-Linux-x86_64-580.65.06-grid.run".to_owned());
                machine.devices.clear();
            })
        }),
        case("a manager in a guest", F::DriverDoesNotFit, S::Error, |bed| {
            bed.vm("cad", |domain, _| {
                domain.requests.guest_driver = Some("NVIDIA-Linux-x86_64-550.163.02-vgpu-kvm.run".to_owned());
            })
        }),
    ]
}

/// What goes together, what can't be told, and what nobody stated: no findings.
pub fn without_fault() -> Vec<(&'static str, Bed)> {
    let bed = || Bed::healthy();
    vec![
        (
            "nothing stated",
            with_driver(bed(), |domain, machine| {
                domain.config = vec![Hostdev::Mdev { uuid: VGPU }];
                machine.devices.clear();
            }),
        ),
        (
            "the manager's own release",
            with_driver(bed(), |domain, machine| {
                domain.config = vec![Hostdev::Mdev { uuid: VGPU }];
                domain.requests.guest_driver = Some("NVIDIA-Linux-x86_64-550.163.01-grid.run".to_owned());
                machine.devices.clear();
            }),
        ),
        (
            "a data center driver with a whole card",
            bed().vm("cad", |domain, _| {
                domain.requests.guest_driver = Some("NVIDIA-Linux-x86_64-550.127.05.run".to_owned());
            }),
        ),
        (
            "a bare version",
            with_driver(bed(), |domain, machine| {
                domain.config = vec![Hostdev::Mdev { uuid: VGPU }];
                domain.requests.guest_driver = Some("550.163.01".to_owned());
                machine.devices.clear();
            }),
        ),
        (
            "what nobody knows",
            with_driver(bed(), |domain, machine| {
                domain.config = vec![Hostdev::Mdev { uuid: VGPU }];
                domain.requests.guest_driver = Some("vmware-svga 1.0".to_owned());
                machine.devices.clear();
            }),
        ),
    ]
}
