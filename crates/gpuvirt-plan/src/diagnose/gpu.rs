//! A GPU against what the admin asked for.

use gpuvirt_model::{Finding, FindingCode, Gpu, Severity, Subject};

use super::{Case, missing};
use crate::gpu::pending;

pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    let mut found: Vec<Finding> = absent(case);
    for gpu in case.gpus() {
        match identity_changed(case, gpu) {
            Some(changed) => found.push(changed),
            None => match not_as_asked(case, gpu) {
                Some(pending) => found.push(pending),
                None => found.extend(missing::findings(case, gpu)),
            },
        }
    }
    found
}

fn absent(case: &Case<'_>) -> Vec<Finding> {
    let gone = case.desired.gpus.iter().filter(|entry| !case.observed.gpus.contains_key(&entry.address));
    let finding = |entry: &gpuvirt_model::DesiredGpu| {
        let address = entry.address;
        Finding::new(
            FindingCode::GpuNotFound,
            Severity::Error,
            Subject::Gpu(address),
            format!(
                "it is configured as {} and is not on this host: {}",
                entry.graphics_type, entry.identity
            ),
        )
        .seen_at(format!("/sys/bus/pci/devices/{address}"), "no GPU there")
        .remedy("lspci -nn # has it another address? Cards that are added or removed move others")
        .remedy(format!("gpuvirt gpu unset {address} # when it is gone for good"))
    };
    gone.map(finding).collect()
}

fn identity_changed(case: &Case<'_>, gpu: &Gpu) -> Option<Finding> {
    let entry = case.desired.gpu(gpu.address)?;
    let found = case.observed.primary_of(gpu)?.identity;
    (found != entry.identity).then(|| {
        let address = gpu.address;
        Finding::new(
            FindingCode::IdentityChanged,
            Severity::Error,
            Subject::Gpu(address),
            "another card sits here than was configured: it is left alone",
        )
        .seen_at(format!("/sys/bus/pci/devices/{address}"), found)
        .seen_at("configured", entry.identity)
        .remedy(format!("gpuvirt gpu unset {address} # then configure what sits there now"))
    })
}

/// Not what was asked for: with who holds it, since that is the usual cause, and with the vGPUs that are missing with it.
fn not_as_asked(case: &Case<'_>, gpu: &Gpu) -> Option<Finding> {
    if case.is_at_work(gpu.address) {
        return None;
    }
    let why = pending(gpu, case.observed, case.desired, case.records)?;
    let entry = case.desired.gpu(gpu.address)?;
    let (address, wanted) = (gpu.address, entry.graphics_type.resolve(&case.desired.host));
    let active = gpu.active_type(Some(wanted));
    let cause = if active == wanted {
        format!("it is {active} and not as it was asked for: {why}")
    } else {
        format!("it is {active} and was to be {wanted}: {why}")
    };
    let finding = Finding::new(FindingCode::TypePending, Severity::Warning, Subject::Gpu(address), cause);
    let driver = case.observed.primary_of(gpu).and_then(|function| function.binding.driver.as_ref());
    let driver = driver.map_or_else(|| "none".to_owned(), ToString::to_string);
    let finding = finding.seen_at(format!("/sys/bus/pci/devices/{address}/driver"), driver);
    let holders = gpu.holders.seen.iter().map(ToString::to_string);
    let finding = holders.fold(finding, |finding, holder| finding.seen_at("held by", holder));
    let finding = finding
        .remedy(format!("gpuvirt gpu set {address} --type {wanted} --dry-run # it names what is in the way"));
    let gone = missing::vgpus_of(case, gpu);
    if gone.is_empty() {
        return Some(finding);
    }
    let finding = finding.seen_at("configured vGPUs that are not there", missing::named(&gone));
    Some(finding.remedy(format!("{} # when nothing is: it makes the vGPUs too", missing::LEAD)))
}
