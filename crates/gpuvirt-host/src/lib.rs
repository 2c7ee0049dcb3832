//! The Linux host: everything that reads or writes kernel files.
//!
//! [`Sysfs`] is the one seam: below it is the real kernel ([`LinuxSysfs`]), a recorded host or the fake kernel;
//! above it is the same production code in all three cases ([`LinuxHost`]). Only this crate names kernel paths.

pub mod domain;
mod error;
mod files;
pub mod foreign;
mod health;
mod holders;
mod host;
mod inventory;
mod linux;
mod memory;
mod mig;
mod modprobe;
mod open;
pub mod owner;
pub mod parse;
mod paths;
mod perform;
#[cfg(test)]
mod plain_tree;
mod program;
pub mod sysfs;
pub mod uevent;
mod vendor;
#[cfg(feature = "vfio-probe")]
pub mod vfio_probe;
mod writer;

pub use error::HostError;
pub use host::{LinuxHost, ObserveScope, host_health, host_inventory};
pub use inventory::{GpuMatch, GpuMatchError, GpuRules};
pub use linux::LinuxSysfs;
pub use perform::shell;
pub use sysfs::{DeviceNumber, ReadError, Sysfs, WriteError};
pub use vendor::{ProgramCall, ProgramCallError, ProgramEnd, ProgramError};
pub use writer::{
    BlockingAct, BlockingWrite, BlockingWriteError, Programs, WaitingWriter, WriterCommand, WriterOrigin,
    listen, waiting_writers, writer_main,
};
