//! The other host: whether it offers what a VM's vGPUs need.

use gpuvirt_model::gpu_match::IdPair;
use gpuvirt_model::{
    Configuration, ConfiguredType, Gpu, GpuMatch, GraphicsType, HostSettings, Observed, PciIdentity,
};

use super::check::{Answer, Check};
use super::readiness::{KERNEL, Need, kernel};

/// What is known of the other host.
#[derive(Debug)]
pub enum Target<'a> {
    /// A recording of it.
    Recorded(&'a Observed),
    /// Its configuration alone.
    Configured(&'a Configuration),
}

/// Everything about the other host, one check for each thing that is needed.
pub fn compare(needs: &[Need], target: &Target) -> Vec<Check> {
    match target {
        Target::Recorded(observed) => {
            let Check { answer, because, .. } = kernel(observed.host.kernel_release.as_deref());
            let mut checks = vec![Check { what: "kernel there".to_owned(), answer, because }];
            checks.extend(needs.iter().map(|need| recorded(need, observed)));
            checks
        }
        Target::Configured(config) => {
            let least = format!("a configuration tells no kernel; it takes {KERNEL} or newer");
            let mut checks = vec![Check::unknown("kernel there", least)];
            checks.extend(needs.iter().map(|need| configured(need, config)));
            checks
        }
    }
}

fn what(need: &Need) -> String {
    format!("{} there", need.profile)
}

/// A GPU of the same make that offers the profile now, under a driver of the same version.
fn recorded(need: &Need, observed: &Observed) -> Check {
    let same = |gpu: &&Gpu| observed.primary_of(gpu).is_some_and(|f| same_card(&f.identity, &need.card));
    let cards: Vec<&Gpu> = observed.gpus.values().filter(same).collect();
    if cards.is_empty() {
        let card = format!("{:04x}:{:04x}", need.card.vendor, need.card.device);
        return Check::no(what(need), format!("no card of the same make ({card}) is there"));
    }
    let mut checks: Vec<Check> = cards.iter().map(|gpu| on_card(need, gpu)).collect();
    let best = [Answer::Yes, Answer::Unknown, Answer::No];
    let position = best.iter().find_map(|answer| checks.iter().position(|check| check.answer == *answer));
    checks.swap_remove(position.unwrap_or_default())
}

fn on_card(need: &Need, gpu: &Gpu) -> Check {
    let (what, at) = (what(need), gpu.address);
    let offered: Vec<_> = gpu.profiles.iter().filter(|offered| offered.name == need.profile).collect();
    if offered.is_empty() {
        return Check::no(
            what,
            format!("{at}, a card of the same make, does not offer it now: {}", gpu.driver.evidence),
        );
    }
    if offered.iter().all(|offered| offered.framework != need.framework) {
        return Check::no(what, format!("{at} makes it in another way than {}", need.framework));
    }
    if let (Some(here), Some(there)) = (&need.driver_version, &gpu.driver.version) {
        if here != there {
            return Check::no(what, format!("the driver of {at} is {there}, and here it is {here}"));
        }
    }
    if offered.iter().all(|offered| offered.available == 0) {
        return Check::no(what, format!("{at} has no room for one now"));
    }
    let version = match (&need.driver_version, &gpu.driver.version) {
        (Some(_), Some(version)) => format!(" under the same driver, {version}"),
        _ => {
            let because = format!("{at} offers it; whether the drivers are of the same version is not known");
            return Check::unknown(what, because);
        }
    };
    Check::yes(what, format!("{at} offers it{version}, and has room"))
}

fn same_card(a: &PciIdentity, b: &PciIdentity) -> bool {
    (a.vendor, a.device) == (b.vendor, b.device)
}

/// A configuration says what a card is for, and not what its driver offers.
fn configured(need: &Need, config: &Configuration) -> Check {
    let for_vgpus = |wanted: ConfiguredType, host: &HostSettings| {
        let resolved =
            if wanted == ConfiguredType::Default { host.default_type.unwrap_or(wanted) } else { wanted };
        resolved == ConfiguredType::SharedDirect
    };
    let selected = |selector: &GpuMatch| {
        let subsystem = IdPair(need.card.subsystem_vendor, need.card.subsystem_device);
        selector.device == Some(IdPair(need.card.vendor, need.card.device))
            && selector.subsystem.is_none_or(|wanted| wanted == subsystem)
    };
    let mut entries = config.gpus.iter().filter(|gpu| {
        let named = gpu.identity.as_ref().is_some_and(|identity| same_card(identity, &need.card));
        named || gpu.selector.as_ref().is_some_and(selected)
    });
    match entries.find(|gpu| for_vgpus(gpu.graphics_type, &config.host)) {
        Some(_) => Check::unknown(
            what(need),
            "a card of the same make is configured for vGPUs; whether its driver offers this shows in a snapshot only",
        ),
        None => {
            let type_ = GraphicsType::SharedDirect;
            Check::no(what(need), format!("no card of the same make is configured as {type_} by what it is"))
        }
    }
}
