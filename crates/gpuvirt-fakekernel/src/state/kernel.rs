//! All that the kernel holds.

use std::collections::{BTreeMap, BTreeSet};

use gpuvirt_model::PciAddress;

use super::driver::Drivers;
use super::mdev::Pools;
use super::mig::CutCard;
use super::nvidia_vfio::TypedCard;
use super::process::Process;
use super::program::Programs;
use super::unbind_lock::LockedCard;
use crate::files::{Files, Node};
use crate::inject::Faults;
use crate::writes::Written;

/// The state behind the lock.
#[derive(Debug, Default)]
pub(crate) struct Kernel {
    pub(crate) files: Files,
    pub(crate) drivers: Drivers,
    /// What a driver had put below a function, kept while it is away: `(path, entry)` in order.
    pub(crate) put_away: BTreeMap<(PciAddress, String), Vec<(String, Node)>>,
    /// Drivers that let a function sleep once they have it (`pm_runtime_allow`).
    pub(crate) let_sleep: BTreeSet<String>,
    /// Functions that were removed and that a rescan finds again.
    pub(crate) unplugged: BTreeMap<PciAddress, Vec<(String, Node)>>,
    pub(crate) pools: Pools,
    pub(crate) typed_cards: Vec<TypedCard>,
    pub(crate) cut_cards: BTreeMap<PciAddress, CutCard>,
    /// Cards on which sizes of vGPUs may be mixed now.
    pub(crate) mixed: BTreeMap<PciAddress, bool>,
    /// Cards that can do that.
    pub(crate) takes_mixed: BTreeSet<PciAddress>,
    pub(crate) locks: BTreeMap<PciAddress, LockedCard>,
    pub(crate) programs: Programs,
    pub(crate) processes: BTreeMap<u32, Process>,
    pub(crate) faults: Faults,
    /// After how many writes whoever writes dies.
    pub(crate) dies_after: Option<usize>,
    pub(crate) waiting: Vec<Waiting>,
    pub(crate) log: Vec<Written>,
    pub(crate) unmodelled: BTreeSet<String>,
    pub(crate) strict: bool,
    /// Writers that waited so far.
    pub(crate) writers: u32,
}

/// A write that the kernel keeps waiting.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    pub(crate) path: String,
    pub(crate) data: Vec<u8>,
    /// The function that it holds locked.
    pub(crate) function: Option<PciAddress>,
    /// The program whose run it is.
    pub(crate) call: Option<gpuvirt_host::ProgramCall>,
    /// The mediated device whose removal it is: its file is gone already.
    pub(crate) mdev: Option<String>,
    /// The process that waits.
    pub(crate) writer: u32,
}
