//! The wire between `gpuvirt` and `gpuvirtd`: versioned documents and requests.
//!
//! A document is made from model values by pure functions here ([`gpu::GpuDocument::new`] and its siblings), so that
//! the daemon and a command that reads the host by itself show the same thing.

#[cfg(feature = "client")]
pub mod client;
pub mod config;
pub mod doctor;
pub mod error;
pub mod event;
pub mod gpu;
pub mod hook;
pub mod host;
pub mod import;
pub mod list;
pub mod mig;
pub mod migration;
#[cfg(feature = "schema")]
pub mod openapi;
pub mod passthrough;
pub mod profile;
pub mod request;
pub mod route;
pub mod selector;
pub mod status;
pub mod vgpu;
pub mod vm;
pub mod xml;

#[cfg(feature = "client")]
pub use client::{Client, ClientError, EventStream, Told};
pub use config::{ApplyConfig, ConfigChange, ConfigUntil, GpuChange, GpuOutcome};
pub use doctor::{DoctorDocument, TestimonyDocument, Unchecked};
pub use error::{ApiError, ErrorKind};
pub use gpu::GpuDocument;
pub use gpuvirt_plan::capacity::{Capacity, GpuCapacity};
pub use gpuvirt_plan::placement::Choice;
pub use hook::{HookAnswer, HookCall, HookEvent};
pub use host::HostDocument;
pub use list::{API_VERSION, List, Source};
pub use mig::{CreateGpuInstances, GpuInstanceDocument, MigDocument};
pub use migration::MigrationDocument;
pub use passthrough::PassthroughDocument;
pub use profile::{OfferingFunction, ProfileDocument};
pub use request::{
    Change, CreateVgpu, MOST_VGPUS, RemoveVgpus, SetCordon, SetHost, SetType, SetVgpuParams, VmAdd, VmAdopt,
    VmGuestDriver, VmRemove, VmStart,
};
pub use selector::GpuSelector;
pub use status::StatusDocument;
pub use vgpu::VgpuDocument;
pub use vm::VmDocument;
pub use xml::XmlDocument;
