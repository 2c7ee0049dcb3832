//! One change, from observe to settle.
//!
//! ```text
//! observe -> plan -> check + audit -> journal -> apply -> verify -> settle
//!    (reads)  (pure)    (pure)        (durable)   (writes)  (fresh read)
//! ```
//!
//! The outside worlds are traits of this crate ([`ports`]); the daemon wires the Linux host, libvirt and the
//! state files to them, tests wire the fake kernel.

mod adopt;
mod apply;
mod change;
pub mod config;
mod cordon;
mod definition;
pub mod engine;
mod guest_driver;
pub mod hook;
mod host;
mod lend;
mod lock;
mod mark;
mod merge;
mod mig;
mod mig_read;
mod mig_room;
mod not_started;
mod pace;
mod placement;
pub mod ports;
mod prepare;
mod progress;
mod records;
mod recover;
mod released;
mod removal;
mod request;
mod restore;
mod starts;
mod switch;
mod together;
mod turn;
mod under_change;
mod unset;
mod vgpu;
mod vgpu_params;
mod vm;
mod vm_start;
mod when;

pub use config::{ConfigReport, ConfigRequest, GpuReport, Strangers, Until};
pub use cordon::Cordon;
pub use engine::{
    CreateGpuInstances, CreateRequest, DeviceRequest, Engine, EngineError, Preparation, Removal,
    RemoveGpuInstances, RemoveRequest, Report, SwitchRequest, View,
};
pub use gpuvirt_plan::wish::Wish;
pub use host::HostRequest;
pub use mig::MigView;
pub use progress::Working;
pub use request::{VmOrder, VmRequest};
pub use vgpu_params::ParamsRequest;
pub use when::Stirred;
