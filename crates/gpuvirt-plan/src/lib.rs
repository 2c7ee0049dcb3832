//! Decisions, pure: values in, values out.
//!
//! `(observed, desired) -> Plan` is an ordered list of [`Step`]s as data. [`checks`] say why a plan must not run,
//! [`audit`] says that a plan keeps its invariants, [`verify`] says whether the host is as promised, and [`undo`] is
//! a plan like any other, from what is now to the snapshot.

pub mod audit;
pub mod checks;
pub mod claim;
pub mod config;
pub mod driver;
pub mod explain;
pub mod explain_code;
pub mod gpu;
pub mod sriov;
pub mod step;
pub mod switch;
pub mod undo;
pub mod verify;
pub mod vgpu;

pub use gpu::{domains_using, pending_reason};
pub use step::{MdevPlace, Plan, Promise, Snapshot, Step, VfAutoprobe, VfSetting};
