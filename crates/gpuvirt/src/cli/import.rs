//! `gpuvirt import`

use std::path::PathBuf;

use clap::Args;

use super::gpu::parse_seconds;

/// `import`
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Make the host so, as `config apply` would; refused while anything contradicts
    #[arg(long)]
    pub apply: bool,
    /// Read other tools' files below this folder instead of /: a copy of /etc and /proc/cmdline, such as a backup. Links in it lead to its own files
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// With --apply: longest wait for a write that can block, e.g. 30s or 5m
    #[arg(long, value_name = "TIME", value_parser = parse_seconds, requires = "apply")]
    pub wait: Option<u64>,
}
