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
pub mod config;
pub mod engine;
pub mod ports;
mod recover;
mod removal;
mod restore;
mod switch;
mod unset;
mod vgpu;
mod vm;

pub use config::{ConfigReport, ConfigRequest, GpuReport, Until};
pub use engine::{
    CreateRequest, DeviceRequest, Engine, EngineError, Removal, RemoveRequest, Report, SwitchRequest, View,
};
pub use gpuvirt_plan::vgpu::Wish;
