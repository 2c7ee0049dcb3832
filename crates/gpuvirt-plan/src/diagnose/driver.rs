//! The host's driver of a card: there, and the right one.

use gpuvirt_model::{Evidence, Finding, FindingCode, Gpu, GraphicsType, Severity, Subject};

use super::Case;
use super::kept_away::keeper;
use crate::checks::driver::wrong;

pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    let of_gpu = |gpu| wrong_driver(case, gpu).into_iter().chain(no_driver(case, gpu));
    case.gpus().flat_map(of_gpu).collect()
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

const NVIDIA: u16 = 0x10de;

/// The display driver that a vendor's cards want here, by PCI vendor.
const DRIVERS: [(u16, &[&str]); 3] =
    [(NVIDIA, &["nvidia", "nouveau"]), (0x1002, &["amdgpu", "gim", "radeon"]), (0x8086, &["i915", "xe"])];

/// A card that is to serve the host and has no driver: with what keeps the driver away, where that shows. Of one that nobody
/// asked for, that is no fault.
fn no_driver(case: &Case<'_>, gpu: &Gpu) -> Vec<Finding> {
    let Some(Candidates { awake, asleep, rivals }) = candidates(case, gpu) else { return Vec::new() };
    if !awake.is_empty() && (rivals || asleep.is_empty()) {
        return vec![not_taken(case, gpu, &awake)];
    }
    if asleep.is_empty() {
        return Vec::new();
    }
    let fact = &case.health.modules.display_drivers;
    let finding = |code, severity, cause: String| {
        let finding = Finding::new(code, severity, Subject::Gpu(gpu.address), cause)
            .seen_at(format!("/sys/bus/pci/devices/{}/driver", gpu.address), "none")
            .seen(fact.shows(format!("{} installed and not loaded", asleep.join(", "))));
        if awake.is_empty() { finding } else { finding.seen(loaded(case, &awake)) }
    };
    let cause = if awake.is_empty() {
        "the host is to use it, and no driver has it".to_owned()
    } else {
        format!("the host is to use it: {}, and {} is not loaded", did_not_take(&awake), asleep.join(" or "))
    };
    let found = finding(FindingCode::NoHostDriver, Severity::Warning, cause);
    // A driver that nothing keeps away is the one to look at: of two, one is often kept away for the other's sake.
    let free: Vec<&str> = asleep.iter().copied().filter(|name| keeper(case, name).is_none()).collect();
    // The loaded one may be this card's all the same: then the kernel tells why it did not take it.
    let found_for = |found: Finding| if awake.is_empty() { found } else { asked_again(gpu, found) };
    let Some(first) = free.first() else { return vec![found_for(kept_away(case, &asleep, found))] };
    let refused = refused(case, &free).map(|(name, file, why)| {
        let cause = format!(
            "this kernel loads modules with a signature that it trusts and no others, and {name} did not come with it ({file}): \
             it may be refused"
        );
        finding(FindingCode::DriverUnsigned, Severity::Note, cause)
            .seen(why)
            .remedy(format!("modprobe {name}; journalctl -k -b | grep -i -e 'key was rejected' -e lockdown"))
            .remedy("sign it with a key of your own (mokutil --import KEY.der, and reboot), or turn Secure Boot off")
    });
    [Some(found_for(found.remedy(format!("modprobe {first}")))), refused].into_iter().flatten().collect()
}

/// Drivers that are loaded.
fn loaded(case: &Case<'_>, awake: &[&str]) -> Evidence {
    case.health.modules.display_drivers.shows(format!("{} installed and loaded", awake.join(", ")))
}

/// The finding where drivers that could have the card are loaded and have not taken it, and no other one is offered.
fn not_taken(case: &Case<'_>, gpu: &Gpu, awake: &[&str]) -> Finding {
    let cause = format!("the host is to use it, and {}", did_not_take(awake));
    let finding =
        Finding::new(FindingCode::NoHostDriver, Severity::Warning, Subject::Gpu(gpu.address), cause)
            .seen_at(format!("/sys/bus/pci/devices/{}/driver", gpu.address), "none")
            .seen(loaded(case, awake));
    asked_again(gpu, finding)
}

fn did_not_take(awake: &[&str]) -> String {
    let are = if awake.len() == 1 { "is" } else { "are" };
    format!("{} {are} loaded and did not take it", awake.join(" and "))
}

/// The same, with what shows why a loaded driver does not take the card.
fn asked_again(gpu: &Gpu, finding: Finding) -> Finding {
    finding
        .remedy(format!("echo {} > /sys/bus/pci/drivers_probe # asks it once more", gpu.address))
        .remedy(format!("journalctl -k | grep {} # why it does not take it", gpu.address))
}

/// The drivers that are installed for a card that the host is to use and that has none.
struct Candidates {
    /// Those that are loaded.
    awake: Vec<&'static str>,
    /// Those that sleep.
    asleep: Vec<&'static str>,
    /// They are rivals for the same cards: where one of them is loaded, the other one sleeps for its sake. NVIDIA's packages
    /// blacklist nouveau. AMD's and Intel's are for cards of different years, or for one card each as i915 and xe are (`force_probe`):
    /// the loaded one may be another card's, and this card's own asleep.
    rivals: bool,
}

fn candidates(case: &Case<'_>, gpu: &Gpu) -> Option<Candidates> {
    wanted(case, gpu).filter(|wanted| *wanted != GraphicsType::Direct)?;
    let primary = case.observed.primary_of(gpu)?;
    if primary.binding.driver.is_some() || primary.binding_unknown.is_some() {
        return None;
    }
    let (vendor, names) = DRIVERS.iter().find(|(vendor, _)| *vendor == primary.identity.vendor)?;
    let installed = case.health.modules.display_drivers.known()?;
    let names = names.iter().copied().filter(|name| installed.contains_key(*name));
    let (awake, asleep) = names.partition(|name| installed.get(*name) == Some(&true));
    Some(Candidates { awake, asleep, rivals: *vendor == NVIDIA })
}

/// The finding where all of a card's drivers are kept away, with what keeps the first of them.
fn kept_away(case: &Case<'_>, asleep: &[&str], found: Finding) -> Finding {
    let Some((first, keeper)) = asleep.iter().find_map(|name| Some((name, keeper(case, name)?))) else {
        return found;
    };
    let found = found.seen(keeper.evidence(case));
    keeper.remedies(case, first).into_iter().fold(found, Finding::remedy)
}

/// A driver that this kernel may refuse, with its file and what says so. One that came with the kernel is signed as that is;
/// whether another one is, and by a key that is enrolled, its file alone does not tell.
fn refused<'a>(case: &'a Case<'_>, asleep: &[&str]) -> Option<(&'a str, &'a str, Evidence)> {
    let security = &case.health.security;
    let why = match security.lockdown.known().map(Option::as_deref) {
        _ if security.signatures_enforced.is(&true) => security.signatures_enforced.shows("Y"),
        Some(Some(mode)) if mode != "none" => security.lockdown.shows(mode),
        // Lockdown is what Secure Boot brings about: alone it says something where that is not to be seen.
        None if security.secure_boot.is(&true) => security.secure_boot.shows("on"),
        _ => return None,
    };
    let (name, file) =
        case.health.modules.built_here.iter().find(|(name, _)| asleep.contains(&name.as_str()))?;
    Some((name, file, why))
}
