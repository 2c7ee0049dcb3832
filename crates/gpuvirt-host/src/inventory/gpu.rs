//! GPUs: which functions make a card, what it offers, and how it stands.

use std::collections::BTreeMap;

use gpuvirt_model::{DriverRules, Function, Gpu, GpuUsage, Holders, HostDriver, PciAddress};

use super::bus::Bus;
use super::function::Seen;

/// Drivers that have a card with the SR-IOV capability and make no virtual functions: their physical function
/// refuses `sriov_numvfs` with ENOENT (no `sriov_configure` in the driver).
const NO_VFS: [&str; 4] = ["amdgpu", "radeon", "nouveau", "pci-stub"];

/// A card: addresses only, the primary first.
pub(super) type Card = Vec<PciAddress>;

/// Finds the cards among the candidates, reading companions on the way.
///
/// The primary is the lowest candidate of its slot; the others of the slot go with it. So do audio, USB and UCSI
/// functions of the slot, if they have the primary's vendor. Audio goes along by its IOMMU group alone too; a USB
/// controller that only shares the group is the processor's own, with the host's keyboard on it.
pub(super) fn cards(bus: &Bus, seen: &mut dyn FnMut(PciAddress) -> Option<Function>) -> Vec<Card> {
    let mut cards: Vec<Card> = Vec::new();
    for address in &bus.candidates {
        let taken = cards.iter().any(|card| card.contains(address));
        let Some(primary) = seen(*address).filter(|function| !taken && function.physfn.is_none()) else {
            continue;
        };
        let mut card = vec![*address];
        for other in bus.slot_of(*address) {
            let function = companion_candidate(bus, other).and_then(&mut *seen);
            if function.is_some_and(|function| belongs(&function, &primary, bus)) {
                card.push(other);
            }
        }
        cards.push(card);
    }
    cards
}

fn companion_candidate(bus: &Bus, address: PciAddress) -> Option<PciAddress> {
    let by_class = bus.known_class(address).is_some_and(|class| class.is_gpu_companion());
    (by_class || bus.candidates.contains(&address)).then_some(address)
}

fn belongs(function: &Function, primary: &Function, bus: &Bus) -> bool {
    let same_vendor = function.identity.vendor == primary.identity.vendor;
    let same_group = function.identity.class.is_audio()
        && function.iommu_group.is_some()
        && function.iommu_group == primary.iommu_group;
    let is_display = bus.candidates.contains(&function.address);
    function.physfn.is_none() && (is_display || same_vendor || same_group)
}

/// The card as a GPU, without mediated devices and holders.
pub(super) fn gpu(card: Card, functions: &BTreeMap<PciAddress, Seen>) -> Option<Gpu> {
    let address = *card.first()?;
    let primary = &functions.get(&address)?.function;
    let members = || card.iter().filter_map(|address| functions.get(address)).map(|seen| &seen.function);
    Some(Gpu {
        address,
        frameworks: Vec::new(),
        profiles: Vec::new(),
        host_driver: primary.binding.driver.as_ref().is_some_and(|driver| !driver.leaves_group_viable()),
        driver: HostDriver::default(),
        on_vfio: primary.on_vfio() && members().all(leaves_card_viable),
        live_vgpus: 0,
        live_vfs: members().filter_map(|f| f.sriov.as_ref()).map(|sriov| sriov.vfs.len()).sum(),
        holders: Holders::default(),
        usage: GpuUsage::default(),
        functions: card,
    })
}

/// A companion without a driver does not stand in VFIO's way; one with a driver that does DMA does.
fn leaves_card_viable(function: &Function) -> bool {
    function.binding.driver.as_ref().is_none_or(|driver| driver.leaves_group_viable())
}

/// The functions on which vGPUs can live: the card's own and its virtual ones.
pub(super) fn parents(gpu: &Gpu, functions: &BTreeMap<PciAddress, Seen>) -> Vec<PciAddress> {
    let own = gpu.functions.iter().filter_map(|address| functions.get(address));
    let vfs = own.clone().filter_map(|seen| seen.function.sriov.as_ref()).flat_map(|sriov| sriov.vfs.clone());
    own.map(|seen| seen.function.address).chain(vfs).collect()
}

/// Whether plain virtual functions can be made, or live, on the card.
pub(super) fn offers_vfs(gpu: &Gpu, functions: &BTreeMap<PciAddress, Seen>, rules: &DriverRules) -> bool {
    let Some(primary) = functions.get(&gpu.address).map(|seen| &seen.function) else { return false };
    let Some(sriov) = &primary.sriov else { return false };
    // With a tool of the vendor's they take types, and are no use without, which is another framework.
    let typed = primary.binding.driver.as_ref();
    let typed = typed.is_some_and(|d| d.as_str() == "nvidia" || rules.vf_tool(Some(d)).is_some());
    let makes_none = primary.binding.driver.as_ref().is_some_and(|driver| NO_VFS.contains(&driver.as_str()));
    !typed && (!sriov.vfs.is_empty() || (gpu.host_driver && !makes_none && sriov.total > 0))
}
