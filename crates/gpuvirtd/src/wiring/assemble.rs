//! Everything put together, for this machine or for a recorded one.

use crate::cli::Cli;
use crate::config::Config;
use crate::server::Context;

/// The context of the daemon that the command line and the configuration describe.
///
/// # Errors
/// What keeps it from being put together.
pub fn context(_cli: &Cli, _config: &Config) -> anyhow::Result<Context> {
    anyhow::bail!("not wired yet")
}
