//! The IOMMU group of a card, and what upstream of it makes the group what it is.

use gpuvirt_model::health::{Acs, Port};
use gpuvirt_model::{
    Evidence, Finding, FindingCode, Function, Gpu, IommuGroup, MemberRole, Reading, Severity, Subject,
};

use super::Case;

pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    let gpus = case.gpus();
    gpus.flat_map(|gpu| case.observed.groups_of(gpu).filter_map(|group| not_viable(case, gpu, group)))
        .collect()
}

fn not_viable(case: &Case<'_>, gpu: &Gpu, group: &IommuGroup) -> Option<Finding> {
    let members = group.members.iter().filter_map(|address| case.observed.functions.get(address));
    let foreign: Vec<&Function> =
        members.filter(|member| MemberRole::of(member, &gpu.functions) == MemberRole::Foreign).collect();
    let unread =
        group.unread(&case.observed.functions).map(|address| format!("{address} (which could not be read)"));
    let names: Vec<String> = foreign.iter().map(|member| described(member)).chain(unread).collect();
    let names = if names.is_empty() { return None } else { names.join(", ") };
    let severity = case.for_passthrough(gpu, Severity::Error);
    let finding = Finding::new(
        FindingCode::GroupNotViable,
        severity,
        Subject::Gpu(gpu.address),
        format!("it can't be given to a VM: IOMMU group {} also holds {names}", group.id),
    );
    let finding = finding.seen_at(format!("/sys/kernel/iommu_groups/{}/devices", group.id), listed(group));
    let ports = ports(case, gpu);
    let finding = ports.iter().map(shown).fold(finding, Finding::seen);
    let finding = switched_off(case, ports, finding);
    let finding =
        finding.remedy("move the card, or the other device, to a slot with an IOMMU group of its own");
    Some(foreign.iter().filter_map(|member| freed(member)).fold(finding, Finding::remedy))
}

fn described(member: &Function) -> String {
    let name = member.device_name.clone().unwrap_or_else(|| member.identity.to_string());
    match &member.binding.driver {
        Some(driver) => format!("{} ({name}, driver {driver})", member.address),
        None => format!("{} ({name})", member.address),
    }
}

fn listed(group: &IommuGroup) -> String {
    group.members.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// The bridges upstream.
fn ports<'a>(case: &'a Case<'_>, gpu: &Gpu) -> &'a [Port] {
    case.health.functions.get(&gpu.address).map_or(&[], |function| function.upstream.as_slice())
}

/// What a bridge does for isolation.
fn shown(port: &Port) -> Evidence {
    let value = match &port.acs {
        Reading::Known(Acs::On) => "upstream bridge, has Access Control Services".to_owned(),
        Reading::Known(Acs::Off) => {
            "upstream bridge whose Access Control Services are not all ON: it makes one group of all behind it"
                .to_owned()
        }
        Reading::Known(Acs::Missing) => {
            "upstream bridge WITHOUT Access Control Services: it makes one group of all behind it".to_owned()
        }
        Reading::Known(Acs::NotNeeded) => {
            "a switch's upstream port, needs no Access Control Services".to_owned()
        }
        Reading::Known(Acs::ByChipset) => {
            "root port without Access Control Services, of a chipset that the kernel has do the same".to_owned()
        }
        Reading::Unknown(why) => format!("upstream bridge, Access Control Services {why}"),
    };
    Evidence { source: format!("/sys/bus/pci/devices/{}/config", port.address), value }
}

/// Options of `pci=` that change what the kernel switches on (its kernel-parameters.txt).
const OPTIONS: [&str; 2] = ["disable_acs_redir", "config_acs"];

/// The kernel switches the services on, unless it was told otherwise.
fn switched_off(case: &Case<'_>, ports: &[Port], mut finding: Finding) -> Finding {
    let off = ports.iter().filter(|port| port.acs == Reading::Known(Acs::Off));
    let off: Vec<String> = off.map(|port| port.address.to_string()).collect();
    if off.is_empty() {
        return finding;
    }
    for word in case.health.boot.words("pci=") {
        let there = OPTIONS.iter().filter(|option| word.contains(&format!("{option}=")));
        let remedies: Vec<String> = there
            .map(|option| {
                format!(
                    "take {} out of {option}= in {word} on the kernel's command line, if it is in there, and reboot",
                    off.join(" and ")
                )
            })
            .collect();
        if !remedies.is_empty() {
            finding = finding.seen(case.health.boot.command_line.shows(word));
        }
        finding = remedies.into_iter().fold(finding, Finding::remedy);
    }
    finding
}

/// How a foreign member is taken from its driver, for a host that can do without it.
fn freed(member: &Function) -> Option<String> {
    let driver = member.binding.driver.as_ref()?;
    Some(format!(
        "or, if the host can do without {0}: echo {0} > /sys/bus/pci/drivers/{driver}/unbind",
        member.address
    ))
}
