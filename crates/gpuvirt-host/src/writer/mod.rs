//! Writes, and a few reads, that the kernel may keep waiting, in a process of their own.
//!
//! `unbind`, `remove` and `sriov_numvfs` wait for as long as somebody holds the device (drivers/vfio/vfio_main.c,
//! `vfio_unregister_group_dev`), and a signal only turns that wait into one that nothing ends; `drivers_probe` waits
//! for the driver. Meanwhile the device is locked, and attributes that take its lock wait as well. So the daemon never
//! makes such a write or read itself: a *writer*, our own program started again, does, and is left alone at the
//! deadline. While it writes it announces what, so that a daemon started later finds it.
//!
//! The writer goes into a session of its own, so that no terminal's or supervisor's signal to our group reaches it.
//! systemd's `KillMode=control-group` would still: the daemon's unit keeps it out (`KillMode=process`). Writers may also be
//! had from a socket, where somebody else starts them. Every write to the host, those that can't block too, is made by one.

mod announce;
mod left;
mod origin;
mod process;
mod request;
mod serve;

pub use announce::{BlockingAct, WaitingWriter, waiting_writers};
pub(crate) use announce::{LINK, announced_in};
pub use origin::{WriterCommand, WriterOrigin};
pub(crate) use process::Writers;
pub(crate) use request::{BlockingRead, ModuleName};
pub use request::{BlockingWrite, BlockingWriteError};
pub use serve::writer_main;
