//! What of a domain is not as it was asked for, and what of a running one breaks the rules.

use gpuvirt_model::{Domain, Hostdev, Observed, VgpuId, Warning, WarningCode};

use crate::checks::start::mixed_modes;

/// Everything about a domain that an admin should look at: drift between requests and devices, and devices that a
/// running VM should not have. Nothing of it is corrected by itself.
pub fn warnings(domain: &Domain, observed: &Observed) -> Vec<Warning> {
    let mut found = Vec::new();
    let (name, requests) = (&domain.name, &domain.requests);
    if requests.of_another(domain.uuid) {
        let text = format!(
            "the requests of {name} are those of the domain that it was cloned from: remove the copied devices and \
             add its own"
        );
        found.push(Warning { code: WarningCode::CopiedRequest, text });
    }
    for request in requests.list.iter().filter(|request| request.assigned.is_none()) {
        let text = format!(
            "request-{} for {} has no device: `gpuvirt vm remove` it, or `gpuvirt vm add` it again",
            request.id, request.wanted
        );
        found.push(Warning { code: WarningCode::RequestWithoutDevice, text });
    }
    if requests.unreadable > 0 {
        let text = format!("{} requests in the metadata of {name} make no sense", requests.unreadable);
        found.push(Warning { code: WarningCode::RequestWithoutDevice, text });
    }
    let asked_for = |device: &&Hostdev| requests.of_device(device).is_none() && is_gpu(device, observed);
    let by_hand = domain.config.iter().filter(asked_for).filter(|_| !requests.list.is_empty());
    found.extend(by_hand.map(|device| Warning {
        code: WarningCode::DeviceWithoutRequest,
        text: format!("{} has no request: somebody else added it", named(device)),
    }));
    found.extend(violation(domain, observed));
    found
}

/// What a running VM has that would have been refused at its start.
pub fn violation(domain: &Domain, observed: &Observed) -> Option<Warning> {
    let because = mixed_modes(domain, &domain.live, observed)?;
    let text = format!("VM {} breaks a rule while it runs: {because}", domain.name);
    Some(Warning { code: WarningCode::LiveViolation, text })
}

fn is_gpu(device: &Hostdev, observed: &Observed) -> bool {
    match device {
        Hostdev::Pci { address, .. } => observed.gpu_of(*address).is_some(),
        Hostdev::Mdev { uuid } => observed.vgpus.contains_key(&VgpuId::Mdev(*uuid)),
    }
}

fn named(device: &Hostdev) -> String {
    match device {
        Hostdev::Pci { address, .. } => address.to_string(),
        Hostdev::Mdev { uuid } => format!("mdev {uuid}"),
    }
}
