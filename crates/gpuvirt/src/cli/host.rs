//! `gpuvirt host ...` and `gpuvirt capacity`

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use gpuvirt_model::{AssignmentPolicy, ConfiguredType};

use super::parse_name;

/// Verbs on the host's defaults.
#[derive(Debug, Subcommand)]
pub enum HostCommand {
    /// Show the host's defaults, reservations and maintenance. Changes nothing
    ///
    /// Example: gpuvirt host show
    Show,
    /// Change the default type or the assignment policy. Changes the configuration, and GPUs that follow the default
    ///
    /// The policy says on which of several suitable GPUs a vGPU is made. It acts on GPUs in same-size mode, and on those
    /// that know no modes: mixed-size and MIG have rules of their own.
    ///
    ///   performance    spread: the GPU with the fewest vGPUs
    ///   consolidation  group: fill a GPU before the next one is begun
    ///
    /// Example: gpuvirt host set --assignment-policy consolidation
    #[command(verbatim_doc_comment)]
    Set(HostSetArgs),
    /// Look at the host anew, and say what changed since the last refresh. Changes GPUs that wait, where they can go on
    ///
    /// gpuvirtd hears of devices and drivers by itself. This is for what the kernel tells nobody: a file of /sys that
    /// somebody wrote, a process that let go of a GPU. It writes nothing that was not asked for earlier, and does not
    /// rescan the PCI bus.
    ///
    /// Example: gpuvirt host refresh
    Refresh,
    /// Place nothing more on this host, or do so again. Changes the configuration only
    ///
    /// What runs stays. `gpuvirt gpu cordon GPU` does the same for one GPU.
    ///
    /// Example: gpuvirt host maintenance on
    Maintenance {
        /// on or off
        #[arg(value_name = "on|off")]
        switch: Switch,
    },
    /// Keep room for so many vGPUs of a profile. Changes the configuration only
    ///
    /// Those that exist count: a reservation of 4 of which 3 exist keeps room for one more. Refused where there is no
    /// such room. 0 takes the reservation back.
    ///
    /// Example: gpuvirt host reserve nvidia_a40-24c 2
    Reserve {
        /// The profile, as `gpuvirt profile list` shows it
        #[arg(value_parser = parse_name)]
        profile: String,
        /// How many
        count: u32,
    },
}

/// `host set`
#[derive(Debug, Args)]
#[group(skip)]
#[command(group = ArgGroup::new("what").required(true).multiple(true).args(["default_type", "assignment_policy"]))]
pub struct HostSetArgs {
    /// What a GPU of type default is: shared or shared-direct
    #[arg(long, value_name = "TYPE", value_parser = parse_default)]
    pub default_type: Option<ConfiguredType>,
    /// performance or consolidation
    #[arg(long, value_name = "POLICY")]
    pub assignment_policy: Option<AssignmentPolicy>,
    /// Change the GPUs that follow the default type with it
    #[arg(long, requires = "default_type")]
    pub yes: bool,
}

/// on or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// It is so.
    On,
    /// It is not so.
    Off,
}

/// `capacity`
#[derive(Debug, Args)]
pub struct CapacityArgs {
    /// This profile only
    #[arg(long, value_name = "PROFILE", value_parser = parse_name)]
    pub profile: Option<String>,
}

fn parse_default(text: &str) -> Result<ConfiguredType, String> {
    match text.parse().map_err(|error: gpuvirt_model::gpu::GraphicsTypeError| error.to_string())? {
        kind @ (ConfiguredType::Shared | ConfiguredType::SharedDirect) => Ok(kind),
        ConfiguredType::Direct | ConfiguredType::Default => {
            Err("the default type is shared or shared-direct: passthrough is asked for card by card"
                .to_owned())
        }
    }
}
