//! `gpuvirt vm ...`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use gpuvirt_api::{GpuSelector, MOST_VGPUS, selector::check_label};
use gpuvirt_model::{CardIds, VgpuId};

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
    /// Say whether a domain can move to another host while it runs, and why not. Changes nothing
    ///
    /// It looks at the domain's devices (what the kernel's debugfs shows of them, what is known of their drivers) and at the
    /// versions of kernel, libvirt and QEMU; no device is opened. With --to-host it is compared whether the other host offers
    /// the same. Exit code 3 when it can't; when that can't be told it is said so, with exit code 0.
    ///
    /// Example: gpuvirt vm migratable cad1 --to-host host2.tar
    Migratable {
        /// The domain's name
        #[arg(value_parser = parse_name)]
        vm: String,
        /// The other host: a snapshot or a recording of it, or its configuration as `gpuvirt config export` writes it (.yaml, .yml, .json)
        #[arg(long, value_name = "FILE")]
        to_host: Option<PathBuf>,
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
    /// What is asked for is noted in the domain's metadata. A vGPU of a profile is made when the VM starts, whoever
    /// starts it, and removed when it has stopped; a virtual function and a GPU of a kind are chosen now, and anew by
    /// `gpuvirt vm start`.
    ///
    /// Refused while the domain runs. Everything else in the definition stays byte by byte as it was. With a device
    /// that the domain already has it does nothing.
    ///
    /// Example: gpuvirt vm add win11 --profile nvidia_a40-24c
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
        /// The device: a GPU's address or label, a vGPU's UUID or address, or request-N as `gpuvirt vm show` lists it
        device: DeviceArg,
    },
    /// Note requests for the GPUs and vGPUs that a domain has without. Changes the stored definition's metadata alone
    ///
    /// For domains that virt-manager, virsh or a script gave their host devices. What QEMU gets stays byte by byte as it
    /// was, managed= and aliases included; a running domain goes on. From then on `gpuvirt vm show` tells when devices and
    /// requests drift apart, and another card at the address is refused at a start. GPUs that nobody configured with
    /// gpuvirt are left alone.
    ///
    /// Example: gpuvirt vm adopt win11
    Adopt {
        /// The domain's name
        #[arg(value_parser = parse_name)]
        vm: String,
        /// Show what would be adopted; change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// State which GPU driver a domain's guest has. Changes the stored definition's metadata alone
    ///
    /// Nobody sees into a guest. With this gpuvirt doctor tells when its driver and the host's no longer go together: before
    /// an upgrade of either, or after the VM went from a whole card to a vGPU. A running domain goes on.
    ///
    /// Example: gpuvirt vm set win11 --guest-driver 553.24_grid_win10_win11_server2022_dch_64bit_international.exe
    Set {
        /// The domain's name
        #[arg(value_parser = parse_name)]
        vm: String,
        /// The package's file name or its version, as `gpuvirt driver check` knows them; `none` forgets what was stated
        #[arg(long, value_name = "PACKAGE")]
        guest_driver: String,
        /// Show what would be noted; change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Start a domain, with devices chosen for what it asks for. Changes its definition where others than the last ones are chosen
    ///
    /// virsh start does the same, but with the virtual functions and the cards of a kind that the definition names.
    ///
    /// Example: gpuvirt vm start win11
    Start {
        /// The domain's name
        #[arg(value_parser = parse_name)]
        vm: String,
        /// Show which devices it would get and why not others; change and start nothing
        #[arg(long)]
        explain: bool,
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

/// What names a device that is there: clap asks for no `requires` of an argument that another one excludes.
const WHOLE: [&str; 3] = ["gpu", "kind", "vgpu"];

/// A device by option.
#[derive(Debug, Args)]
pub struct DeviceArgs {
    /// What is asked for.
    #[command(flatten)]
    pub wanted: WantedArgs,
    /// With --profile: how many vGPUs; one when left out
    #[arg(long, value_name = "N", conflicts_with_all = WHOLE, allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_VGPUS)))]
    pub count: Option<u32>,
    /// With --profile: a parameter for the vendor's driver, name=value. Repeatable
    #[arg(long, value_name = "NAME=VALUE", conflicts_with_all = WHOLE)]
    pub param: Vec<String>,
    /// With --match: only a GPU with this label
    #[arg(long, value_name = "LABEL", conflicts_with_all = ["profile", "gpu", "vgpu"], value_parser = parse_label)]
    pub label: Option<String>,
}

/// What is asked for.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct WantedArgs {
    /// A vGPU of a profile, as `gpuvirt profile list` shows it; made when the VM starts, on a GPU that has room then
    #[arg(long, value_name = "PROFILE", value_parser = parse_name)]
    pub profile: Option<String>,
    /// This GPU, whole, all its functions: its address or label
    #[arg(long, value_name = "GPU")]
    pub gpu: Option<GpuSelector>,
    /// Any whole GPU of a kind, as `lspci -n` shows it: VVVV:DDDD, or VVVV:DDDD:SVVV:SDDD with its subsystem
    #[arg(long = "match", id = "kind", value_name = "IDS")]
    pub kind: Option<CardIds>,
    /// A vGPU that exists: its UUID, or the address of the virtual function that it is
    #[arg(long, value_name = "ID")]
    pub vgpu: Option<VgpuId>,
}

fn parse_label(text: &str) -> Result<String, String> {
    check_label(text).map(str::to_owned).map_err(|error| error.to_string())
}

/// A device of a domain by one word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceArg {
    /// A whole GPU; an address may also be a virtual function's.
    Gpu(GpuSelector),
    /// A vGPU that is a mediated device.
    Vgpu(VgpuId),
    /// A request by its number.
    Request(u32),
}

impl std::str::FromStr for DeviceArg {
    type Err = gpuvirt_api::selector::SelectorError;

    /// A UUID or a request where the text is one, a GPU otherwise.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(number) = text.strip_prefix("request-").and_then(|number| number.parse().ok()) {
            return Ok(Self::Request(number));
        }
        match text.parse() {
            Ok(id @ VgpuId::Mdev(_)) => Ok(Self::Vgpu(id)),
            _ => text.parse().map(Self::Gpu),
        }
    }
}
