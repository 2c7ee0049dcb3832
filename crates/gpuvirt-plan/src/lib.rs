//! Decisions, pure: values in, values out.
//!
//! `(observed, desired) -> Plan` is an ordered list of [`Step`]s as data. [`checks`] say why a plan must not run,
//! [`audit`] says that a plan keeps its invariants, [`verify`] says whether the host is as promised, and [`undo`] is
//! a plan like any other, from what is now to the snapshot.

pub mod advise;
pub mod audit;
pub mod capacity;
pub mod checks;
pub mod claim;
pub mod config;
pub mod diagnose;
pub mod difference;
pub mod drift;
pub mod driver;
pub mod driver_matrix;
pub mod explain;
pub mod explain_code;
pub mod gpu;
pub mod import;
mod initramfs;
pub mod mark;
pub mod mig;
pub mod mig_room;
pub mod migration;
pub mod parameter;
pub mod params;
pub mod placement;
pub mod plan;
pub mod power_control;
pub mod profile;
pub mod promise;
pub mod running;
pub mod setting;
pub mod snapshot;
pub mod sriov;
pub mod step;
pub mod switch;
pub mod undo;
pub mod vendor;
pub mod verify;
mod vfio_ids;
pub mod vgpu;
pub mod wanted;
pub mod wish;

pub use gpu::{domains_using, pending, pending_reason, undecided};
pub use mark::{Marks, Performed};
pub use plan::Plan;
pub use promise::Promise;
pub use setting::{
    MdevPlace, MigLayout, MigMode, MixedSize, MixedSizeSetting, UnbindLock, VfAutoprobe, VfSetting,
};
pub use snapshot::Snapshot;
pub use step::Step;
pub use wanted::Wanted;
