//! `gpuvirt driver ...`

use clap::{Args, Subcommand};
use gpuvirt_api::GpuSelector;

use super::parse_name;

/// Verbs on driver packages.
#[derive(Debug, Subcommand)]
pub enum DriverCommand {
    /// Say what a driver package is, and whether it fits a GPU or a VM. Changes nothing, opens no file
    ///
    /// A package is known by its name: NVIDIA's vGPU managers (-vgpu-kvm, -vgpu-kvm-aie, nvidia-vgpu-*), the GRID drivers
    /// for guests (-grid.run, nvidia-linux-grid-*, *_grid_*.exe), data center and desktop drivers; AMD's and Intel's as far
    /// as names tell. A version alone will do. With --gpu it is judged for what that GPU is configured for, with --vm for
    /// what the VM has. Exit code 3 when it does not fit; when that can't be told it is said so, with exit code 0.
    ///
    /// Example: gpuvirt driver check NVIDIA-Linux-x86_64-550.163.01-grid.run --vm cad1
    Check(CheckArgs),
    /// List the releases of NVIDIA's vGPU software that are known here, and what goes with what. Changes nothing
    ///
    /// Example: gpuvirt driver list
    List,
}

/// `driver check`
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The package's file name, with or without a path, or a version
    #[arg(value_name = "FILE-OR-VERSION")]
    pub package: String,
    /// Judge it for this VM's devices
    #[arg(long, value_name = "VM", conflicts_with = "gpu", value_parser = parse_name)]
    pub vm: Option<String>,
    /// Judge it for this GPU as it is configured: its address or label
    #[arg(long, value_name = "GPU")]
    pub gpu: Option<GpuSelector>,
}
