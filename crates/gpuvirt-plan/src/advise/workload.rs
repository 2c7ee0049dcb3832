//! What a GPU is wanted for.

use gpuvirt_model::ProfileClass;
use serde::Serialize;

/// A kind of workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Workload {
    /// Office desktops and published applications.
    Vdi,
    /// Workstations: CAD, rendering, editing.
    Cad,
    /// Training models.
    MlTraining,
    /// Serving models.
    Inference,
    /// Transcoding video.
    Transcode,
    /// Games, or a desktop of one's own.
    Gaming,
    /// Builds and tests that come and go.
    Ci,
    /// Computing other than models.
    Hpc,
}

/// What must be given, whatever the workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// A VM moves to another host while it runs.
    Migration,
    /// One VM's load and faults don't reach another's.
    Isolation,
    /// All of a card's speed.
    Performance,
    /// More VMs than cards.
    Density,
    /// No licence of NVIDIA's.
    NoLicence,
}

impl Workload {
    /// Every one, in the order in which they are listed.
    pub const ALL: &'static [Self] = &[
        Self::Vdi,
        Self::Cad,
        Self::MlTraining,
        Self::Inference,
        Self::Transcode,
        Self::Gaming,
        Self::Ci,
        Self::Hpc,
    ];

    /// In words.
    pub fn text(self) -> &'static str {
        match self {
            Self::Vdi => "office desktops, published applications",
            Self::Cad => "workstations: CAD, rendering, editing",
            Self::MlTraining => "training models",
            Self::Inference => "serving models",
            Self::Transcode => "transcoding video",
            Self::Gaming => "games, or a desktop of one's own",
            Self::Ci => "builds and tests that come and go",
            Self::Hpc => "computing other than models",
        }
    }

    /// What of NVIDIA's profiles it takes (NVIDIA virtual GPU software documentation, "vGPU types").
    pub fn class(self) -> ProfileClass {
        match self {
            Self::Vdi => ProfileClass::Desktop,
            Self::Cad | Self::Gaming | Self::Transcode => ProfileClass::Workstation,
            Self::MlTraining | Self::Inference | Self::Ci | Self::Hpc => ProfileClass::Compute,
        }
    }

    /// Why it would rather have a whole card, where it would.
    pub fn wants_whole(self) -> Option<&'static str> {
        match self {
            Self::MlTraining | Self::Hpc => Some("it keeps a whole card busy for as long as it runs"),
            Self::Gaming => Some(
                "it wants a picture at once, a monitor on the card, and drivers for players, which know no vGPUs",
            ),
            Self::Cad => Some("it uses a card's speed and memory in bursts that a share of it cuts off"),
            Self::Vdi | Self::Inference | Self::Transcode | Self::Ci => None,
        }
    }

    /// Why a share of a card will do for it, where it will.
    pub fn wants_share(self) -> Option<&'static str> {
        match self {
            Self::Vdi => Some("a desktop uses a card for moments, and many fit on one"),
            Self::Inference => Some("a served model seldom fills a card's engines"),
            Self::Transcode => Some("a card's video engines serve many streams"),
            Self::Ci => Some("jobs are short and many, and a share is made at each start"),
            Self::Cad | Self::MlTraining | Self::Gaming | Self::Hpc => None,
        }
    }
}
