//! What is asked about a document, and what is answered.

use std::time::Duration;

use gpuvirt_model::{Configuration, PciAddress};
use gpuvirt_plan::config::{Difference, Unnamed};

use crate::{EngineError, Report};

/// `config apply` and `config diff`.
#[derive(Debug, Clone)]
pub struct ConfigRequest {
    /// The document.
    pub config: Configuration,
    /// What becomes of managed GPUs that it does not name.
    pub unnamed: Unnamed,
    /// How far to go.
    pub until: Until,
    /// GPUs that follow the default type are changed with it.
    pub yes: bool,
    /// vGPUs of the document that live already and that somebody else made.
    pub strangers: Strangers,
    /// Longest wait for one write that can block.
    pub deadline: Duration,
}

/// How far a document is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// What it would change of what is stored.
    Differences,
    /// The plans too, and whatever is in their way.
    Plans,
    /// All of it.
    Done,
}

/// What becomes of vGPUs that the document names and that others made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strangers {
    /// They are in the way: what we did not make we don't take.
    Left,
    /// From now on they are ours, where GPU and profile are those of the document. The host is not changed for it.
    Adopted,
}

/// What a document changed, or would change.
#[derive(Debug)]
pub struct ConfigReport {
    /// Of the host's defaults.
    pub host: Vec<Difference>,
    /// Of each GPU that it means or affects, by address.
    pub gpus: Vec<GpuReport>,
}

/// What a document changed of one GPU.
#[derive(Debug)]
pub struct GpuReport {
    /// The GPU.
    pub address: PciAddress,
    /// What is stored differently.
    pub differences: Vec<Difference>,
    /// What was done, or why not.
    pub result: Result<Report, EngineError>,
}
