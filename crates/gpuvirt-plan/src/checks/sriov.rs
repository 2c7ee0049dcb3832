//! Checks on a plain virtual function that is to be a vGPU: whether VFIO can have it, and a guest then use it.

use gpuvirt_model::{Framework, Function, MemberRole, ModulePresence, Observed, Profile, RefusalCode};

use super::{iommu, list};

/// What is in the way: the refusal's name, the cause, and what to do.
pub(super) type Obstacle = (RefusalCode, String, Vec<String>);

/// Everything that is in the way of binding the virtual function that `profile` is.
pub(super) fn obstacles(profile: &Profile, observed: &Observed) -> Vec<Obstacle> {
    if profile.framework != Framework::Sriov {
        return Vec::new();
    }
    let Some(vf) = observed.functions.get(&profile.parent) else { return Vec::new() };
    [no_driver(observed), no_group(vf, observed), shared_group(vf, observed)].into_iter().flatten().collect()
}

fn no_driver(observed: &Observed) -> Option<Obstacle> {
    let missing = matches!(observed.host.vfio_pci, ModulePresence::Missing | ModulePresence::Unknown);
    let because = "the driver vfio-pci is neither loaded nor installed".to_owned();
    missing.then(|| (RefusalCode::VfioMissing, because, vec!["install the kernel's modules".to_owned()]))
}

fn no_group(vf: &Function, observed: &Observed) -> Option<Obstacle> {
    let because = format!("no IOMMU translates for {}", vf.address);
    let remedy = if observed.host.iommu {
        iommu::translated_by(vf)
    } else {
        vec!["turn on VT-d or AMD-Vi in the firmware's setup".to_owned()]
    };
    vf.iommu_group.is_none().then_some((RefusalCode::NoIommu, because, remedy))
}

/// Without isolation between them, virtual functions share a group with the card itself.
fn shared_group(vf: &Function, observed: &Observed) -> Option<Obstacle> {
    let group = observed.groups.get(&vf.iommu_group?)?;
    let members = group.members.iter().filter_map(|address| observed.functions.get(address));
    let foreign = members.filter(|member| MemberRole::of(member, &[vf.address]) == MemberRole::Foreign);
    let foreign: Vec<String> = foreign
        .map(|f| {
            format!("{} ({})", f.address, f.binding.driver.as_ref().map_or("", |driver| driver.as_str()))
        })
        .collect();
    let others = group.others.iter().map(|name| format!("{name:?} (no PCI device)"));
    let foreign: Vec<String> = foreign.into_iter().chain(others).collect();
    let because = format!(
        "{} shares IOMMU group {} with {}, which the host uses",
        vf.address,
        group.id,
        list(&foreign)
    );
    let remedy = vec!["turn on ACS in the firmware's setup, or move the card to another slot".to_owned()];
    (!foreign.is_empty()).then_some((RefusalCode::GroupNotViable, because, remedy))
}
