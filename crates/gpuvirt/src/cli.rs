//! The grammar: every argument, with its help.
//!
//! Types only. What a verb does is in `verb`, how an answer looks in `render`. The help of each verb says what it
//! changes, and shows an example.

mod advise;
mod config;
mod deferred;
mod driver;
mod esxcli;
mod gpu;
mod hook;
mod host;
mod import;
mod mig;
mod vgpu;
mod vm;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use gpuvirt_api::GpuSelector;
use gpuvirt_model::VgpuId;

pub use advise::AdviseArgs;
pub use config::{ConfigCommand, DiffArgs, DocumentArgs};
pub use deferred::{Deferred, PROGRAM, Verbs, grammar, of_one_verb};
pub use driver::{CheckArgs, DriverCommand};
pub use esxcli::{
    EsxcliCommand, EsxcliDeviceCommand, EsxcliHostCommand, EsxcliHostSetArgs, EsxcliSetArgs,
    EsxcliStatsCommand, EsxcliVmCommand, GraphicsCommand,
};
pub use gpu::{GpuCommand, SetArgs, parse_name};
pub use hook::HookArgs;
pub use host::{CapacityArgs, HostCommand, HostSetArgs, Switch};
pub use import::ImportArgs;
pub use mig::{MigCommand, MigCreateArgs, MigRemoveArgs};
pub use vgpu::{CreateArgs, RemoveArgs, SetParamsArgs, VgpuCommand};
pub use vm::{AddArgs, DeviceArg, DeviceArgs, VmCommand};

/// GPUs of a KVM/libvirt host: passthrough and vGPU, with the rules kept.
///
/// Reading verbs ask gpuvirtd, and read the host themselves where it does not answer. Verbs that change something
/// need gpuvirtd. GPUs that nobody configured are listed and never written to.
#[derive(Debug, Parser)]
#[command(name = PROGRAM, version, after_help = EXIT_CODES)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    /// Options of every verb.
    #[command(flatten)]
    pub global: Global,
    /// The verb.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done or nothing to do, 1 failure, 2 usage, 3 refused, 4 accepted and \
pending, 5 daemon unreachable.\nExample: gpuvirt gpu list";

/// Where help lists the options of every verb.
const GLOBAL: &str = "Options of every verb";

/// Options of every verb.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// How to print: a table for people (may change), or JSON or YAML for programs (versioned)
    #[arg(short, long, global = true, help_heading = GLOBAL, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    pub output: Format,
    /// Read a recorded host instead of this machine: a umockdev dump or a snapshot. Reading verbs only
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "FILE")]
    pub host: Option<PathBuf>,
    /// The socket of gpuvirtd; when left out, the one that /etc/gpuvirt/gpuvirtd.toml names
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "PATH", default_value = gpuvirt_api::client::DEFAULT_SOCKET)]
    pub socket: PathBuf,
    /// A UUID for this change: the same order given again with it, after its answer was lost, is carried out once
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "UUID")]
    pub key: Option<uuid::Uuid>,
}

