//! Recorded hosts: umockdev dumps and snapshots, read and written, behind the [`Sysfs`](gpuvirt_host::Sysfs) seam.
//!
//! A recording stands where the kernel stands: the production inventory reads it with the same code as a live
//! host. It is read-only; the fake kernel makes a live one of it.
//!
//! [`dump`] indexes a umockdev dump, [`tree`] has the folders that a dump lacks, [`recorded`] answers as a
//! [`Sysfs`](gpuvirt_host::Sysfs), [`snapshot`] writes what loads again, [`made`] makes hosts up for tests.

pub mod archive;
mod attribute;
pub mod bytes;
mod command_line;
mod devices;
pub mod dump;
pub mod error;
pub mod escape;
mod file_names;
pub mod host_names;
pub mod kernel_text;
mod looked;
pub mod made;
pub mod made_catalog;
pub mod made_hosts;
pub mod made_snapshot;
pub mod made_whole;
pub mod manifest;
mod missing;
mod module_lines;
pub mod notes;
mod parameter;
mod rebuilt;
pub mod record;
pub mod recorded;
pub mod redact;
pub mod resolve;
mod sentence;
mod serial_number;
pub mod snapshot;
pub mod tree;

pub use error::RecordingError;
pub use manifest::Manifest;
pub use recorded::RecordedHost;
pub use snapshot::{SnapshotOptions, write_snapshot};
