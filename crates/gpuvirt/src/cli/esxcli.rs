//! `gpuvirt esxcli ...`: the words that ESXi's command has for graphics, with its options.

use clap::{ArgGroup, Args, Subcommand};
use gpuvirt_api::GpuSelector;
use gpuvirt_model::{AssignmentPolicy, ConfiguredType, VgpuMode};

/// esxcli's namespaces; one of them is about GPUs.
#[derive(Debug, Subcommand)]
pub enum EsxcliCommand {
    /// GPUs, as `esxcli graphics` has them
    #[command(subcommand)]
    Graphics(GraphicsCommand),
}

/// What `esxcli graphics` knows.
#[derive(Debug, Subcommand)]
pub enum GraphicsCommand {
    /// Graphics devices
    #[command(subcommand)]
    Device(EsxcliDeviceCommand),
    /// The host's graphics properties
    #[command(subcommand)]
    Host(EsxcliHostCommand),
    /// VMs with graphics devices
    #[command(subcommand)]
    Vm(EsxcliVmCommand),
}

/// `esxcli graphics device`
#[derive(Debug, Subcommand)]
pub enum EsxcliDeviceCommand {
    /// List the GPUs with their active type, or with the configured one. Changes nothing
    ///
    /// In the form that ESXi prints. `Graphics Type` is Basic, Shared, Direct or SharedPassthru; with --configured-type
    /// it is None for a GPU that gpuvirt does not manage, and Direct for one that is to be passed through. Memory is 0
    /// where its driver does not tell. VMs are those that run with the GPU, whole or with a vGPU of it. JSON and YAML are
    /// those of `gpuvirt gpu list`.
    ///
    /// Example: gpuvirt esxcli graphics device list --configured-type
    List {
        /// Show the configured type, not the active one
        #[arg(long)]
        configured_type: bool,
    },
    /// Give a GPU a type or a vGPU mode, as `gpuvirt gpu set` does. Changes the host and the configuration
    ///
    /// It is in force at once, or pending with the reason: nothing has to be restarted. Nothing goes to stdout, as with
    /// ESXi; what was done stands on stderr.
    ///
    /// Example: gpuvirt esxcli graphics device set -d 0000:41:00.0 -t SharedPassthru -m MixedSize
    Set(EsxcliSetArgs),
    /// Statistics of GPUs
    #[command(subcommand)]
    Stats(EsxcliStatsCommand),
}

/// `esxcli graphics device set`
#[derive(Debug, Args)]
#[group(skip)]
#[command(group = ArgGroup::new("property").required(true).multiple(true).args(["graphics_type", "vgpu_mode"]))]
pub struct EsxcliSetArgs {
    /// The address of the GPU (0000:0f:00.0)
    #[arg(short, long, value_name = "SBDF")]
    pub device_id: GpuSelector,
    /// Shared or SharedPassthru
    #[arg(short = 't', long = "type", value_name = "TYPE", value_parser = parse_type)]
    pub graphics_type: Option<ConfiguredType>,
    /// MixedSize or SameSize: which vGPUs may live together on it
    #[arg(short = 'm', long, value_name = "MODE", value_parser = parse_mode)]
    pub vgpu_mode: Option<VgpuMode>,
}

/// `esxcli graphics device stats`
#[derive(Debug, Subcommand)]
pub enum EsxcliStatsCommand {
    /// How busy each GPU is, its vGPUs and its VMs. Changes nothing
    ///
    /// In a form of our own: what its driver does not tell is unknown. JSON and YAML are those of `gpuvirt gpu list`.
    ///
    /// Example: gpuvirt esxcli graphics device stats list
    List,
}