/// How an answer is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// One JSON document.
    Json,
    /// The same document as YAML.
    Yaml,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// GPUs: what they are, how they are used, who holds them; and giving them another type
    Gpu(Deferred<Verbs<GpuCommand>>),
    /// vGPU profiles: what a VM can ask for, and how much is left
    Profile(Deferred<Verbs<ProfileCommand>>),
    /// GPU instances (MIG): the parts that a card is cut into, for vGPUs to live on
    Mig(Deferred<Verbs<MigCommand>>),
    /// vGPUs: the shares of GPUs that exist now
    Vgpu(Deferred<Verbs<VgpuCommand>>),
    /// How many vGPUs of each profile fit, live, remain and are kept. Changes nothing
    ///
    /// MAX is how many fit on the empty GPU, CONSUMED how many live, whoever made them, RESERVED how many are kept for
    /// reservations (`gpuvirt host reserve`) and for VMs that start with the host, and REMAINING how many more are to be
    /// had beside all those. Capacity is shared between the profiles of a GPU. NOTE says why gpuvirt makes none there.
    ///
    /// Example: gpuvirt capacity --profile nvidia_a40-24c
    Capacity(Deferred<CapacityArgs>),
    /// The host's defaults: default type, assignment policy, reservations, maintenance
    Host(Deferred<Verbs<HostCommand>>),
    /// VMs: libvirt domains and the GPUs that they have
    Vm(Deferred<Verbs<VmCommand>>),
    /// Print the <hostdev> elements for a GPU or a vGPU. Changes nothing
    ///
    /// The elements are complete: paste them into a domain's <devices>, or let `gpuvirt vm add` do it.
    ///
    /// Example: gpuvirt xml --gpu 41:00.0
    Xml(Deferred<XmlArgs>),
    /// Record this host into a file that --host reads again. Changes nothing but that file
    ///
    /// `gpuvirt --host FILE` then shows what this host showed, VMs and findings too. Serial numbers, host names and MAC addresses are
    /// left out, and of VMs all but their names, host devices, memory and machine; --hide-names leaves names out too. As root it
    /// holds more than as a user; what could not be read is listed. An existing file is never overwritten. It wakes no card.
    ///
    /// Example: sudo gpuvirt snapshot --file host1.tar
    Snapshot(Deferred<SnapshotArgs>),
    /// Driver packages: what they are, and whether they fit a GPU or a VM
    Driver(Deferred<Verbs<DriverCommand>>),
    /// Advise on passthrough or vGPU for a workload on this host, with reasons and commands. Changes nothing
    ///
    /// It looks at this host's GPUs (or those of a recording, --host FILE): whether each can be passed through, whether it makes vGPUs
    /// or would. What rules a mode out comes first, then what is needed, then what the workload would rather have. What a host does
    /// not show is named. Without a workload both modes are compared. docs/choosing.md has the comparison with its sources.
    ///
    /// Example: gpuvirt advise --workload cad --vms 6 --need migration
    Advise(Deferred<AdviseArgs>),
    /// The desired document: what all managed GPUs are to be, as one file
    Config(Deferred<Verbs<ConfigCommand>>),
    /// Show what driverctl, mdevctl, vfio-pci.ids=, libvirt and Proxmox say of this host's GPUs as a document. Changes nothing without --apply
    ///
    /// The output is the desired document, with what was found as comments in it; contradictions are named and left out.
    /// With --apply the host is made so and vGPUs that mdevctl made become gpuvirt's; then it lists how to take the other tools
    /// out of the way.
    ///
    /// Example: gpuvirt import
    Import(Deferred<ImportArgs>),
    /// Explain the name of a refusal, a warning or a finding: cause, how it is found out, remedy. Changes nothing
    ///
    /// Without a name: all names.
    ///
    /// Example: gpuvirt explain group-not-viable
    Explain(Deferred<ExplainArgs>),
    /// Show whether gpuvirtd answers, and the GPUs that are not as they were asked to be. Changes nothing
    ///
    /// Exit code 5 when gpuvirtd does not answer.
    ///
    /// Example: gpuvirt status
    Status,
    /// Find what keeps GPUs from working in VMs, with cause and remedy. Changes nothing
    ///
    /// It looks at the host, its GPUs and its VMs: all of them, or, with GPU, at that one, the VMs that have it, and the
    /// host. Each finding has a name that `gpuvirt explain` knows, the file and the value that it was read from, and what
    /// to do. What could not be looked at (files for root alone; VMs without gpuvirtd) is said, and is no finding.
    ///
    /// Exit codes: 0 nothing was found, or notes alone; 3 an error: something does not work; 4 a warning: it works, and
    /// something will go wrong; 1 and 2 when the command itself fails.
    ///
    /// Example: gpuvirt doctor 41:00.0
    Doctor(Deferred<DoctorArgs>),
    /// Show what happened lately: changes, devices that came and went. Changes nothing
    ///
    /// gpuvirtd remembers a few hundred events of its present life. With --follow it goes on until it is stopped; then
    /// JSON is one event a line.
    ///
    /// Example: gpuvirt events --follow
    Events(Deferred<EventsArgs>),
    /// Print gpuvirtd's numbers for Prometheus, or put them into a file for node_exporter. Changes nothing but that file
    ///
    /// With --textfile the file appears whole or not at all, readable by all; a link by that name is replaced and not followed.
    /// gpuvirt_up in it is 1. Where gpuvirtd does not answer, the file holds gpuvirt_up 0 alone, and the exit code is 5.
    /// The package has gpuvirt-metrics.timer, which does this each minute once it is enabled.
    ///
    /// Example: sudo gpuvirt metrics --textfile /var/lib/prometheus/node-exporter/gpuvirt.prom
    Metrics(Deferred<MetricsArgs>),
    /// ESXi's words for all this: `esxcli graphics ...`, with its options and its output
    Esxcli(Deferred<Verbs<EsxcliCommand>>),
    /// Take back changes that neither succeeded nor could be undone. Changes the GPUs that are hands-off
    ///
    /// gpuvirtd looks at the host as it is now, and leads each hands-off GPU back to how it was before the change.
    /// What still holds a GPU is named, and that GPU stays hands-off.
    ///
    /// Example: sudo gpuvirt recover
    Recover,
    /// Answer libvirt's hook: not for people. Changes the host, as far as a VM's start wants it
    ///
    /// libvirt runs it for every VM; one without devices of gpuvirt's is let through at once.
    ///
    /// Example: gpuvirt hook qemu win11 prepare begin -
    #[command(hide = true)]
    Hook(Deferred<HookArgs>),
}

