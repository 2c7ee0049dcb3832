//! The driver in a VM's guest against the host's: as an admin stated it, since nobody sees into the guest.

use gpuvirt_model::{Domain, Finding, FindingCode, Hostdev, Severity, Subject, VgpuId, Wanted};

use super::Case;
use crate::checks::shell_word;
use crate::driver_matrix::{Judgement, Package, Use, UsedAs, Verdict, judge};

pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    case.domains().filter_map(|domain| mismatch(case, domain)).collect()
}

/// What is stated does not go with what the VM has or asks for, and with the host's driver of that. What can't be told is no
/// finding.
fn mismatch(case: &Case<'_>, domain: &Domain) -> Option<Finding> {
    let stated = domain.requests.guest_driver.as_deref()?;
    let package = Package::recognise(stated).ok()?;
    let uses = uses(case, domain);
    let judged: Vec<(&Use, Judgement)> = uses.iter().map(|used| (used, judge(&package, used))).collect();
    let (used, judgement) = judged.into_iter().find(|(_, judged)| judged.verdict == Verdict::DoesNotFit)?;
    let what = match used.used_as {
        UsedAs::Passthrough => "the whole card",
        UsedAs::Vgpu | UsedAs::Host => "a vGPU",
    };
    let cause =
        format!("the driver in its guest finds no card, or refuses it: {}", judgement.because.join("; "));
    let finding =
        Finding::new(FindingCode::DriverDoesNotFit, Severity::Error, Subject::Vm(domain.name.clone()), cause)
            .seen_at(format!("guest-driver in the metadata of {}", domain.name), stated)
            .seen_at(format!("definition of {}", domain.name), format!("{what} of {}", used.gpu));
    let version = used.host_driver.version.as_deref().unwrap_or("version unknown");
    let finding = finding.seen_at("the host's driver", format!("{version}: {}", used.host_driver.evidence));
    let finding = judgement.remedy.into_iter().fold(finding, Finding::remedy);
    let name = shell_word(&domain.name);
    Some(finding.remedy(format!(
        "gpuvirt vm set {name} --guest-driver PACKAGE # once it has another, or was never right"
    )))
}

/// The GPUs that it has whole or by vGPUs, and those that offer a profile which it asks for and has not got yet.
fn uses(case: &Case<'_>, domain: &Domain) -> Vec<Use> {
    let devices = domain.config.iter().chain(&domain.live);
    let mut uses: Vec<Use> = Vec::new();
    let had = devices.filter_map(|device| {
        let gpu = case.gpu_of(device)?;
        let whole = matches!(device, Hostdev::Pci { address, .. } if gpu.functions.contains(address));
        Some((gpu, if whole { UsedAs::Passthrough } else { UsedAs::Vgpu }))
    });
    let asked = domain.requests.list.iter().filter(|request| !is_there(case, request.assigned.as_ref()));
    let offered = asked.flat_map(|request| {
        let profile = match &request.wanted {
            Wanted::Profile { profile, .. } => Some(profile),
            Wanted::Gpu { .. } | Wanted::Match { .. } | Wanted::Vgpu { .. } => None,
        };
        let offers = move |gpu: &&gpuvirt_model::Gpu| {
            profile.is_some_and(|wanted| gpu.profiles.iter().any(|offered| offered.name == *wanted))
        };
        case.gpus().filter(offers).map(|gpu| (gpu, UsedAs::Vgpu))
    });
    for (gpu, used_as) in had.chain(offered) {
        let Some(primary) = case.observed.primary_of(gpu) else { continue };
        let used = Use {
            gpu: gpu.address,
            vendor: primary.identity.vendor,
            name: primary.device_name.clone().unwrap_or_default(),
            used_as,
            host_driver: gpu.driver.clone(),
            in_guest: true,
        };
        if !uses.contains(&used) {
            uses.push(used);
        }
    }
    uses
}

/// Whether a device is of a GPU here already.
fn is_there(case: &Case<'_>, device: Option<&Hostdev>) -> bool {
    match device {
        Some(Hostdev::Mdev { uuid }) => case.observed.vgpus.contains_key(&VgpuId::Mdev(*uuid)),
        Some(device @ Hostdev::Pci { .. }) => case.gpu_of(device).is_some(),
        None => false,
    }
}
