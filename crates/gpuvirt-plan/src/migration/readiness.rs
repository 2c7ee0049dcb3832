//! A VM as a whole: all its devices, and the versions that migration takes.

use std::collections::BTreeSet;

use gpuvirt_model::{
    Domain, DomainState, Framework, Gpu, Hostdev, Hypervisor, Observed, PciAddress, PciIdentity, ProfileName,
    ReleaseNumber, VgpuId, Wanted,
};
use serde::{Deserialize, Serialize};

use super::check::{Answer, Check};
use super::device::{of_device, of_profile};

/// VFIO's migration protocol of now came with this kernel.
pub(super) const KERNEL: ReleaseNumber = ReleaseNumber::new(5, 18);
const LIBVIRT: ReleaseNumber = ReleaseNumber::new(8, 6);
const QEMU: ReleaseNumber = ReleaseNumber::new(8, 1);
/// What a link of 10 Gbit/s takes for a MiB, in tenths of a microsecond.
const LINK_PER_MIB: u64 = 8389;

/// What the other host must offer for a vGPU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Need {
    /// The vGPU's profile.
    pub profile: ProfileName,
    /// How it is made.
    pub framework: Framework,
    /// The card.
    pub card: PciIdentity,
    /// The host driver's version, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver_version: Option<String>,
    /// Its frame buffer in MiB, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub framebuffer_mib: Option<u64>,
}

/// Whether a VM can move while it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Migration {
    /// The worst of all checks.
    pub answer: Answer,
    /// All of them.
    pub checks: Vec<Check>,
    /// What the other host must offer.
    pub needs: Vec<Need>,
    /// What to do and to leave, a sentence each.
    pub advice: Vec<String>,
}

impl Migration {
    /// The same with more checks.
    #[must_use]
    pub fn with(mut self, more: Vec<Check>) -> Self {
        self.checks.extend(more);
        self.answer = worst(&self.checks);
        self
    }
}

fn worst(checks: &[Check]) -> Answer {
    let any = |answer| checks.iter().any(|check| check.answer == answer);
    if any(Answer::No) {
        Answer::No
    } else if any(Answer::Unknown) {
        Answer::Unknown
    } else {
        Answer::Yes
    }
}

/// Everything about a VM.
pub fn of_domain(domain: &Domain, observed: &Observed, hypervisor: &Hypervisor) -> Migration {
    let found = devices(domain, observed);
    let Found { mut checks, needs } = found;
    if checks.is_empty() {
        let checks = vec![Check::yes(
            domain.name.clone(),
            "it has no GPU and no vGPU: nothing of gpuvirt's is in its way",
        )];
        return Migration { answer: Answer::Yes, checks, needs, advice: Vec::new() };
    }
    checks.extend(together(&checks, observed));
    if domain.guest.viommu.is_some() {
        checks.push(Check::no("vIOMMU", "the VM has an IOMMU of its own, with which a vGPU does not move"));
    }
    checks.push(kernel(observed.host.kernel_release.as_deref()));
    checks.push(at_least("libvirt", hypervisor.libvirt, LIBVIRT));
    checks.push(at_least("QEMU", hypervisor.qemu, QEMU));
    let answer = worst(&checks);
    let advice = if answer == Answer::No { Vec::new() } else { advice(domain, &needs) };
    Migration { answer, checks, needs, advice }
}

/// The devices alone, in one line: the worst of them. None for a VM without any.
pub fn of_devices(domain: &Domain, observed: &Observed) -> Option<Check> {
    let Found { checks, .. } = devices(domain, observed);
    let answer = worst(&checks);
    let worst = checks.into_iter().find(|check| check.answer == answer)?;
    Some(worst)
}

#[derive(Default)]
struct Found {
    checks: Vec<Check>,
    needs: Vec<Need>,
}

/// The running VM's devices, or those of the next start; a card with all its functions once.
fn devices(domain: &Domain, observed: &Observed) -> Found {
    let list = if domain.state == DomainState::Active { &domain.live } else { &domain.config };
    let mut found = Found::default();
    let mut cards: BTreeSet<PciAddress> = BTreeSet::new();
    for device in list {
        match device {
            Hostdev::Mdev { uuid } => mediated(VgpuId::Mdev(*uuid), domain, observed, &mut found),
            Hostdev::Pci { address, .. } => {
                let Some(gpu) = observed.gpu_of(*address) else { continue };
                let is_vf = observed.functions.get(address).is_some_and(|function| function.physfn.is_some());
                if is_vf {
                    virtual_function(*address, gpu, observed, &mut found);
                } else if cards.insert(gpu.address) {
                    found.checks.push(of_device(VgpuId::Vf(gpu.address), gpu, None, observed));
                }
            }
        }
    }
    found
}

