//! Programs that are installed, and services.

use std::collections::BTreeMap;

use super::process::Process;

/// What a program of the fake host is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// Makes and removes virtual functions, as NVIDIA's `sriov-manage` does.
    VfTool,
    /// Sets modes of the card, as `nvidia-smi` does.
    Command,
    /// `systemctl`.
    ServiceManager,
}

/// The programs that are installed, and the services.
#[derive(Debug, Default)]
pub(crate) struct Programs {
    pub(crate) installed: BTreeMap<String, Program>,
    pub(crate) services: BTreeMap<String, Service>,
}

/// A service, and the process that it is while it runs.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) pid: u32,
    pub(crate) process: Process,
    /// It does not stop when it is told to.
    pub(crate) stubborn: bool,
}
