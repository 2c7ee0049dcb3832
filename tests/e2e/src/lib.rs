//! End-to-end tests against the QEMU lab that `scripts/lab up` started and `tests/lab/deploy.sh` filled.
//!
//! Every test begins with [`Lab::fresh`], which puts the lab's host into its first state by plain shell writes, never
//! by the code under test, and most end with [`Lab::assert_pristine`]. There is one lab, so tests run one at a time
//! (nextest's profile `lab`). Without a lab they fail: a test that did not run has not passed.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)] // a failed expectation is a failed test

mod at_boot;
mod devices;
mod form;
mod guest;
mod kill;
mod lab;
mod output;
mod provocation;
mod reader;
mod report;
mod stand_in;
mod start;

pub use at_boot::{MODULE_AT_BOOT, NETWORK_AT_BOOT, NOTHING_AT_BOOT};
pub use devices::Devices;
pub use form::Form;
pub use guest::Guest;
pub use kill::{Killed, Moment, Point, RENAME, SET_OVERRIDE, UNLINK};
pub use lab::{Lab, Reboot};
pub use output::Output;
pub use provocation::{Bench, Provocation, Provocations, Seen, Set};
pub use reader::Reader;
pub use report::restored;
pub use stand_in::VfForm;
