//! `gpuvirt mig ...`

use clap::{Args, Subcommand};
use gpuvirt_api::GpuSelector;

/// Verbs on GPU instances.
#[derive(Debug, Subcommand)]
pub enum MigCommand {
    /// List the GPU instances of GPUs, and the profiles that more can be made of. Changes nothing
    ///
    /// Asks gpuvirtd, which asks the vendor's command; waits for a change that is under way.
    ///
    /// Example: gpuvirt mig list 41:00.0
    List {
        /// Those of one GPU only: its address or label
        #[arg(value_name = "GPU")]
        gpu: Option<GpuSelector>,
    },
    /// Make GPU instances on a GPU whose vGPU mode is mig, each with its compute instance. Changes the host
    ///
    /// They are made again after a reboot. Refused when not all of them fit.
    ///
    /// Example: gpuvirt mig create 41:00.0 1g.5gb --count 2
    Create(MigCreateArgs),
    /// Remove GPU instances that gpuvirt made and no vGPU lives on. Changes the host
    ///
    /// Example: gpuvirt mig remove 41:00.0 7
    Remove(MigRemoveArgs),
}

/// `mig create`
#[derive(Debug, Args)]
pub struct MigCreateArgs {
    /// The GPU: its address or label
    pub gpu: GpuSelector,
    /// The profile of GPU instances, as `gpuvirt mig list` shows it
    #[arg(value_parser = parse_profile)]
    pub profile: String,
    /// How many
    #[arg(long, value_name = "N", default_value_t = 1, allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub count: u32,
    /// Show the plan, as sentences and as the equivalent shell lines; change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Names of instance profiles are such as `1g.5gb+me`.
fn parse_profile(text: &str) -> Result<String, String> {
    let sound = super::parse_name(text)?.bytes().all(|b| b.is_ascii_alphanumeric() || b".+_-".contains(&b));
    if sound { Ok(text.to_owned()) } else { Err(format!("{text:?} is no profile of GPU instances")) }
}

/// `mig remove`
#[derive(Debug, Args)]
pub struct MigRemoveArgs {
    /// The GPU: its address or label
    pub gpu: GpuSelector,
    /// The GPU instance, by the number that `gpuvirt mig list` shows
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub id: Option<u32>,
    /// All that gpuvirt made on the GPU
    #[arg(long)]
    pub all: bool,
    /// Show the plan, as sentences and as the equivalent shell lines; change nothing
    #[arg(long)]
    pub dry_run: bool,
}
