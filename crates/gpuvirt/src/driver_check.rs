//! What is said of a driver package: the documents of `gpuvirt driver`, and how GPUs and VMs become what is judged.

use gpuvirt_api::vm::VmDevice;
use gpuvirt_api::{API_VERSION, GpuDocument, VmDocument};
use gpuvirt_model::{GraphicsType, HostDriverKind, Hostdev, Refusal, RefusalCode, Wanted};
use gpuvirt_plan::checks::shell_word;
use gpuvirt_plan::driver_matrix::{Branch, Judgement, Package, Release, Use, UsedAs, Verdict, judge};
use serde::Serialize;

use crate::failure::Failure;

/// What a package is, and whether it fits.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DriverCheck {
    /// The wire's version.
    pub api_version: &'static str,
    /// Always `DriverCheck`.
    pub kind: &'static str,
    /// What it is.
    pub package: Package,
    /// For whom it was judged, in words; none: it was not.
    pub judged_for: Option<String>,
    /// What it was judged on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub uses: Vec<Use>,
    /// The verdict with its reasons.
    #[serde(flatten)]
    pub judgement: Option<Judgement>,
    /// The same as refusals, where it does not fit.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<Refusal>,
}

/// The tables.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DriverTable {
    /// The wire's version.
    pub api_version: &'static str,
    /// Always `DriverTable`.
    pub kind: &'static str,
    /// Branches, oldest first.
    pub branches: &'static [Branch],
    /// Releases of vGPU software, newest first.
    pub releases: &'static [Release],
}

impl DriverCheck {
    /// Not judged.
    pub fn alone(package: Package) -> Self {
        Self {
            api_version: API_VERSION,
            kind: "DriverCheck",
            package,
            judged_for: None,
            uses: Vec::new(),
            judgement: None,
            refusals: Vec::new(),
        }
    }

    /// Judged for a GPU.
    pub fn for_gpu(package: Package, gpu: &GpuDocument) -> Self {
        let used = used(gpu, of_gpu(gpu), false);
        let judgement = judge(&package, &used);
        Self::judged(package, format!("GPU {}", gpu.address), vec![used], judgement)
    }

    /// Judged for a VM.
    pub fn for_vm(package: Package, vm: &VmDocument, gpus: &[GpuDocument]) -> Self {
        let uses = of_vm(vm, gpus);
        let mut judgements: Vec<Judgement> = uses.iter().map(|used| judge(&package, used)).collect();
        if unplaced(vm, &uses) {
            let text = "its vGPU does not exist yet, and no GPU of this host offers its profile now";
            judgements.push(Judgement::unknown(text));
        }
        let none = || {
            let text =
                format!("VM {} has neither a GPU nor a vGPU, so no driver finds a card in it", vm.name);
            Judgement::does_not(text)
                .try_this(format!("gpuvirt vm add {} --profile PROFILE, or --gpu GPU", shell_word(&vm.name)))
        };
        let judgement = Judgement::all(judgements).unwrap_or_else(none);
        Self::judged(package, format!("VM {}", vm.name), uses, judgement)
    }

    fn judged(package: Package, whom: String, uses: Vec<Use>, judgement: Judgement) -> Self {
        let refused = judgement.verdict == Verdict::DoesNotFit;
        let refusals = refused.then(|| refusal(&package, &whom, &judgement)).into_iter().collect();
        let (judged_for, judgement) = (Some(whom), Some(judgement));
        Self { judged_for, uses, judgement, refusals, ..Self::alone(package) }
    }
}

fn refusal(package: &Package, whom: &str, judgement: &Judgement) -> Refusal {
    let code = RefusalCode::DriverDoesNotFit;
    let mut remedy = judgement.remedy.clone();
    remedy.push(format!("gpuvirt explain {code}"));
    Refusal {
        code,
        summary: format!("{} does not fit {whom}", package.name),
        because: judgement.because.join("; "),
        remedy,
    }
}

fn used(gpu: &GpuDocument, used_as: UsedAs, in_guest: bool) -> Use {
    let primary = gpu.function_details.first();
    Use {
        gpu: gpu.address,
        vendor: primary.map(|function| function.identity.vendor).unwrap_or_default(),
        name: primary.and_then(|function| function.device_name.clone()).unwrap_or_default(),
        used_as,
        host_driver: gpu.host_driver.clone(),
        in_guest,
    }
}

/// What a GPU is for: as it is configured, and unmanaged ones as they are.
fn of_gpu(gpu: &GpuDocument) -> UsedAs {
    match gpu.configured_resolved.unwrap_or(gpu.active) {
        GraphicsType::Direct => UsedAs::Passthrough,
        GraphicsType::SharedDirect => UsedAs::Vgpu,
        GraphicsType::Shared | GraphicsType::Basic if gpu.host_driver.kind == HostDriverKind::VgpuHost => {
            UsedAs::Vgpu
        }
        GraphicsType::Shared | GraphicsType::Basic => UsedAs::Host,
    }
}

/// The GPUs that a VM has whole or by vGPUs, each once, as its next start would have them.
fn of_vm(vm: &VmDocument, gpus: &[GpuDocument]) -> Vec<Use> {
    let mut uses: Vec<Use> = Vec::new();
    let mut add = |gpu: &GpuDocument, used_as: UsedAs| {
        if !uses.iter().any(|known| known.gpu == gpu.address && known.used_as == used_as) {
            uses.push(used(gpu, used_as, true));
        }
    };
    for device in &vm.devices {
        let Some(gpu) = device.gpu.and_then(|at| gpus.iter().find(|gpu| gpu.address == at)) else { continue };
        add(gpu, if is_whole(device, gpu) { UsedAs::Passthrough } else { UsedAs::Vgpu });
    }
    for gpu in gpus.iter().filter(|gpu| offers(gpu, vm)) {
        add(gpu, UsedAs::Vgpu);
    }
    uses
}

fn is_whole(device: &VmDevice, gpu: &GpuDocument) -> bool {
    match &device.hostdev {
        Hostdev::Pci { address, .. } => {
            gpu.function_details.iter().any(|function| function.address == *address)
        }
        Hostdev::Mdev { .. } => false,
    }
}

/// It offers a profile that the VM asks for and has no device of yet.
fn offers(gpu: &GpuDocument, vm: &VmDocument) -> bool {
    let placed =
        |device: &Hostdev| vm.devices.iter().any(|d| d.gpu.is_some() && d.hostdev.same_device(device));
    vm.requests.iter().any(|request| match &request.wanted {
        Wanted::Profile { profile, .. } if !request.assigned.as_ref().is_some_and(placed) => {
            gpu.gpu.profiles.iter().any(|offered| offered.name == *profile)
        }
        _ => false,
    })
}

/// It has or asks for something of which no GPU is known.
fn unplaced(vm: &VmDocument, uses: &[Use]) -> bool {
    uses.is_empty() && (!vm.devices.is_empty() || !vm.requests.is_empty())
}

/// The package of this name.
///
/// # Errors
/// A usage error for a name that is no driver's of NVIDIA's.
pub fn recognised(text: &str) -> Result<Package, Failure> {
    Package::recognise(text).map_err(|error| {
        Failure::usage(error.to_string())
            .try_this("name the file as its vendor does, e.g. NVIDIA-Linux-x86_64-550.163.02-vgpu-kvm.run")
            .try_this("or its version, e.g. 550.163.02; `gpuvirt driver list` has those that are known here")
    })
}
