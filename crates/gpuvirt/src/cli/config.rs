//! `gpuvirt config ...`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::gpu::parse_seconds;

/// Verbs on the desired document.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print what is configured as a document that `config apply` takes. Changes nothing
    ///
    /// YAML, or JSON with -o json: host defaults, and each managed GPU with its address and identity. In a document for
    /// many hosts, write `match` (device, subsystem, slot, count) in the place of address and identity.
    ///
    /// Example: gpuvirt config export -o yaml
    Export,
    /// Show what a document would change of what is configured. Changes nothing
    ///
    /// The host is not looked at beyond which GPUs it has: what is in the way of a change shows `config apply --dry-run`.
    /// Exit code 0 says that nothing differs, 4 that something does; 1, 2, 3 and 5 that it can't be told, as everywhere.
    ///
    /// Example: gpuvirt config diff -f gpus.yaml
    Diff(DiffArgs),
    /// Make the host what a document says. Changes the host and the configuration
    ///
    /// Everything that is in the way of any GPU is shown before the first write, and then nothing is changed. GPUs are
    /// changed one after the other; one that fails is undone and stops no other. GPUs that the document does not name
    /// are left alone, and so is a setting that it doesn't name. Run twice, it does nothing the second time. A new default
    /// type wants --yes where GPUs follow it.
    ///
    /// Example: gpuvirt config apply -f gpus.yaml --dry-run
    Apply {
        /// The document.
        #[command(flatten)]
        document: DiffArgs,
        /// Show the plan of each GPU, and whatever is in the way; change nothing
        #[arg(long)]
        dry_run: bool,
        /// vGPUs of the document that live already and that another tool made become gpuvirt's, where GPU and profile are
        /// those of the document. Without it they are in the way
        #[arg(long)]
        adopt: bool,
        /// Longest wait for a write that can block, e.g. 30s or 5m
        #[arg(long, value_name = "TIME", value_parser = parse_seconds)]
        wait: Option<u64>,
        /// A new default type is meant for the GPUs that follow it too; without this they are listed, and nothing is changed
        #[arg(long)]
        yes: bool,
    },
}

/// A document, and what becomes of what it doesn't name.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// The document.
    #[command(flatten)]
    pub document: DocumentArgs,
    /// Managed GPUs that the document does not name become unmanaged, as by `gpu unset`
    #[arg(long)]
    pub prune: bool,
}

/// Where a document is.
#[derive(Debug, Args)]
pub struct DocumentArgs {
    /// The file, YAML or JSON; - is standard input
    #[arg(short, long, value_name = "FILE")]
    pub file: PathBuf,
}
