//! `gpuvirt vm ...`

use clap::{Args, Subcommand};
use gpuvirt_api::GpuSelector;
use gpuvirt_model::VgpuId;

use super::parse_name;

/// Verbs on VMs.
#[derive(Debug, Subcommand)]
pub enum VmCommand {
    /// List libvirt's domains with the GPUs and vGPUs that they have or name. Changes nothing
    ///
    /// Example: gpuvirt vm list
    List,
    /// Show one domain: state and GPU devices, in its definition and in the running QEMU. Changes nothing
    ///
    /// Example: gpuvirt vm show win11
    Show {
        /// The domain's name
        #[arg(value_parser = parse_name)]
        vm: String,
    },
    /// Print a domain's definition without its secrets. Changes nothing
    ///
    /// Example: gpuvirt vm xml win11
    Xml {
        /// The domain's name
        #[arg(value_parser = parse_name)]
        vm: String,
    },
    /// Add a GPU or a vGPU to a domain's definition. Changes the stored definition, for the next start
    ///
    /// Refused while the domain runs. Everything else in the definition stays byte by byte as it was. With a device
    /// that the domain already has it does nothing.
    ///
    /// Example: gpuvirt vm add win11 --gpu 41:00.0
    Add(AddArgs),
    /// Take a GPU or a vGPU out of a domain's definition. Changes the stored definition, for the next start
    ///
    /// Refused while the domain runs.
    ///
    /// Example: gpuvirt vm remove win11 41:00.0
    Remove {
        /// The domain's name
        #[arg(value_parser = parse_name)]
        vm: String,
        /// The device: a GPU's address or label, or a vGPU's UUID or address
        device: DeviceArg,
    },
}

/// `vm add`
#[derive(Debug, Args)]
pub struct AddArgs {
    /// The domain's name
    #[arg(value_parser = parse_name)]
    pub vm: String,
    /// The device.
    #[command(flatten)]
    pub device: DeviceArgs,
    /// Show the elements that would be added; change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// A device by option.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct DeviceArgs {
    /// A whole GPU, all its functions: its address or label
    #[arg(long, value_name = "GPU")]
    pub gpu: Option<GpuSelector>,
    /// A vGPU that exists: its UUID, or the address of the virtual function that it is
    #[arg(long, value_name = "ID")]
    pub vgpu: Option<VgpuId>,
}

/// A device of a domain by one word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceArg {
    /// A whole GPU; an address may also be a virtual function's.
    Gpu(GpuSelector),
    /// A vGPU that is a mediated device.
    Vgpu(VgpuId),
}

impl std::str::FromStr for DeviceArg {
    type Err = gpuvirt_api::selector::SelectorError;

    /// A UUID where the text is one, a GPU otherwise.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(id @ VgpuId::Mdev(_)) => Ok(Self::Vgpu(id)),
            _ => text.parse().map(Self::Gpu),
        }
    }
}
