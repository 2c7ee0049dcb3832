//! What the kernel holds; the files beside this folder, by the same names, are what it does.

mod driver;
mod kernel;
mod mdev;
mod mig;
mod nvidia_vfio;
mod process;
mod program;
mod unbind_lock;

pub(crate) use driver::Driver;
pub(crate) use kernel::{Kernel, Waiting};
pub use mdev::SizeRule;
pub(crate) use mdev::{Live, Pool};
pub(crate) use mig::CutCard;
pub use mig::InstanceKind;
pub(crate) use nvidia_vfio::{Sizes, TypedCard};
pub use process::Process;
pub use program::Program;
pub(crate) use program::Service;
pub(crate) use unbind_lock::LockedCard;
