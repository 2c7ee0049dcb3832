//! `gpuvirt hook ...`: libvirt's, not for people.

use clap::Args;

/// What libvirt hands to a hook.
#[derive(Debug, Args)]
pub struct HookArgs {
    /// libvirt's driver: `qemu`
    pub driver: String,
    /// The domain's name, the operation, the sub-operation, and what libvirt adds
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub arguments: Vec<String>,
}
