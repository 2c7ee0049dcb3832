//! IOMMU groups: the unit of isolation, and so of passthrough.

use serde::{Deserialize, Serialize};

use crate::{Function, PciAddress};

/// An IOMMU group: the functions that can reach each other's DMA and move together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IommuGroup {
    /// The number, stable until reboot only.
    pub id: u32,
    /// Every PCI member, bridges included.
    pub members: Vec<PciAddress>,
    /// Members that are no PCI functions (a mediated device's uuid, a platform device).
    pub others: Vec<String>,
    /// The group's default domain type (`DMA`, `DMA-FQ`, `identity`), when it is shown.
    pub domain_type: Option<String>,
    /// Made by VFIO's no-IOMMU mode: no isolation at all.
    pub noiommu: bool,
}

/// What a member is to the card whose group it shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemberRole {
    /// A function of the card itself.
    Card,
    /// A bridge: never bound for passthrough, ignored by the viability rule.
    Bridge,
    /// Another device, but with no driver that does DMA: harmless as it is.
    Idle,
    /// Another device with a host driver: the group can't be given away.
    Foreign,
}

impl MemberRole {
    /// The role of `member` in the group of a card made of `card`'s functions.
    ///
    /// The kernel's rule since 5.19 (`iommu_group_claim_dma_owner`): a group can be claimed when no member has a
    /// driver that manages DMA for the host; `pcieport` and VFIO drivers say `driver_managed_dma` and don't count.
    pub fn of(member: &Function, card: &[PciAddress]) -> Self {
        if card.contains(&member.address) {
            return Self::Card;
        }
        if member.identity.class.is_bridge() {
            return Self::Bridge;
        }
        match &member.binding.driver {
            Some(driver) if !driver.leaves_group_viable() => Self::Foreign,
            _ => Self::Idle,
        }
    }
}
