//! A VM's devices: against the rules, against its requests, and against what is on the host.

use gpuvirt_model::{
    DesiredGpu, DesiredVgpu, Domain, Evidence, Finding, FindingCode, Hostdev, Severity, Subject, VgpuId,
    Wanted,
};

use super::{Case, missing};
use crate::checks::shell_word;
use crate::checks::start::mixed_modes;
use crate::drift;

pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    let domains = case.domains();
    domains
        .flat_map(|domain| {
            let mut found: Vec<Finding> = mixed(case, domain).into_iter().collect();
            found.extend(drifted(case, domain));
            found.extend(managed(case, domain));
            found.extend(absent(case, domain));
            found.extend(shared(case, domain));
            found
        })
        .collect()
}

fn of(domain: &Domain, code: FindingCode, severity: Severity, cause: String) -> Finding {
    Finding::new(code, severity, Subject::Vm(domain.name.clone()), cause)
}

fn definition(domain: &Domain) -> String {
    format!("definition of {}", domain.name)
}

fn mixed(case: &Case<'_>, domain: &Domain) -> Option<Finding> {
    let because = mixed_modes(domain, &domain.config, case.observed)?;
    Some(
        of(
            domain,
            FindingCode::MixedModes,
            Severity::Error,
            format!("its next start is refused, since one VM may not have both: {because}"),
        )
        .seen_at(definition(domain), &because)
        .remedy(format!("gpuvirt vm show {0}; gpuvirt vm remove {0} DEVICE", shell_word(&domain.name))),
    )
}

/// What `vm show` warns of.
fn drifted(case: &Case<'_>, domain: &Domain) -> Vec<Finding> {
    let warnings = drift::warnings(domain, case.observed, case.desired).into_iter();
    let finding = |warning: gpuvirt_model::Warning| {
        let code = FindingCode::of_warning(warning.code)?;
        let severity = if code == FindingCode::LiveViolation { Severity::Error } else { Severity::Warning };
        Some(
            of(domain, code, severity, warning.text)
                .seen_at(
                    definition(domain),
                    format!("{} requests, {} devices", domain.requests.list.len(), domain.config.len()),
                )
                .remedy(format!("gpuvirt vm show {}", shell_word(&domain.name))),
        )
    };
    // One card has several functions: what is said of each is one matter.
    let mut found: Vec<Finding> = Vec::new();
    for next in warnings.filter_map(finding) {
        match found.iter_mut().find(|have| have.code == next.code) {
            Some(have) => have.evidence.push(Evidence { source: definition(domain), value: next.cause }),
            None => found.push(next),
        }
    }
    found
}

/// libvirt would bind and unbind a card that is ours to bind.
fn managed(case: &Case<'_>, domain: &Domain) -> Option<Finding> {
    let device = domain.config.iter().find_map(|device| match device {
        Hostdev::Pci { address, managed: true } => {
            let gpu = case.observed.gpu_of(*address)?;
            case.desired.gpu(gpu.address).map(|_| *address)
        }
        _ => None,
    })?;
    Some(
        of(
            domain,
            FindingCode::HostdevManaged,
            Severity::Warning,
            format!("libvirt itself would take {device} from its driver and give it back, and gpuvirt has it configured"),
        )
        .seen_at(definition(domain), format!("managed='yes' for {device}"))
        .remedy(format!("virsh edit {} # write managed='no' there", shell_word(&domain.name))),
    )
}

/// Devices that are not on the host, and that nobody makes or chooses for its start.
fn absent(case: &Case<'_>, domain: &Domain) -> Vec<Finding> {
    let lasting = |device: &&Hostdev| match domain.requests.of_device(device).map(|request| &request.wanted) {
        None => true,
        // A clone's requests are another's: what to do about those is said of them.
        Some(Wanted::Gpu { .. } | Wanted::Vgpu { .. }) => !domain.requests.of_another(domain.uuid),
        Some(Wanted::Profile { .. } | Wanted::Match { .. }) => false,
    };
    let devices = domain.config.iter().filter(lasting);
    devices
        .filter_map(|device| match configured_vgpu(case, device) {
            Some((entry, vgpu)) => dead_vgpu(case, domain, (entry, vgpu)),
            None => not_on_the_host(case, domain, device),
        })
        .collect()
}

