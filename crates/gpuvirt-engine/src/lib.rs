//! One change, from observe to settle.
//!
//! ```text
//! observe -> plan -> check + audit -> journal -> apply -> verify -> settle
//!    (reads)  (pure)    (pure)        (durable)   (writes)  (fresh read)
//! ```
//!
//! The outside worlds are traits of this crate ([`ports`]); the daemon wires the Linux host, libvirt and the
//! state files to them, tests wire the fake kernel.

mod apply;
mod change;
pub mod engine;
mod mig;
pub mod ports;
mod prepare;
mod recover;
mod switch;
mod unset;
mod vgpu;
mod vm;

pub use engine::{
    CreateGpuInstances, CreateRequest, DeviceRequest, Engine, EngineError, Preparation, RemoveGpuInstances,
    Report, SwitchRequest, View,
};
pub use mig::MigView;
