//! Resets: whether the kernel has one for a card, and whether it is known to work.

use gpuvirt_model::{Finding, FindingCode, Function, Gpu, PciIdentity, Reading, Severity, Subject};

use super::Case;

pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    case.gpus().filter_map(|gpu| none(case, gpu).or_else(|| known_bad(case, gpu))).collect()
}

fn methods(function: &Function) -> Option<&[String]> {
    function.reset_methods.known().map(Vec::as_slice)
}

fn source(function: &Function) -> String {
    format!("/sys/bus/pci/devices/{}/reset_method", function.address)
}

fn none(case: &Case<'_>, gpu: &Gpu) -> Option<Finding> {
    let primary = case.observed.primary_of(gpu)?;
    // A virtual function resets with FLR or not at all, which is its physical function's business.
    if !matches!(&primary.reset_methods, Reading::Known(methods) if methods.is_empty())
        || is_integrated(primary)
    {
        return None;
    }
    Some(
        Finding::new(
            FindingCode::NoResetMethod,
            case.for_passthrough(gpu, Severity::Warning),
            Subject::Gpu(gpu.address),
            "the kernel can't reset it: its next guest gets it as the last one left it, and may not start on it",
        )
        .seen_at(source(primary), "none")
        .remedy("give it to one VM alone, and reboot the host between owners")
        .remedy("some cards have a vendor's reset module, which then shows as device_specific"),
    )
}

/// Processor graphics sit on the root bus; nothing upstream could reset them.
fn is_integrated(function: &Function) -> bool {
    function.address.bus == 0 && function.identity.vendor == 0x8086
}

const AMD: u16 = 0x1002;

/// AMD's cards that come back from a bus reset with a firmware that hangs, by device id, as the module vendor-reset has them.
const HANG_AFTER_RESET: [(std::ops::RangeInclusive<u16>, &str); 9] = [
    (0x67c0..=0x67df, "Polaris 10"),
    (0x6fdf..=0x6fdf, "Polaris 10"),
    (0x67e0..=0x67ff, "Polaris 11"),
    (0x6980..=0x699f, "Polaris 12"),
    (0x6860..=0x687f, "Vega 10"),
    (0x66a0..=0x66af, "Vega 20"),
    (0x7310..=0x731f, "Navi 10"),
    (0x7340..=0x734f, "Navi 14"),
    (0x7360..=0x7362, "Navi 12"),
];

fn family(identity: PciIdentity) -> Option<&'static str> {
    let bad = HANG_AFTER_RESET.iter().find(|(devices, _)| devices.contains(&identity.device));
    bad.filter(|_| identity.vendor == AMD).map(|(_, family)| *family)
}

fn known_bad(case: &Case<'_>, gpu: &Gpu) -> Option<Finding> {
    let primary = case.observed.primary_of(gpu)?;
    let family = family(primary.identity)?;
    let methods = methods(primary)?;
    if methods.first().is_some_and(|first| first == "device_specific") {
        return None;
    }
    Some(
        Finding::new(
            FindingCode::ResetBug,
            case.for_passthrough(gpu, Severity::Warning),
            Subject::Gpu(gpu.address),
            format!(
                "cards of the family {family} hang after the resets that the kernel has for them: the first guest works, \
                 the next finds a dead card until the host is power-cycled"
            ),
        )
        .seen_at(source(primary), methods.join(" "))
        .seen_at(format!("/sys/bus/pci/devices/{}/device", primary.address), primary.identity)
        .remedy("install the module vendor-reset (DKMS), then: modprobe vendor-reset")
        .remedy(format!("echo device_specific > {}", source(primary)))
        .remedy("else: let the guest shut down cleanly, and never kill it"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_told_by_vendor_and_device() {
        let identity = |vendor, device| PciIdentity {
            vendor,
            device,
            subsystem_vendor: 0,
            subsystem_device: 0,
            class: gpuvirt_model::ClassCode(0x03_0000),
        };
        assert_eq!(family(identity(AMD, 0x67df)), Some("Polaris 10"));
        assert_eq!(family(identity(AMD, 0x731f)), Some("Navi 10"));
        assert_eq!(family(identity(AMD, 0x73bf)), None, "Navi 21 resets");
        assert_eq!(family(identity(0x10de, 0x67df)), None);
    }
}
