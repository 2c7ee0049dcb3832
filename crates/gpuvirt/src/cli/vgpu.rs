//! `gpuvirt vgpu ...`

use clap::{Args, Subcommand};
use gpuvirt_api::{GpuSelector, MOST_VGPUS};
use gpuvirt_model::params::VgpuParamError;
use gpuvirt_model::{VgpuId, VgpuParams};
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
        /// Its UUID, or the address of the virtual function that it is
        id: VgpuId,
    },
    /// Create vGPUs on a GPU of type shared-direct. Changes the host
    ///
    /// Without --gpu, gpuvirt chooses among the GPUs that can take it, as the host's assignment policy says; --explain
    /// prints the choice and why it was not another.
    ///
    /// Says what names each: its UUID, or the address of the virtual function that it is. A VM's definition gets it by
    /// `gpuvirt vm add VM --vgpu ID`. Several are made in one change, all of them or none. Refused when the capacity of
    /// the profile is used up.
    ///
    /// Example: gpuvirt vgpu create --gpu 41:00.0 --profile nvidia_a40-24c
    Create(CreateArgs),
    /// Set the parameters of a vGPU that gpuvirt made and nobody holds. Changes the host
    ///
    /// They take effect when a VM starts on it. Parameters that are not named stay as they are, unless they are cleared.
    ///
    /// Example: gpuvirt vgpu set 7b0a4f6e-2f7b-4e1c-9a53-0c5d6a2f1e88 --param frame_rate_limiter=0
    Set(SetParamsArgs),
    /// Remove vGPUs that gpuvirt made and nobody holds. Changes the host
    ///
    /// Several are removed in one change, all of them or none. They do not come back after a reboot.
    ///
    /// Example: gpuvirt vgpu remove 7b0a4f6e-2f7b-4e1c-9a53-0c5d6a2f1e88
    Remove(RemoveArgs),
}

/// `vgpu create`
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// The GPU: its address or label; chosen by gpuvirtd when left out
    #[arg(long, value_name = "GPU")]
    pub gpu: Option<GpuSelector>,
    /// The profile, as `gpuvirt profile list` shows it
    #[arg(long, value_name = "PROFILE", value_parser = parse_name)]
    pub profile: String,
    /// How many; as many as there are --uuid when left out
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_VGPUS)))]
    pub count: Option<u32>,
    /// The UUID to give it, where it is a mediated device; chosen by gpuvirtd when left out. Repeatable
    #[arg(long, value_name = "UUID")]
    pub uuid: Vec<Uuid>,
    /// Say why the vGPU is placed where it is, and why on no other GPU
    #[arg(long, conflicts_with = "gpu")]
    pub explain: bool,
    /// A parameter for its driver, e.g. frame_rate_limiter=0. Repeatable
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_param)]
    pub param: Vec<VgpuParams>,
    /// Show the plan, as sentences and as the equivalent shell writes; change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// `vgpu set`
#[derive(Debug, Args)]
pub struct SetParamsArgs {
    /// Its UUID, or the address of the virtual function that it is
    pub id: VgpuId,
    /// A parameter for its driver, e.g. frame_rate_limiter=0. Repeatable
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_param, required_unless_present = "clear_params")]
    pub param: Vec<VgpuParams>,
    /// Clear all parameters; with --param, all but those
    #[arg(long)]
    pub clear_params: bool,
    /// Show the plan, as sentences and as the equivalent shell writes; change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// One `name=value`.
fn parse_param(text: &str) -> Result<VgpuParams, VgpuParamError> {
    let mut params = VgpuParams::default();
    params.add(text)?;
    Ok(params)
}

/// `vgpu remove`
#[derive(Debug, Args)]
pub struct RemoveArgs {
    /// Its UUID, or the address of the virtual function that it is
    #[arg(required_unless_present = "gpu", num_args = 1.., value_name = "ID")]
    pub ids: Vec<VgpuId>,
    /// With --all, the GPU: its address or label
    #[arg(long, value_name = "GPU", requires = "all", conflicts_with = "ids")]
    pub gpu: Option<GpuSelector>,
    /// Every vGPU that gpuvirt made on the GPU, and none of others
    #[arg(long, requires = "gpu")]
    pub all: bool,
    /// Show the plan, as sentences and as the equivalent shell writes; change nothing
    #[arg(long)]
    pub dry_run: bool,
}
