//! Decisions, pure: values in, values out.
//!
//! `(observed, desired) -> Plan` is an ordered list of [`Step`]s as data. Checks say why a plan must not run,
//! audit says that a plan keeps its invariants, verification says whether the host is as promised, and undo is
//! a plan like any other, from what is now to the snapshot.

pub mod explain_code;
pub mod gpu;
pub mod step;

pub use gpu::{domains_using, pending_reason};
pub use step::{Plan, Snapshot, Step};
