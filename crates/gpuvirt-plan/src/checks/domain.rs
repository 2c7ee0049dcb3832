//! Checks on editing a domain.

use gpuvirt_model::{
    Domain, DomainState, GraphicsType, Hostdev, Observed, PciAddress, Refusal, RefusalCode, VgpuId, Warning,
    WarningCode,
};

use super::holder::shell_word;
use super::{list, with_explain};

/// A device that a domain is to get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device {
    /// A whole GPU.
    Gpu(PciAddress),
    /// A vGPU.
    Vgpu(VgpuId),
    /// A vGPU that is made when the domain starts.
    NewVgpu(VgpuId),
}

impl Device {
    /// The same one, made already or not.
    pub fn is(self, other: Self) -> bool {
        let vgpu = |device| match device {
            Self::Vgpu(id) | Self::NewVgpu(id) => Some(id),
            Self::Gpu(_) => None,
        };
        self == other || vgpu(self).is_some_and(|id| vgpu(other) == Some(id))
    }
}

/// Everything that is in the way of giving `device` to `domain`.
pub fn not_addable(domain: &Domain, device: Device, observed: &Observed) -> Vec<Refusal> {
    let refuse = |code, because, remedy| {
        let summary = match device {
            Device::Gpu(address) => format!("VM {} cannot get the GPU {address}", domain.name),
            Device::Vgpu(id) => format!("VM {} cannot get the vGPU {id}", domain.name),
            Device::NewVgpu(_) => format!("VM {} cannot get a vGPU", domain.name),
        };
        Refusal { code, summary, because, remedy: with_explain(code, remedy) }
    };
    let mut found: Vec<Refusal> = running(domain).into_iter().collect();
    if let Some(because) = mixed(domain, device, observed) {
        let remedy = format!("remove the other device first: gpuvirt vm show {}", shell_word(&domain.name));
        found.push(refuse(RefusalCode::MixedModes, because, vec![remedy]));
    }
    match device {
        Device::Gpu(address) => match observed.gpus.get(&address) {
            None => found.push(super::not_found(address, observed)),
            Some(gpu) if gpu.active_type(None) != GraphicsType::Direct => found.push(refuse(
                RefusalCode::NotPassthrough,
                format!("{address} is {}, not direct", gpu.active_type(None)),
                vec![format!("gpuvirt gpu set {address} --type direct")],
            )),
            Some(_) => {}
        },
        Device::Vgpu(id) if !observed.vgpus.contains_key(&id) => found.push(super::vgpu::not_found(id)),
        Device::Vgpu(_) | Device::NewVgpu(_) => {}
    }
    found
}

/// A VM changes its GPUs only when powered off.
pub fn running(domain: &Domain) -> Option<Refusal> {
    let stop = vec![format!("virsh shutdown -- {}", shell_word(&domain.name))];
    (domain.state == DomainState::Active).then(|| Refusal {
        code: RefusalCode::DomainRunning,
        summary: format!("the GPUs of VM {} cannot be changed", domain.name),
        because: "it runs, and a VM changes its GPUs only when powered off".to_owned(),
        remedy: with_explain(RefusalCode::DomainRunning, stop),
    })
}

/// Other domains whose definition names the device: they can't run at the same time.
pub fn also_defined_in(domain: &Domain, device: Device, observed: &Observed) -> Option<Warning> {
    let wanted = |hostdev: &Hostdev| match (hostdev, device) {
        (Hostdev::Pci { address, .. }, Device::Gpu(gpu)) => {
            let is_vf = observed.functions.get(address).is_some_and(|f| f.physfn.is_some());
            *address == gpu || (!is_vf && observed.gpu_of(*address).is_some_and(|of| of.address == gpu))
        }
        (_, Device::Vgpu(vgpu) | Device::NewVgpu(vgpu)) => hostdev.same_device(&vgpu.hostdev()),
        (Hostdev::Mdev { .. }, Device::Gpu(_)) => false,
    };
    let others = observed.domains.known().into_iter().flatten().filter(|other| other.uuid != domain.uuid);
    let names: Vec<&str> =
        others.filter(|other| other.config.iter().any(wanted)).map(|other| other.name.as_str()).collect();
    (!names.is_empty()).then(|| Warning {
        code: WarningCode::AlsoDefinedIn,
        text: format!("{} has the same device: only one of them can run at a time", list(names)),
    })
}

/// Why the domain would have a passthrough GPU and a vGPU together.
fn mixed(domain: &Domain, device: Device, observed: &Observed) -> Option<String> {
    domain.config.iter().find_map(|hostdev| match (hostdev, device) {
        (Hostdev::Mdev { uuid }, Device::Gpu(_)) => Some(format!("it has the vGPU {uuid}")),
        (Hostdev::Pci { address, .. }, kind) => {
            let gpu = observed.gpu_of(*address)?;
            let is_vf = observed.functions.get(address).is_some_and(|f| f.physfn.is_some());
            match (is_vf, kind) {
                (true, Device::Gpu(_)) => {
                    Some(format!("it has the vGPU {address}, a share of {}", gpu.address))
                }
                (false, Device::Vgpu(_) | Device::NewVgpu(_)) => {
                    Some(format!("it has the whole GPU {}", gpu.address))
                }
                (true, Device::Vgpu(_) | Device::NewVgpu(_)) | (false, Device::Gpu(_)) => None,
            }
        }
        (Hostdev::Mdev { .. }, Device::Vgpu(_) | Device::NewVgpu(_)) => None,
    })
}

/// No such domain.
pub fn not_found(name: &str) -> Refusal {
    Refusal {
        code: RefusalCode::DomainNotFound,
        summary: format!("there is no VM {name}"),
        because: "libvirt has no domain of this name".to_owned(),
        remedy: with_explain(RefusalCode::DomainNotFound, vec!["virsh list --all".to_owned()]),
    }
}

/// The domain does not have the device.
pub fn device_not_found(name: &str, device: &dyn std::fmt::Display) -> Refusal {
    Refusal {
        code: RefusalCode::DeviceNotFound,
        summary: format!("{device} cannot be removed from VM {name}"),
        because: "its definition does not have it".to_owned(),
        remedy: with_explain(
            RefusalCode::DeviceNotFound,
            vec![format!("gpuvirt vm show {}", shell_word(name))],
        ),
    }
}