/// `esxcli graphics host`
#[derive(Debug, Subcommand)]
pub enum EsxcliHostCommand {
    /// Show the default type and the assignment policy. Changes nothing
    ///
    /// In the form that ESXi prints. JSON and YAML are those of `gpuvirt host show`.
    ///
    /// Example: gpuvirt esxcli graphics host get
    Get,
    /// Change the default type or the policy, as `gpuvirt host set` does. Changes the configuration, and GPUs that follow
    ///
    /// Nothing goes to stdout, as with ESXi; what was done stands on stderr.
    ///
    /// Example: gpuvirt esxcli graphics host set --shared-passthru-assignment-policy Consolidation
    Set(EsxcliHostSetArgs),
    /// Look at the host anew, as `gpuvirt host refresh` does. Changes GPUs that wait, where they can go on
    ///
    /// Nothing goes to stdout, as with ESXi; what changed stands on stderr.
    ///
    /// Example: gpuvirt esxcli graphics host refresh
    Refresh,
}

/// `esxcli graphics host set`
#[derive(Debug, Args)]
#[group(skip)]
#[command(group = ArgGroup::new("property").required(true).multiple(true).args(["default_type", "shared_passthru_assignment_policy"]))]
pub struct EsxcliHostSetArgs {
    /// Shared or SharedPassthru
    #[arg(long, value_name = "TYPE", value_parser = parse_type)]
    pub default_type: Option<ConfiguredType>,
    /// Performance or Consolidation
    #[arg(long, value_name = "POLICY")]
    pub shared_passthru_assignment_policy: Option<AssignmentPolicy>,
    /// Change the GPUs that follow the default type with it; ESXi has no such option
    #[arg(long, requires = "default_type")]
    pub yes: bool,
}

/// `esxcli graphics vm`
#[derive(Debug, Subcommand)]
pub enum EsxcliVmCommand {
    /// List the VMs that run with GPUs or vGPUs. Changes nothing
    ///
    /// In a form of our own. JSON and YAML are those of `gpuvirt gpu list`.
    ///
    /// Example: gpuvirt esxcli graphics vm list
    List,
}

/// esxcli's two types, in any of vSphere's spellings.
fn parse_type(text: &str) -> Result<ConfiguredType, String> {
    match text.parse() {
        Ok(kind @ (ConfiguredType::Shared | ConfiguredType::SharedDirect)) => Ok(kind),
        Ok(ConfiguredType::Direct) => {
            Err("write Shared or SharedPassthru; passthrough is gpuvirt gpu set GPU --type direct".to_owned())
        }
        Ok(ConfiguredType::Default) | Err(_) => Err("write Shared or SharedPassthru".to_owned()),
    }
}

/// esxcli's two modes.
fn parse_mode(text: &str) -> Result<VgpuMode, String> {
    match text.parse() {
        Ok(mode @ (VgpuMode::SameSize | VgpuMode::MixedSize)) => Ok(mode),
        Ok(VgpuMode::Mig) => Err(
            "write MixedSize or SameSize; MIG is gpuvirt gpu set GPU --type shared-direct --vgpu-mode mig"
                .to_owned(),
        ),
        Err(_) => Err("write MixedSize or SameSize".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::cli::Cli;

    #[test]
    fn every_option_of_esxcli_is_understood() {
        for line in [
            "device list",
            "device list --configured-type",
            "device set -d 0000:0f:00.0 -t Shared",
            "device set --device-id=0000:0f:00.0 --type=SharedPassthru",
            "device set -d 0000:0f:00.0 -t SharedPassthru -m MixedSize",
            "device set -d 0000:0f:00.0 --vgpu-mode SameSize",
            "device stats list",
            "host get",
            "host set --default-type SharedPassthru",
            "host set --default-type=Shared --shared-passthru-assignment-policy=Performance",
            "host set --shared-passthru-assignment-policy Consolidation",
            "host refresh",
            "vm list",
        ] {
            let words = ["gpuvirt", "esxcli", "graphics"].into_iter().chain(line.split(' '));
            assert!(Cli::try_parse_from(words).is_ok(), "{line}");
        }
    }
}
