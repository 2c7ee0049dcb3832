//! Whether a VM with GPUs can move to another host while it runs, and why not.
//!
//! ```text
//! the VM's devices --> device (kernel, driver) --+
//! versions of kernel, libvirt, QEMU -------------+--> Migration <-- target (the other host)
//! ```
//!
//! It says what stands in the way as far as this host and a recording of the other show it; libvirt and the driver have the last
//! word. Sources: libvirt's news for 8.6.0 and QEMU's for 8.1.0 (VFIO migration), QEMU's docs/devel/migration/vfio.rst (no
//! post-copy; several devices need P2P), Linux's include/uapi/linux/vfio.h of 5.18 (migration version 2), Red Hat's "Live migrating
//! a virtual machine with an attached NVIDIA vGPU" (equal driver versions on both hosts, no vIOMMU), NVIDIA AI Enterprise's "Live
//! Migration" (hosts).

mod check;
mod device;
mod readiness;
mod target;

pub use check::{Answer, Check};
pub use device::{of_device, of_profile};
pub use readiness::{Migration, Need, of_devices, of_domain};
pub use target::{Target, compare};
