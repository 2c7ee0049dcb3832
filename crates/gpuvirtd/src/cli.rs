//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Where durable files are.
const DEFAULT_STATE_DIR: &str = "/var/lib/gpuvirt";

/// Manages the GPUs of this host for libvirt's VMs; `gpuvirt` is the command that talks to it.
#[derive(Debug, Parser)]
#[command(name = "gpuvirtd", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// How it runs [default: /etc/gpuvirt/gpuvirtd.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where it keeps what is configured and what it has done
    #[arg(long, value_name = "DIR", default_value = DEFAULT_STATE_DIR)]
    pub state_dir: PathBuf,
    /// Where it listens [default: what the configuration says]
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Where writers are to be had, processes that write to the host and run vendors' tools [default: its own children]
    #[arg(long, value_name = "SOCKET", conflicts_with = "host")]
    pub writers: Option<PathBuf>,
    /// Runs on a recorded host instead of this machine: nothing of this machine is read or changed
    #[arg(long, value_name = "RECORDING", requires_all = ["state_dir", "socket"])]
    pub host: Option<PathBuf>,
    /// What else to be
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What else the binary is.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Carries out writes that can block; started by the daemon
    #[command(hide = true)]
    Writer,
    /// Reads a card's GPU instances through NVIDIA's management library; started by the daemon
    #[cfg(feature = "nvml")]
    #[command(hide = true)]
    GpuInstances {
        /// The card
        gpu: gpuvirt_model::PciAddress,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_grammar_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_recorded_host_never_meets_the_state_of_this_one() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' '));
        assert!(parse("gpuvirtd --host f").is_err());
        assert!(parse("gpuvirtd --host f --socket s").is_err());
        assert!(parse("gpuvirtd --host f --state-dir d").is_err());
        assert!(parse("gpuvirtd --host f --state-dir d --socket s").is_ok());
        assert_eq!(parse("gpuvirtd").unwrap().state_dir, PathBuf::from(DEFAULT_STATE_DIR));
    }
}
