//! What of a domain is not as it was asked for, and what of a running one breaks the rules.
//!
//! A device that is attached to a running VM passes no hook of libvirt's, so what is wrong with it is found here, shown,
//! and left alone. At the VM's next start [`crate::checks::start`] refuses the same.

use gpuvirt_model::{
    ConfiguredType, Desired, Domain, DomainState, GraphicsType, Hostdev, Observed, VgpuId, Warning,
    WarningCode, When,
};

use crate::checks::domain::Device;
use crate::checks::guest;
use crate::checks::several::{MOST_DEVICES, devices_among, devices_of};
use crate::checks::shell_word;
use crate::checks::start::{mixed_modes, vf_for_libvirt_to_bind};

/// Everything about a domain that an admin should look at: drift between requests and devices, and devices that a
/// running VM should not have. Nothing of it is corrected by itself.
pub fn warnings(domain: &Domain, observed: &Observed, desired: &Desired) -> Vec<Warning> {
    let mut found = Vec::new();
    let (name, requests) = (shell_word(&domain.name), &domain.requests);
    if requests.of_another(domain.uuid) {
        let text = format!(
            "the requests of {} are those of the domain that it was cloned from: remove the copied devices (`gpuvirt \
             vm remove {name} DEVICE`) and add its own",
            domain.name
        );
        found.push(Warning { code: WarningCode::CopiedRequest, text });
    }
    for request in requests.list.iter().filter(|request| request.assigned.is_none()) {
        let text = format!(
            "request-{id} for {wanted} has no device: `gpuvirt vm remove {name} request-{id}` forgets it, `gpuvirt vm \
             add {name}` with the same gives it one again",
            id = request.id,
            wanted = request.wanted
        );
        found.push(Warning { code: WarningCode::RequestWithoutDevice, text });
    }
    if requests.unreadable > 0 {
        let text = format!(
            "{} requests in the metadata of {} make no sense: virsh edit {name} shows them",
            requests.unreadable, domain.name
        );
        found.push(Warning { code: WarningCode::RequestWithoutDevice, text });
    }
    found.extend(without_request(domain, observed, desired));
    let devices = devices_of(domain, observed);
    let judged = guest::Judged { vm: &domain.name, guest: &domain.guest, devices: &devices, memory: None };
    found.extend(guest::warnings(&judged));
    found.extend(violations(domain, observed, desired));
    found
}

/// Devices of GPUs in the definition that no request is for. Of a domain that has no request at all only those of
/// managed GPUs: the rest was never our business.
fn without_request(domain: &Domain, observed: &Observed, desired: &Desired) -> Vec<Warning> {
    let ours = |device: &&Hostdev| match domain.requests.list.is_empty() {
        true => is_managed(device, observed, desired),
        false => gpu_of(device, observed).is_some(),
    };
    let by_hand = domain.config.iter().filter(|device| domain.requests.of_device(device).is_none());
    let by_hand = by_hand.filter(ours).map(|device| Warning {
        code: WarningCode::DeviceWithoutRequest,
        text: format!(
            "{} has no request: somebody else added it; `gpuvirt vm adopt {}` notes one",
            named(device),
            shell_word(&domain.name)
        ),
    });
    by_hand.collect()
}

/// What a running VM has that would have been refused at its start, and what it got beside its definition.
pub fn violations(domain: &Domain, observed: &Observed, desired: &Desired) -> Vec<Warning> {
    if domain.state != DomainState::Active {
        return Vec::new();
    }
    let mut found: Vec<String> = mixed_modes(domain, &domain.live, observed).into_iter().collect();
    let devices = devices_among(&domain.live, observed);
    if devices.len() > MOST_DEVICES {
        found.push(format!("it has {} GPUs and vGPUs, and {MOST_DEVICES} are the most", devices.len()));
    }
    let judged = guest::Judged { vm: &domain.name, guest: &domain.guest, devices: &devices, memory: None };
    found.extend(guest::viommu_with_vgpu(&judged).map(|(_, because, _)| because));
    for device in &devices {
        found.extend(not_for_this(*device, observed, desired));
        found.extend(with_another_vm(domain, *device, observed));
    }
    let is_vf = |device: &&Hostdev| match device {
        Hostdev::Pci { address, .. } => observed.functions.get(address).is_some_and(|f| f.physfn.is_some()),
        Hostdev::Mdev { .. } => false,
    };
    let managed = domain.live.iter().filter(is_vf).filter(|device| is_managed(device, observed, desired));
    found.extend(managed.filter_map(vf_for_libvirt_to_bind));
    let breaks = |because: String| format!("VM {} breaks a rule while it runs: {because}", domain.name);
    let mut said: Vec<String> = found.into_iter().map(breaks).collect();
    for device in domain.live.iter().filter(|device| is_managed(device, observed, desired)) {
        if !domain.has_configured(device) {
            said.push(format!(
                "VM {} runs with {}, which its definition does not name: it was attached while the VM ran, or taken out \
                 of the definition since",
                domain.name,
                named(device)
            ));
        }
    }
    said.into_iter().map(|text| Warning { code: WarningCode::LiveViolation, text }).collect()
}

/// A device of a managed GPU that is configured for something else.
fn not_for_this(device: Device, observed: &Observed, desired: &Desired) -> Option<String> {
    let (wanted, address, what) = match device {
        Device::Gpu(gpu) => (GraphicsType::Direct, gpu, format!("the whole GPU {gpu}")),
        Device::Vgpu(id) | Device::NewVgpu(id) => {
            let parent = id.vf().or_else(|| observed.vgpus.get(&id).map(|vgpu| vgpu.parent))?;
            (GraphicsType::SharedDirect, observed.gpu_of(parent)?.address, format!("the vGPU {id}"))
        }
    };
    let entry = desired.gpu(address)?;
    // A change for later, or of the host's default, waits for the VM: it was within the rules when it started.
    let waits = entry.when != When::Now || entry.graphics_type == ConfiguredType::Default;
    let configured = entry.graphics_type.resolve(&desired.host);
    (configured != wanted && !waits)
        .then(|| format!("it has {what} of a GPU that is configured as {configured}"))
}

/// Another running VM that has the same GPU, or the same vGPU.
fn with_another_vm(domain: &Domain, device: Device, observed: &Observed) -> Option<String> {
    let others = observed.domains.known().into_iter().flatten().filter(|other| other.uuid != domain.uuid);
    let other = others
        .filter(|other| other.state == DomainState::Active)
        .find(|other| devices_among(&other.live, observed).contains(&device))?;
    let what = match device {
        Device::Gpu(gpu) => format!("the GPU {gpu}"),
        Device::Vgpu(id) | Device::NewVgpu(id) => format!("the vGPU {id}"),
    };
    Some(format!("it has {what}, and so has the running VM {}", other.name))
}

fn gpu_of<'a>(device: &Hostdev, observed: &'a Observed) -> Option<&'a gpuvirt_model::Gpu> {
    match device {
        Hostdev::Pci { address, .. } => observed.gpu_of(*address),
        Hostdev::Mdev { uuid } => observed.gpus.get(&observed.vgpus.get(&VgpuId::Mdev(*uuid))?.gpu),
    }
}

fn is_managed(device: &Hostdev, observed: &Observed, desired: &Desired) -> bool {
    gpu_of(device, observed).is_some_and(|gpu| desired.gpu(gpu.address).is_some())
}

fn named(device: &Hostdev) -> String {
    match device {
        Hostdev::Pci { address, .. } => address.to_string(),
        Hostdev::Mdev { uuid } => format!("mdev {uuid}"),
    }
}
