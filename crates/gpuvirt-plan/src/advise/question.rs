//! The question: what an admin says of the work that is to be done.

use serde::Serialize;

use super::workload::{Need, Workload};

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Question {
    /// What the GPU is for; none: the modes are only compared.
    pub workload: Option<Workload>,
    /// How many VMs run at once.
    pub vms: u32,
    /// What must be given.
    pub needs: Vec<Need>,
}
