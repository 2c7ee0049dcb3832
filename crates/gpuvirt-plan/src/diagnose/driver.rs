//! The host's driver of a card: there, and the right one.

use gpuvirt_model::{Finding, FindingCode, Gpu, GraphicsType, Severity, Subject};

use super::Case;
use crate::checks::driver::wrong;

pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    case.gpus().flat_map(|gpu| [wrong_driver(case, gpu), no_driver(case, gpu)]).flatten().collect()
}

fn wanted(case: &Case<'_>, gpu: &Gpu) -> Option<GraphicsType> {
    case.desired.gpu(gpu.address).map(|entry| entry.graphics_type.resolve(&case.desired.host))
}

fn wrong_driver(case: &Case<'_>, gpu: &Gpu) -> Option<Finding> {
    if wanted(case, gpu) != Some(GraphicsType::SharedDirect) {
        return None;
    }
    let (because, steps) = wrong(gpu, case.observed)?;
    let finding = Finding::new(
        FindingCode::WrongHostDriver,
        Severity::Error,
        Subject::Gpu(gpu.address),
        format!("it is to have vGPUs and can't: {because}"),
    );
    let version = gpu.driver.version.as_deref().unwrap_or("version unknown");
    let finding = finding.seen_at("the host's driver", format!("{version}: {}", gpu.driver.evidence));
    Some(steps.into_iter().fold(finding, Finding::remedy))
}

/// The display driver that a vendor's cards want here, by PCI vendor.
const DRIVERS: [(u16, &[&str]); 3] =
    [(0x10de, &["nvidia", "nouveau"]), (0x1002, &["amdgpu", "gim", "radeon"]), (0x8086, &["i915", "xe"])];

/// A card that is to serve the host and has no driver: with what keeps the driver away, where that shows.
fn no_driver(case: &Case<'_>, gpu: &Gpu) -> Option<Finding> {
    let primary = case.observed.primary_of(gpu)?;
    if primary.binding.driver.is_some() || primary.binding_unknown.is_some() {
        return None;
    }
    let (_, names) = DRIVERS.iter().find(|(vendor, _)| *vendor == primary.identity.vendor)?;
    let fact = &case.health.modules.display_drivers;
    let installed = fact.known()?;
    let asleep: Vec<&str> =
        names.iter().copied().filter(|name| installed.get(*name) == Some(&false)).collect();
    let first = *asleep.first()?;
    let finding = |code, severity, cause: String| {
        Finding::new(code, severity, Subject::Gpu(gpu.address), cause)
            .seen_at(format!("/sys/bus/pci/devices/{}/driver", gpu.address), "none")
            .seen(fact.shows(format!("{} installed and not loaded", asleep.join(", "))))
    };
    let security = &case.health.security;
    let locked = security.lockdown.known().and_then(Option::as_deref).filter(|mode| *mode != "none");
    if security.secure_boot.is(&true) || locked.is_some() {
        let cause = "no driver has it, and this kernel loads signed modules alone: a driver that was built here is refused";
        let found = finding(FindingCode::DriverUnsigned, Severity::Warning, cause.to_owned());
        let found = match locked {
            Some(mode) => found.seen(security.lockdown.shows(mode)),
            None => found.seen(security.secure_boot.shows("on")),
        };
        return Some(
            found
                .remedy(format!("modprobe {first}; journalctl -k -b | grep -i -e 'key was rejected' -e lockdown"))
                .remedy("sign it with a key of your own (mokutil --import KEY.der, and reboot), or turn Secure Boot off"),
        );
    }
    let kept = case.health.modules.options.known().into_iter().flatten().find(|option| {
        asleep.iter().any(|name| {
            option.line == format!("blacklist {name}") || option.line.starts_with(&format!("install {name} "))
        })
    });
    let wanted = wanted(case, gpu).is_some_and(|wanted| wanted != GraphicsType::Direct);
    let severity = if wanted { Severity::Warning } else { return None };
    let found = finding(
        FindingCode::NoHostDriver,
        severity,
        "the host is to use it, and no driver has it".to_owned(),
    );
    Some(match kept {
        Some(option) => {
            let found = found.seen_at(&option.file, &option.line);
            // A package's file comes again with its next version; one of the admin's of that name hides it.
            match option.file.rsplit_once('/').filter(|(folder, _)| *folder != "/etc/modprobe.d") {
                Some((_, name)) => found.remedy(format!(
                    "copy {} to /etc/modprobe.d/{name}, drop {:?} there, then modprobe {first}",
                    option.file, option.line
                )),
                None => found
                    .remedy(format!("drop {:?} from {}, then modprobe {first}", option.line, option.file)),
            }
        }
        None => found.remedy(format!("modprobe {first}")),
    })
}
