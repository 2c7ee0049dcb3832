//! libvirt domain XML, pure: what a domain has is read, what a guest gets is written, and both meet in an
//! existing document whose every other byte stays as it was.
//!
//! ```text
//! XML of a domain --read--> DomainXml (hostdevs, topology, what is taken)
//! XML + Device    --edit::add / edit::remove--> XML, ready to be defined
//! Device          --fragment--> the <hostdev> alone, for people
//! ```
//!
//! Nothing here does I/O, talks to libvirt or makes up uuids. The documents hold passwords (they are read with
//! their secrets, else a define would lose them), so no error of this crate quotes their content beyond names
//! and addresses of devices.

pub mod edit;
mod element;
pub mod error;
mod guest;
pub mod hostdev;
mod limits;
mod machine;
mod metadata;
mod node;
mod place;
pub mod read;
pub mod request;
mod splice;

pub use edit::{Added, Device, EditError, Removed, add, remove};
pub use error::XmlError;
pub use hostdev::{GpuForGuest, GpuForGuestError, Placement, gpu_fragment, mdev_fragment, vgpu_fragment};
pub use machine::machine;
pub use metadata::set_requests;
pub use read::{DomainXml, GuestAddress, PciController, PciTopology, read};