fn mediated(id: VgpuId, domain: &Domain, observed: &Observed, found: &mut Found) {
    if let Some(vgpu) = observed.vgpus.get(&id) {
        let Some(gpu) = observed.gpus.get(&vgpu.gpu) else { return };
        found.checks.push(of_device(id, gpu, Some(vgpu.framework), observed));
        found.needs.extend(need(&vgpu.profile, vgpu.framework, gpu, observed));
        return;
    }
    let asked = domain.requests.of_device(&id.hostdev()).and_then(|request| match &request.wanted {
        Wanted::Profile { profile, .. } => Some(profile),
        _ => None,
    });
    let offers = |gpu: &&Gpu| gpu.profiles.iter().any(|profile| Some(&profile.name) == asked);
    match observed.gpus.values().find(offers) {
        Some(gpu) => {
            let profile = gpu.profiles.iter().find(|profile| Some(&profile.name) == asked);
            found.checks.extend(profile.map(|profile| of_profile(profile, gpu, observed)));
            found.needs.extend(profile.and_then(|p| need(&p.name, p.framework, gpu, observed)));
        }
        None => found.checks.push(Check::unknown(
            id.to_string(),
            "the vGPU does not exist, and no GPU offers its profile now",
        )),
    }
}

fn virtual_function(address: PciAddress, gpu: &Gpu, observed: &Observed, found: &mut Found) {
    let id = VgpuId::Vf(address);
    let live = observed.vgpus.get(&id);
    let offered = gpu.frameworks.iter().find(|framework| **framework != Framework::Mdev).copied();
    let framework = live.map(|vgpu| vgpu.framework).or(offered).unwrap_or(Framework::Sriov);
    found.checks.push(of_device(id, gpu, Some(framework), observed));
    found.needs.extend(live.and_then(|vgpu| need(&vgpu.profile, framework, gpu, observed)));
}

fn need(profile: &ProfileName, framework: Framework, gpu: &Gpu, observed: &Observed) -> Option<Need> {
    let offered = gpu.profiles.iter().find(|offered| offered.name == *profile);
    let named = gpuvirt_model::named_traits(&profile.0).map(|traits| traits.framebuffer_mib);
    Some(Need {
        profile: profile.clone(),
        framework,
        card: observed.primary_of(gpu)?.identity,
        driver_version: gpu.driver.version.clone(),
        framebuffer_mib: offered.and_then(|offered| offered.framebuffer_mib).or(named),
    })
}

/// Several devices are stopped together, which each of them must be able to.
fn together(devices: &[Check], observed: &Observed) -> Option<Check> {
    let several = devices.len() > 1 && devices.iter().all(|check| check.answer != Answer::No);
    let shown = observed.host.vfio_migration.known();
    let features = |check: &Check| {
        let id: VgpuId = check.what.parse().ok()?;
        shown?.get(&id)?.features.as_ref()
    };
    let has_p2p = |features: &Vec<String>| features.iter().any(|feature| feature == "p2p");
    several.then(|| {
        let all: Vec<Option<&Vec<String>>> = devices.iter().map(features).collect();
        let what = "several devices";
        if all.iter().flatten().any(|features| !has_p2p(features)) {
            Check::no(what, "one of them can't be stopped together with others (p2p)")
        } else if all.iter().all(Option::is_some) {
            Check::yes(what, "all of them can be stopped together (p2p)")
        } else {
            Check::unknown(
                what,
                "whether all of them can be stopped together (p2p) the kernel tells from 6.18 on",
            )
        }
    })
}

pub(super) fn kernel(release: Option<&str>) -> Check {
    match release.and_then(|release| release.parse().ok()) {
        Some(found) => at_least("kernel", Some(found), KERNEL),
        None => at_least("kernel", None, KERNEL),
    }
}

fn at_least(what: &str, found: Option<ReleaseNumber>, least: ReleaseNumber) -> Check {
    match found {
        Some(found) if found >= least => Check::yes(what, format!("{found}, and it takes {least} or newer")),
        Some(found) => Check::no(what, format!("{found}, and it takes {least} or newer")),
        None => Check::unknown(what, format!("its version is not known here; it takes {least} or newer")),
    }
}

fn advice(domain: &Domain, needs: &[Need]) -> Vec<String> {
    let name = crate::checks::shell_word(&domain.name);
    let mut lines = vec![
        format!(
            "the VM stands still longer than others do: virsh migrate-setmaxdowntime {name} 500000 while it moves"
        ),
        "no post-copy (virsh migrate --postcopy): VFIO devices can't do it, and no vIOMMU in the VM"
            .to_owned(),
        "the driver on both hosts must be of the same version".to_owned(),
    ];
    let megabytes: u64 = needs.iter().filter_map(|need| need.framebuffer_mib).fold(0, u64::saturating_add);
    if megabytes > 0 {
        let seconds = megabytes.saturating_mul(LINK_PER_MIB).div_ceil(10_000_000);
        lines
            .push(format!("its {megabytes} MiB of frame buffer alone take about {seconds} s over 10 Gbit/s"));
    }
    let by_address = needs.iter().any(|need| need.framework != Framework::Mdev);
    lines.push(if by_address {
        "its definition names a virtual function by address: give virsh migrate --xml with the other host's"
            .to_owned()
    } else {
        "on the other host a vGPU with the same UUID must exist, or its gpuvirtd makes it when libvirt asks"
            .to_owned()
    });
    lines
}
