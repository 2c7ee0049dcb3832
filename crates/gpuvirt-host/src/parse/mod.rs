//! From the text of kernel files to values. Pure: `&str` in, a value or `None` out; no text makes them panic.

pub mod apparmor;
pub mod capability;
pub mod console;
pub mod container;
pub mod cpu;
pub mod interrupts;
pub mod iomem;
pub mod kept_away;
pub mod kernel_config;
pub mod maps;
pub mod mdev;
pub mod mdevctl;
pub mod memory;
pub mod mig;
pub mod modprobe;
pub mod modules;
pub mod nvidia;
pub mod pci;
pub mod pci_ids;
pub mod pci_resource;
pub mod process_limits;
pub mod proxmox;
pub mod sound;
pub mod taken_by_id;
pub mod udev_override;
pub mod vfio_ids;
