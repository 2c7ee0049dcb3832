//! Writes, and a few reads, that the kernel may keep waiting, in a process of their own.
//!
//! `unbind`, `remove` and `sriov_numvfs` wait for as long as somebody holds the device (drivers/vfio/vfio_main.c,
//! `vfio_unregister_group_dev`), and a signal only turns that wait into one that nothing ends; `drivers_probe` waits
//! for the driver. Meanwhile the device is locked, and attributes that take its lock wait as well. So the daemon never
//! makes such a write or read itself: a *writer*, our own program started again, does, and is left alone at the
//! deadline. While it writes it announces what, so that a daemon started later finds it.
//!
//! The writer goes into a session of its own, so that no terminal's or supervisor's signal to our group reaches it.
//! systemd's `KillMode=control-group` would still: the daemon's unit has to keep it out (`KillMode=process`, or a
//! scope of its own for the writer).

mod announce;
mod left;
mod process;
mod request;
mod serve;

pub use announce::{BlockingAct, WaitingWriter, waiting_writers};
pub(crate) use announce::{LINK, announced_in};
pub use process::WriterCommand;
pub(crate) use process::Writers;
pub(crate) use request::BlockingRead;
pub use request::{BlockingWrite, BlockingWriteError};
pub use serve::writer_main;
