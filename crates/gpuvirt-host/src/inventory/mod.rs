//! The inventory: one pass over sysfs, from all PCI functions to the picture that decisions are made on.
//!
//! The class of every function decides what it is; only GPUs, the members of their IOMMU groups and their virtual
//! functions are read in full. What makes no sense is noted with its file and value, and the rest is shown. Nothing
//! here writes, and nothing wakes a sleeping card.

mod boot;
mod bus;
mod driver;
mod extent;
mod folder;
mod function;
mod gpu;
mod host;
mod iommu;
mod mdev;
mod migration;
mod names;
pub(crate) mod nodes;
mod nvidia_vfio;
mod pass;
mod rules;
mod sriov;
mod usage;
mod vgpu_params;

pub(crate) use boot::release as kernel_release;
pub(crate) use bus::is_primary;
pub(crate) use extent::Extent;
pub(crate) use host::{service_processes, vfio_pci_built_in};
pub(crate) use mdev::parent_in;
pub(crate) use nodes::sound_cards;
pub(crate) use pass::{Known, observe};
pub use rules::{GpuMatch, GpuMatchError, GpuRules};