/// Verbs on profiles.
#[derive(Debug, Subcommand)]
pub enum ProfileCommand {
    /// List the vGPU profiles that GPUs offer now. Changes nothing
    ///
    /// AVAILABLE is how many could be created now, if all were of this profile: capacity is shared between the
    /// profiles of a GPU. NOT NOW leads to the reason, below the table, why none can. CLASS is what a profile is made
    /// for: Q workstations, C computing, A applications, B desktops. JSON lists each function that offers a profile;
    /// the table sums them up.
    ///
    /// Example: gpuvirt profile list --gpu 41:00.0
    List {
        /// Those of one GPU only: its address or label
        #[arg(long, value_name = "GPU")]
        gpu: Option<GpuSelector>,
    },
}

/// What the elements are for.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct XmlArgs {
    /// A whole GPU, all its functions: its address or label
    #[arg(long, value_name = "GPU")]
    pub gpu: Option<GpuSelector>,
    /// A vGPU that exists: its UUID, or the address of the virtual function that it is
    #[arg(long, value_name = "ID")]
    pub vgpu: Option<VgpuId>,
}

/// Where the recording goes.
#[derive(Debug, Args)]
pub struct SnapshotArgs {
    /// The file to write
    #[arg(long, value_name = "FILE")]
    pub file: PathBuf,
    /// Put vm1, vm2, gpu1, ... in the place of the names of VMs and labels of GPUs; leave out those of processes
    #[arg(long)]
    pub hide_names: bool,
}

/// Which events.
#[derive(Debug, Args)]
pub struct EventsArgs {
    /// Wait for more, until interrupted or until gpuvirtd ends
    #[arg(long, short = 'f')]
    pub follow: bool,
}

/// Where the numbers go.
#[derive(Debug, Args)]
pub struct MetricsArgs {
    /// The file to replace, in a folder that exists; node_exporter reads those that end in .prom
    #[arg(long, value_name = "FILE")]
    pub textfile: Option<PathBuf>,
}

/// Whom to examine.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// One GPU only: its address or label
    #[arg(value_name = "GPU")]
    pub gpu: Option<GpuSelector>,
}

/// What to explain.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The name in square brackets, e.g. group-not-viable
    pub name: Option<String>,
    /// Print docs/refusals.md
    #[arg(long, hide = true, conflicts_with = "name")]
    pub all_markdown: bool,
}

#[cfg(test)]
mod tests;
