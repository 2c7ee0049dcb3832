//! The Linux host: everything that reads or writes kernel files.
//!
//! [`Sysfs`] is the one seam: below it is the real kernel ([`LinuxSysfs`]), a recorded host or the fake kernel;
//! above it is the same production code in all three cases. Only this crate names kernel paths.

pub mod linux;
mod modprobe;
pub mod parse;
mod paths;
pub mod sysfs;
pub mod writer;

pub use linux::LinuxSysfs;
pub use sysfs::{DeviceNumber, Sysfs, WriteError};
pub use writer::{WriterCommand, writer_main};
