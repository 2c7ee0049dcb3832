//! From the text of kernel files to values. Pure: `&str` in, a value or `None` out; no text makes them panic.

pub mod console;
pub mod container;
pub mod interrupts;
pub mod maps;
pub mod mdev;
pub mod mdevctl;
pub mod memory;
pub mod mig;
pub mod modules;
pub mod nvidia;
pub mod pci;
pub mod pci_ids;
pub mod proxmox;
pub mod sound;
pub mod vfio_ids;