/// The vGPU of the desired document that a device is, and its GPU's entry.
fn configured_vgpu<'a>(case: &Case<'a>, device: &Hostdev) -> Option<(&'a DesiredGpu, &'a DesiredVgpu)> {
    let id = match device {
        Hostdev::Mdev { uuid } => VgpuId::Mdev(*uuid),
        Hostdev::Pci { address, .. } => VgpuId::Vf(*address),
    };
    let mut all =
        case.desired.gpus.iter().flat_map(|entry| entry.vgpus.iter().map(move |vgpu| (entry, vgpu)));
    all.find(|(_, vgpu)| vgpu.id == id)
}

/// A vGPU that is configured and does not live: the start is refused, since only what a request has a profile for is made then.
fn dead_vgpu(
    case: &Case<'_>,
    domain: &Domain,
    (entry, vgpu): (&DesiredGpu, &DesiredVgpu),
) -> Option<Finding> {
    let (id, gpu) = (vgpu.id, entry.address);
    if !missing::is_gone(case, id) || case.is_at_work(gpu) {
        return None;
    }
    let place = match id {
        VgpuId::Mdev(uuid) => format!("/sys/bus/mdev/devices/{uuid}"),
        VgpuId::Vf(vf) => format!("/sys/bus/pci/devices/{vf}"),
    };
    let finding = of(
        domain,
        FindingCode::DeviceAbsent,
        Severity::Error,
        format!("it does not start: its vGPU {id} is configured on {gpu} and is not there"),
    )
    .seen_at(definition(domain), format!("the vGPU {id}"))
    .seen_at(place, "no vGPU there");
    let again = case.observed.gpus.get(&gpu).map(|gpu| missing::make_again(gpu, &[vgpu])).unwrap_or_default();
    let finding = again.into_iter().fold(finding, Finding::remedy);
    Some(finding.remedy(format!("gpuvirt gpu show {gpu} # whether it is as configured")))
}

fn not_on_the_host(case: &Case<'_>, domain: &Domain, device: &Hostdev) -> Option<Finding> {
    let (there, what, place) = match device {
        Hostdev::Mdev { uuid } => (
            case.observed.vgpus.contains_key(&VgpuId::Mdev(*uuid)),
            format!("the mediated device {uuid}"),
            format!("/sys/bus/mdev/devices/{uuid}"),
        ),
        Hostdev::Pci { address, .. } => (
            case.health.nvswitch.present.known()?.contains(address),
            format!("the device {address}"),
            format!("/sys/bus/pci/devices/{address}"),
        ),
    };
    let how = match domain.requests.of_device(device) {
        Some(_) => "its request is for just that one",
        None => "no request says how it is made",
    };
    (!there).then(|| {
        of(
            domain,
            FindingCode::DeviceAbsent,
            Severity::Error,
            format!("it does not start: {what} is not on this host, and {how}"),
        )
        .seen_at(definition(domain), &what)
        .seen_at(place, "not there")
        .remedy(format!(
            "gpuvirt vm remove {0} DEVICE; gpuvirt vm add {0} --profile PROFILE",
            shell_word(&domain.name)
        ))
        .remedy("lspci -nn # an address that moved: where is the card now?")
    })
}

/// Two definitions that name one device: fine, when they take turns. Said once, of the first by name.
fn shared(case: &Case<'_>, domain: &Domain) -> Vec<Finding> {
    let others = case.domains().filter(|other| other.name > domain.name);
    let common = others.filter_map(|other| {
        let device = domain
            .config
            .iter()
            .find(|device| case.gpu_of(device).is_some() && other.has_configured(device))?;
        Some((other, device))
    });
    let finding = |(other, device): (&Domain, &Hostdev)| {
        let device = match device {
            Hostdev::Pci { address, .. } => address.to_string(),
            Hostdev::Mdev { uuid } => uuid.to_string(),
        };
        let both = domain.autostart && other.autostart;
        let (severity, so) = if both {
            (Severity::Warning, "both start with the host, and the second is refused")
        } else {
            (Severity::Note, "only one of them can run at a time")
        };
        of(
            domain,
            FindingCode::AlsoDefinedIn,
            severity,
            format!("{device} is in the definition of {} too: {so}", other.name),
        )
        .seen_at(definition(domain), &device)
        .seen_at(definition(other), &device)
        .remedy(format!(
            "gpuvirt vm remove {} DEVICE # nothing, when they take turns",
            shell_word(&other.name)
        ))
    };
    common.map(finding).collect()
}
