//! This machine: the real kernel behind the seam.

mod read;
mod root;
mod seam;

pub use seam::LinuxSysfs;
pub(crate) use seam::write_once;
