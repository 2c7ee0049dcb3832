//! Whether a GPU could be given whole to a VM, and what stands against it: asked of a GPU as it is, before anybody
//! wants to change it. Who uses it at the moment is no part of this.

use gpuvirt_model::{
    Desired, Gpu, GraphicsType, IommuGroup, MemberRole, ModulePresence, Observed, PciAddress, Records,
    Refusal, Warning,
};

use super::{Switch, driver, gpu as card, holder, iommu, without_accepted};
use crate::switch;

/// Passthrough of a GPU, in the three words that vSphere has for it, and what goes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passthrough {
    /// The admin asked for it.
    pub enabled: bool,
    /// Why it can't be, with the names that `gpu set` refuses it by; empty: it can. What the admin accepted does not
    /// count.
    pub obstacles: Vec<Refusal>,
    /// What is to be known of it all the same.
    pub warnings: Vec<Warning>,
    /// A VFIO driver has the card.
    pub active: bool,
    /// What is given away with the primary function, since it shares its card or its IOMMU group: bridges don't count.
    pub dependents: Vec<PciAddress>,
}

impl Passthrough {
    /// Of a GPU as it is.
    pub fn of(gpu: &Gpu, observed: &Observed, desired: &Desired, records: &Records) -> Self {
        let entry = desired.gpu(gpu.address);
        let to = GraphicsType::Direct;
        let plan = switch::plan(gpu, observed, to, records);
        let switch = Switch { gpu, observed, desired, to, plan: &plan };
        let accepted = entry.map(|entry| entry.accepted.as_slice()).unwrap_or_default();
        let (obstacles, _) = without_accepted(obstacles(&switch), accepted);
        let warnings = card::no_reset_method(&switch).into_iter();
        Self {
            enabled: entry.is_some_and(|entry| entry.graphics_type.resolve(&desired.host) == to),
            obstacles,
            warnings: warnings.chain(iommu::interrupt_remapping_unknown(&switch)).collect(),
            active: gpu.on_vfio,
            dependents: dependents(gpu, observed),
        }
    }
}

/// What of the platform and of the card is in the way, whoever uses it now.
fn obstacles(switch: &Switch) -> Vec<Refusal> {
    let mut found: Vec<Refusal> = Vec::new();
    found.extend(card::identity_changed(switch));
    found.extend(card::not_an_endpoint(switch));
    found.extend(card::unresponsive(switch));
    found.extend(iommu::no_iommu(switch));
    found.extend(iommu::group_not_viable(switch));
    found.extend(iommu::no_interrupt_remapping(switch));
    // A recording does not tell which modules there were; a host does.
    let told = switch.observed.host.vfio_pci != ModulePresence::Unknown;
    found.extend(told.then(|| driver::vfio_missing(switch)).flatten());
    found.extend(holder::boot_display(switch));
    found.extend(holder::console_active(switch));
    found
}

fn dependents(gpu: &Gpu, observed: &Observed) -> Vec<PciAddress> {
    let own = gpu.functions.iter().copied();
    let others = observed.groups_of(gpu).flat_map(|group| beside(gpu, group, observed));
    let mut all: Vec<PciAddress> = own.chain(others).filter(|address| *address != gpu.address).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// The members of a group that are neither the card's nor bridges. One that could not be read may be anything.
fn beside<'a>(
    gpu: &'a Gpu,
    group: &'a IommuGroup,
    observed: &'a Observed,
) -> impl Iterator<Item = PciAddress> + 'a {
    let counts = |member: &PciAddress| match observed.functions.get(member) {
        Some(function) => match MemberRole::of(function, &gpu.functions) {
            MemberRole::Idle | MemberRole::Foreign => true,
            MemberRole::Card | MemberRole::Bridge => false,
        },
        None => true,
    };
    group.members.iter().copied().filter(counts)
}
