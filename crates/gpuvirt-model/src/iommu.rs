//! IOMMU groups: the unit of isolation, and so of passthrough.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Function, PciAddress};

/// The kernel's driver of PCI Express ports, which does no DMA (drivers/pci/pcie/portdrv.c).
const PORT_DRIVER: &str = "pcieport";

/// An IOMMU group: the functions that can reach each other's DMA and move together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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

impl IommuGroup {
    /// The members that are not among `functions`: they could not be read, so nothing is known of them.
    pub fn unread<'a>(
        &'a self,
        functions: &'a BTreeMap<PciAddress, Function>,
    ) -> impl Iterator<Item = PciAddress> + 'a {
        self.members.iter().copied().filter(|member| !functions.contains_key(member))
    }

    /// Whether the list of members itself was read: it then has the functions that say they are in the group.
    pub fn is_listed(&self, functions: &BTreeMap<PciAddress, Function>) -> bool {
        let says_so = functions.values().filter(|function| function.iommu_group == Some(self.id));
        says_so.map(|function| function.address).all(|address| self.members.contains(&address))
    }
}

/// What a member is to the card whose group it shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum MemberRole {
    /// A function of the card itself.
    Card,
    /// A bridge without a driver or with the kernel's port driver: ignored by the viability rule.
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
    /// driver that manages DMA for the host; `pcieport` and VFIO drivers say `driver_managed_dma` and don't count. It
    /// asks for the driver, never for the class: an ISA bridge with `lpc_ich`, or a PCI bridge with `shpchp`, is in the
    /// way. So is a member of which it is not known whether it has a driver.
    pub fn of(member: &Function, card: &[PciAddress]) -> Self {
        if card.contains(&member.address) {
            return Self::Card;
        }
        let bridge = member.identity.class.is_bridge();
        match &member.binding.driver {
            None if member.binding_unknown.is_some() => Self::Foreign,
            None if bridge => Self::Bridge,
            None => Self::Idle,
            Some(driver) if bridge && driver.as_str() == PORT_DRIVER => Self::Bridge,
            Some(driver) if driver.leaves_group_viable() => Self::Idle,
            Some(_) => Self::Foreign,
        }
    }
}
