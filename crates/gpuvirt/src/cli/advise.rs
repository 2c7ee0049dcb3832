//! `gpuvirt advise`

use clap::{Args, ValueEnum};
use gpuvirt_api::GpuSelector;

/// What is to be advised on.
#[derive(Debug, Args)]
pub struct AdviseArgs {
    /// What the GPU is for
    #[arg(long, value_name = "WORKLOAD", value_enum)]
    pub workload: Option<Workload>,
    /// How many VMs run at once with a GPU
    #[arg(long, value_name = "N", default_value_t = 1, allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub vms: u32,
    /// Only this GPU: its address or label
    #[arg(long, value_name = "GPU")]
    pub gpu: Option<GpuSelector>,
    /// What must be given. Repeatable
    #[arg(long, value_name = "NEED", value_enum)]
    pub need: Vec<Need>,
}

/// A kind of workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Workload {
    /// Office desktops, published applications
    Vdi,
    /// Workstations: CAD, rendering, editing
    Cad,
    /// Training models
    MlTraining,
    /// Serving models
    Inference,
    /// Transcoding video
    Transcode,
    /// Games, or a desktop of one's own
    Gaming,
    /// Builds and tests that come and go
    Ci,
    /// Computing other than models
    Hpc,
}

/// What must be given, whatever the workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Need {
    /// A VM moves to another host while it runs
    Migration,
    /// One VM's load and faults don't reach another's
    Isolation,
    /// All of a card's speed
    Performance,
    /// More VMs than cards
    Density,
    /// No licence of NVIDIA's
    NoLicence,
}

impl From<Workload> for gpuvirt_plan::advise::Workload {
    fn from(workload: Workload) -> Self {
        match workload {
            Workload::Vdi => Self::Vdi,
            Workload::Cad => Self::Cad,
            Workload::MlTraining => Self::MlTraining,
            Workload::Inference => Self::Inference,
            Workload::Transcode => Self::Transcode,
            Workload::Gaming => Self::Gaming,
            Workload::Ci => Self::Ci,
            Workload::Hpc => Self::Hpc,
        }
    }
}

impl From<Need> for gpuvirt_plan::advise::Need {
    fn from(need: Need) -> Self {
        match need {
            Need::Migration => Self::Migration,
            Need::Isolation => Self::Isolation,
            Need::Performance => Self::Performance,
            Need::Density => Self::Density,
            Need::NoLicence => Self::NoLicence,
        }
    }
}
