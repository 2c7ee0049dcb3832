//! Writes, and a few reads, that the kernel may keep waiting, in a process of their own.
//!
//! `unbind`, `remove` and `sriov_numvfs` wait for as long as somebody holds the device (drivers/vfio/vfio_main.c,
//! `vfio_unregister_group_dev`), and a signal only turns that wait into one that nothing ends; `drivers_probe` waits
//! for the driver. Meanwhile the device is locked, and attributes that take its lock wait as well. So the daemon never
//! makes such a write or read itself: a *writer*, our own program started again, does, and is left alone at the
//! deadline. While it writes it announces what, so that a daemon started later finds it.
//!
//! The writer goes into a session of its own, so that no terminal's or supervisor's signal to our group reaches it.
//! systemd's `KillMode=control-group` would still: the units keep it out (`KillMode=process`). Under the packaged units
//! writers are no children of the daemon, which has no right to write: a service of its own ([`listen()`]) starts one for each
//! connection to its socket. Every write to the host, those that can't block too, is made by a writer.
//!
//! A writer of that service trusts nobody with its rights: it makes the writes and reads of a fixed list, as every writer does,
//! and runs the programs that the admin's configuration names.

mod announce;
mod begun;
mod left;
mod listen;
mod module;
mod origin;
mod others;
mod process;
mod programs;
mod read;
mod request;
mod serve;
mod write;

pub use announce::{BlockingAct, WaitingWriter, waiting_writers};
pub(crate) use announce::{LINK, announced_in, named, nobody_writes};
pub use listen::listen;
pub(crate) use module::ModuleName;
pub use origin::{WriterCommand, WriterOrigin};
pub(crate) use others::Others;
pub(crate) use process::Writers;
pub use programs::Programs;
pub(crate) use read::BlockingRead;
pub use serve::writer_main;
pub use write::{BlockingWrite, BlockingWriteError};
