//! Steps, carried out: for each the state is re-read first, then comes exactly one write, then the state is read back.
//!
//! The end is judged by what is there, never by the write's answer: `drivers_probe` succeeds when nothing was bound,
//! and a removal can succeed and leave its device. A step that finds its end reached already writes nothing.

mod binding;
mod mdev;
mod mig;
mod module;
mod nvidia_vfio;
mod power_control;
mod settle;
mod shell;
mod sriov;
mod step;
mod vendor;
mod vgpu_params;

pub(crate) use mig::program_error;
pub use shell::shell;
pub(crate) use step::perform;
