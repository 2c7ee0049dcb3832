//! `gpuvirt vgpu ...`

use clap::{Args, Subcommand};
use gpuvirt_api::GpuSelector;
use uuid::Uuid;

use super::parse_name;

/// Verbs on vGPUs.
#[derive(Debug, Subcommand)]
pub enum VgpuCommand {
    /// List the vGPUs that exist now, whoever made them. Changes nothing
    ///
    /// Example: gpuvirt vgpu list
    List,
    /// Show one vGPU: parent, profile, group, VMs, holders. Changes nothing
    ///
    /// Example: gpuvirt vgpu show 7b0a4f6e-2f7b-4e1c-9a53-0c5d6a2f1e88
    Show {
        /// Its UUID
        id: Uuid,
    },
    /// Create a vGPU on a GPU of type shared-direct. Changes the host
    ///
    /// Says its UUID, which a VM's definition names (`gpuvirt vm add VM --vgpu UUID`). Refused when the capacity of
    /// the profile is used up.
    ///
    /// Example: gpuvirt vgpu create --gpu 41:00.0 --profile nvidia_a40-24c
    Create(CreateArgs),
    /// Remove a vGPU that gpuvirt made and nobody holds. Changes the host
    ///
    /// Example: gpuvirt vgpu remove 7b0a4f6e-2f7b-4e1c-9a53-0c5d6a2f1e88
    Remove(RemoveArgs),
}

/// `vgpu create`
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// The GPU: its address or label
    #[arg(long, value_name = "GPU")]
    pub gpu: GpuSelector,
    /// The profile, as `gpuvirt profile list` shows it
    #[arg(long, value_name = "PROFILE", value_parser = parse_name)]
    pub profile: String,
    /// The UUID to give it; chosen by gpuvirtd when left out
    #[arg(long, value_name = "UUID")]
    pub uuid: Option<Uuid>,
    /// Show the plan, as sentences and as the equivalent shell writes; change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// `vgpu remove`
#[derive(Debug, Args)]
pub struct RemoveArgs {
    /// Its UUID
    pub id: Uuid,
    /// Show the plan, as sentences and as the equivalent shell writes; change nothing
    #[arg(long)]
    pub dry_run: bool,
}
