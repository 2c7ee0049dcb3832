//! One suite of named behaviours of the kernel's device files, written against [`Sysfs`](gpuvirt_host::Sysfs).
//!
//! It runs on the fake kernel in every test run, and on the real kernel in the lab: what the fake answers, the real
//! one has answered. A behaviour is what the kernel does whatever gpuvirt wants; nothing of gpuvirt is tested here.

mod attributes;
mod behaviour;
mod bench;
mod binding;
mod group;
mod mdev;
mod nvidia_vfio;
mod probing;
mod removal;
mod restore;
mod run;
mod sriov;
mod testbed;
mod vfio;

pub use behaviour::{Behaviour, all, table};
pub use run::{Outcome, Report, run};
pub use testbed::{Testbed, TestbedError};
